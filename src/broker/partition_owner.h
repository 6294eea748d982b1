// PartitionOwner: the partitions whose logs this core owns, and the tasks at work on them
// (partition_task.h). It keeps the logs in step with the metadata image, appends in the order of
// arrival, and remembers who waits for what.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "broker/counters.h"
#include "broker/limits.h"
#include "broker/memory_pool.h"
#include "broker/partition_task.h"
#include "bus/image.h"
#include "log/core_log.h"

namespace tailrace::broker {

struct OwnedPartition {
  log::PartitionKey key;
  std::int32_t leader_epoch = 0;
  log::PartitionConfig config;
  log::PartitionLog* log = nullptr;  // null: it could not be made yet
  List<TaskItem, &TaskItem::wait_link> durable_waits;  // for the durable end to reach an offset
  List<TaskItem, &TaskItem::wait_link> watches;
};

class PartitionOwner {
 public:
  // All but `limits` outlive the object. `fixed`: StaticConfig::values.
  PartitionOwner(const Limits& limits, bus::CoreId core, log::CoreLog& log,
                 std::span<const bus::ConfigEntry> fixed, Counters& counters);

  // Makes, changes and removes logs so that they are those of `image` that this core owns.
  // Nothing here points into an image afterwards.
  void adopt(const bus::MetadataImage& image, Now now);

  // Each ends in take_done(), perhaps at once.
  void begin(Task& task, Now now);
  void cancel(Task& task);
  // Unpins what a `take` has read. Its pieces are gone after this.
  void release(Task& task);
  // Null when there is none.
  Task* take_done() { return done_.pop_front(); }

  // After the log has stepped: who may go on?
  void step(Now now);
  // True when something waits that a further step of the log may let go on.
  bool is_stalled() const { return !stalled_writes_.empty() || !stalled_reads_.empty(); }
  Instant next_deadline() const { return retry_at_; }

 private:
  struct OwnedTopic {
    const bus::TopicImage* seen = nullptr;  // only compared, while the image it is of is in use
    std::uint64_t version = 0;
    std::vector<std::unique_ptr<OwnedPartition>> partitions;
  };
  using Tasks = List<Task, &Task::link>;

  // partition_owner.cc: partitions
  void adopt_topic(OwnedTopic& owned, const bus::MetadataImage& image,
                   const bus::TopicImage& topic, Now now);
  void open(OwnedPartition& partition, Now now);
  void drop(OwnedPartition& partition);
  void retry_open(Now now);
  void remove_strangers();
  OwnedPartition* find(const log::PartitionKey& key);
  // Null, and the item's error says why, when the partition cannot work.
  log::PartitionLog* usable(TaskItem& item);

  // partition_owner.cc: the life of a task
  Tasks& stalled(const Task& task);
  bool run_items(Task& task, Now now);
  bool begin_item(TaskItem& item, Now now);
  void run_stalled(Tasks& tasks, Now now);
  void close_item(TaskItem& item);
  void finish(Task& task);
  void on_advanced(log::PartitionLog& log);
  void fail_writes();

  // partition_writes.cc
  bool asks_first(Task& task);
  bool begin_append(TaskItem& item, log::PartitionLog& log, Now now);
  bool begin_delete(TaskItem& item, log::PartitionLog& log, Now now);
  void cancel_writes(Task& task);
  void end_durable_waits(OwnedPartition& partition);
  void end_deletes();

  // partition_reads.cc
  void begin_watch(Task& task);
  bool look(TaskItem& item);
  bool finds_divergence(TaskItem& item, const log::PartitionLog& log) const;
  void end_watch(Task& task);
  void end_watches(OwnedPartition& partition);
  bool begin_take(TaskItem& item, log::PartitionLog& log);
  bool begin_list(TaskItem& item, log::PartitionLog& log);
  bool find_newest(TaskItem& item, const log::PartitionLog& log);
  bool find_time(TaskItem& item, log::PartitionLog& log, std::int64_t timestamp);
  void end_read(TaskItem& item);
  bool keep_answer(TaskItem& item, const log::Read& read);
  MutableBytes take_memory(const TaskItem& item, std::size_t bytes);
  void end_take(TaskItem& item);
  void describe_producers(TaskItem& item, const log::PartitionLog& log);
  void end_memory_waits(Now now);

  Limits limits_;
  bus::CoreId core_;
  log::CoreLog& log_;
  std::span<const bus::ConfigEntry> fixed_;
  Counters& counters_;
  MemoryPool cold_memory_;

  std::map<Uuid, OwnedTopic> topics_;
  std::unordered_map<log::PartitionKey, OwnedPartition*> partitions_;
  std::vector<bus::ConfigEntry> broker_configs_;   // of the image in use
  std::vector<bus::ConfigEntry> broker_defaults_;  // of the image in use
  bool adopted_any_ = false;
  bool writes_failed_ = false;
  Instant retry_at_ = never();

  Tasks stalled_writes_;
  Tasks stalled_reads_;
  Tasks done_;
  List<TaskItem, &TaskItem::wait_link> memory_waits_;  // for cold_memory_, to read once more
  List<TaskItem, &TaskItem::wait_link> deletes_;  // in the order of their wait_seq
};

}  // namespace tailrace::broker
