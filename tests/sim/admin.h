// Admin: creates and deletes topics, adds partitions, changes configs and deletes records, one
// thing at a time; what got no answer is asked again until it has one.
#pragma once

#include "client.h"
#include "kafka/gen/metadata.h"

namespace tailrace::sim {

struct AdminSettings {
  std::uint32_t operations_max = 12;
  std::uint32_t topics_max = 4;
  std::int32_t partitions_max = 4;
  bool small_retention = true;
  Duration pause_max = milliseconds(20);
};

class Admin final : public Client {
 public:
  Admin(World& world, Prng prng, const AdminSettings& settings);

  bool settled() const override { return job_ == Job::none; }
  std::string waiting_for() const override;

 private:
  enum class Job : std::uint8_t {
    none, create, look_up, remove, grow, configure, delete_records,
  };
  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override;

  void choose();
  void ask_job();
  void ask_create();
  void ask_look_up();
  void ask_remove();
  void ask_grow();
  void ask_configure();
  void ask_delete_records();
  std::int16_t error_of(const Asked& asked, Bytes frame);
  std::int16_t on_looked_up(const Asked& asked, Bytes frame);
  std::int16_t on_deleted_records(const Asked& asked, Bytes frame);
  void on_done();
  void new_topic();
  void draw_retention();
  // Live topics; UINT32_MAX when there is none.
  std::uint32_t choose_topic();
  std::uint32_t live_count() const;

  AdminSettings settings_;
  Job job_ = Job::none;
  std::uint32_t jobs_done_ = 0;
  std::uint32_t topic_ = 0;          // of the job, in History::topics
  std::uint32_t partition_ = 0;      // delete_records: in History::partitions
  std::int64_t offset_ = 0;          // delete_records
  std::int32_t count_ = 0;           // grow
  bool for_brokers_ = false;         // configure: the defaults of all topics
  std::vector<std::pair<std::string, std::string>> configs_;
  std::uint32_t names_used_ = 0;
};

}  // namespace tailrace::sim
