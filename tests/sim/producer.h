// Producer: sends batches to the partitions it is given. Idempotent ones keep several in flight and
// send the same sequence again after errors and lost connections; plain ones send everything once.
#pragma once

#include <deque>
#include <map>

#include "client.h"
#include "kafka/gen/produce.h"

namespace tailrace::sim {

struct ProducerSettings {
  bool idempotent = true;
  std::int16_t acks = -1;
  std::uint32_t requests_in_flight_max = 5;
  std::uint32_t batches_max = 40;      // that it makes in its life
  std::uint32_t records_max = 8;       // of a batch
  std::uint32_t value_bytes_max = 400;
  Duration pause_max = milliseconds(2);
};

class Producer final : public Client {
 public:
  Producer(World& world, std::uint32_t id, Prng prng, const ProducerSettings& settings);

  bool settled() const override;
  std::string waiting_for() const override;

 private:
  // open: made, not sent (or to be sent again). sent: on its way.
  struct Batch {
    std::vector<std::uint32_t> numbers;  // of the records
    test::Buffer bytes;
    std::int32_t base_sequence = -1;
    std::uint64_t id = 0;
    bool sent = false;
  };
  struct Lane {  // one partition
    std::deque<Batch> batches;  // unacknowledged, in order
    std::int32_t next_sequence = 0;
    std::uint32_t next_number = 0;
  };
  struct InRequest {
    std::uint32_t partition = 0;
    std::uint64_t batch_id = 0;
  };

  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override;

  void ask_producer_id();
  void send_request();
  // The partitions of one topic that a request can go to now.
  std::vector<std::uint32_t> choose_partitions();
  Batch* next_batch(std::uint32_t partition);
  void make_batch(std::uint32_t partition, Lane& lane);
  void on_produced(const Asked& asked, Bytes frame);
  void on_partition(const InRequest& sent, std::int16_t error, std::int64_t base_offset);
  void on_failure(const InRequest& sent, std::int16_t error);
  void drop_deleted();
  void repeat_record(std::uint32_t partition, std::uint32_t& number, std::uint32_t bytes);
  void believe();
  void rewind();

  ProducerSettings settings_;
  std::uint32_t id_;
  std::int64_t producer_id_ = -1;
  std::int16_t epoch_ = -1;
  std::uint32_t stream_ = 0;
  std::uint32_t batches_made_ = 0;
  std::uint64_t next_batch_id_ = 1;
  std::uint64_t next_request_ = 1;
  bool draining_ = false;      // an error came: what is on its way comes back before anything goes
  std::map<std::uint32_t, Lane> lanes_;
  std::map<std::uint64_t, std::vector<InRequest>> requests_;
};

}  // namespace tailrace::sim
