// Consumer: reads every partition of the topics it follows from the front and then tails them, by
// sessions or without, with limits of all sizes.
#pragma once

#include <map>
#include <set>

#include "client.h"
#include "kafka/gen/fetch.h"

namespace tailrace::sim {

// The records of whole batches, for the checkers; they point into `batches`.
std::vector<SeenRecord> seen_records(Bytes batches);

struct ConsumerSettings {
  bool sessions = false;
  std::int32_t max_wait_ms = 50;
  std::int32_t min_bytes = 1;
  std::int32_t max_bytes = 1 << 20;
  std::int32_t partition_max_bytes = 1 << 16;
  Duration pause_max = milliseconds(1);
};

class Consumer final : public Client {
 public:
  Consumer(World& world, std::uint32_t id, Prng prng, const ConsumerSettings& settings);

  bool settled() const override { return true; }
  std::string waiting_for() const override { return "records"; }

 private:
  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override;

  void follow_new_partitions();
  void ask_fetch();
  void ask_bound(std::uint32_t partition, std::int64_t timestamp);
  void on_fetched(const Asked& asked, Bytes frame);
  void on_partition(std::uint32_t partition,
                    const kafka::FetchResponse::FetchableTopicResponse::PartitionData& data);
  void on_bound(const Asked& asked, Bytes frame);
  // UINT32_MAX: none that was asked for.
  std::uint32_t partition_of(std::string_view topic, const Uuid& id, std::int32_t index,
                             bool by_id) const;

  ConsumerSettings settings_;
  std::map<std::uint32_t, std::int64_t> positions_;  // by partition
  std::set<std::uint32_t> changed_;                  // since the session's last fetch
  std::uint32_t topics_known_ = 0;
  std::uint32_t lost_ = UINT32_MAX;  // a partition whose end and start must be asked for
  std::int64_t lost_end_ = -1;       // its end, once it is known
  bool lost_here_ = false;           // by an answer on the connection that we still have
  std::int32_t session_id_ = 0;
  std::int32_t session_epoch_ = 0;
  bool session_by_id_ = false;
};

}  // namespace tailrace::sim
