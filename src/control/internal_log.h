// InternalLog: the partitions of an internal topic that this node leads, and reading them, for a
// coordinator whose state lies in them.
//
//   [away] ── the image says that we lead it ──▶ [waiting] ──▶ [loading] ── all read ──▶ [active]
//     ▲                                              ▲             │                        │
//     │                                              └─ in a while ┘ cannot be read         │
//     └────────────────────── another leads it, the topic is gone ──────────────────────────┘
//
// A partition is read from start to end, later records replacing earlier ones. Every coming and
// going is another life: what was asked of the log in an earlier one is no longer applied.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "bus/log_task.h"
#include "control/cluster_state.h"
#include "control/limits.h"
#include "kafka/errors.h"
#include "record/batch_view.h"
#include "record/codec.h"

namespace tailrace::control {

class InternalLog {
 public:
  struct Partition {
    enum class State : std::uint8_t { away, waiting, loading, active };
    State state = State::away;
    std::int32_t index = 0;
    bus::CoreId owner = 0;
    std::uint32_t incarnation = 0;
    std::int32_t leader_epoch = -1;
    std::uint64_t life = 0;      // another one with each coming and going
    std::int64_t offset = 0;     // loading: the next to be read
    Instant retry_at{};
    bool once_more = false;           // loading: behind the read under way
  };
  struct LoadedRecord {
    Bytes key;
    Bytes value;
    bool is_tombstone = false;
  };
  // Whose state is in the partitions.
  class Owner {
   public:
    // The state of this partition is to be forgotten.
    virtual void on_lost(const Partition& partition, Now now) = 0;
    // Of records without key there is no word.
    virtual void on_record(const Partition& partition, const record::BatchHeader& batch,
                           const LoadedRecord& record, Now now) = 0;
    virtual void on_control(const Partition& partition, const record::BatchView& batch,
                            Now now) = 0;
    virtual void on_loaded(const Partition& partition, Now now) = 0;

   protected:
    ~Owner() = default;
  };

  // `what` is read in log lines; `owner` outlives the object.
  InternalLog(const Limits& limits, bus::NodeId node_id, std::uint16_t core_count,
              std::string_view what, std::string_view topic, Owner& owner);

  // The newest image; null when there is no such topic.
  void adopt(const Topic* topic, Now now);
  void step(Now now) { start_loads(now); }
  Instant next_deadline() const;
  // False: it is not a task of this object.
  bool on_done(const bus::LogTask* task, Now now);
  // Something was written while the partition is being read: the read under way may have been too
  // early for it, so that one more follows.
  void read_once_more(std::int32_t index);
  // What the owner knows of the partition is not what was written: it is lost and read anew.
  void read_again(std::int32_t index, Now now);
  void take_tasks(std::vector<bus::LogTask*>& tasks);

  // none, not_coordinator or coordinator_load_in_progress.
  kafka::ErrorCode check(std::int32_t index) const;
  bool is_active(std::int32_t index) const { return check(index) == kafka::ErrorCode::none; }
  // Has the partition been ours without a break since it had this life?
  bool is_same_life(std::int32_t index, std::uint64_t life) const;
  const Partition& partition(std::int32_t index) const;
  std::size_t size() const { return partitions_.size(); }
  const Uuid& topic_id() const { return topic_id_; }
  std::size_t loading_count() const { return loading_count_; }  // waiting or loading
  bool leads_any() const;

 private:
  struct Read {
    bus::LogTask task;
    std::vector<std::byte> bytes;
    std::int32_t partition = 0;
    std::uint64_t life = 0;
  };

  void take_over(const Topic& topic, Now now);
  void begin_life(Partition& partition, Instant read_at);
  void let_go(Partition& partition, Now now);
  void start_loads(Now now);
  void read_on(Partition& partition, std::unique_ptr<Read> read);
  void on_read(std::unique_ptr<Read> read, Now now);
  bool replay(Bytes batches, Partition& partition, Now now);
  bool replay_batch(const record::BatchView& batch, const Partition& partition, Now now);

  const Limits limits_;
  const bus::NodeId node_id_;
  const std::uint16_t core_count_;
  const std::string what_;
  const std::string topic_name_;
  Owner& owner_;
  std::unique_ptr<record::Decoder> decoder_;  // made when a compressed batch is met

  Uuid topic_id_;  // zero: there is no topic yet
  std::vector<Partition> partitions_;
  std::size_t loading_count_ = 0;
  std::uint64_t life_ = 0;
  std::unordered_map<const bus::LogTask*, std::unique_ptr<Read>> reads_;
  std::vector<bus::LogTask*> tasks_;
};

}  // namespace tailrace::control
