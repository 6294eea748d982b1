#include "broker/partition_owner.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "broker/topic_settings.h"

namespace tailrace::broker {
namespace {

bool same_entries(const std::vector<bus::ConfigEntry>& a, const std::vector<bus::ConfigEntry>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const bus::ConfigEntry& x, const bus::ConfigEntry& y) {
                      return x.name == y.name && x.value == y.value;
                    });
}

bool is_owned(const bus::MetadataImage& image, const bus::PartitionImage& partition,
              bus::CoreId core) {
  return partition.owner == core && std::find(partition.replicas.begin(), partition.replicas.end(),
                                              image.node_id) != partition.replicas.end();
}

}  // namespace

PartitionOwner::PartitionOwner(const Limits& limits, bus::CoreId core, log::CoreLog& log,
                               std::span<const bus::ConfigEntry> fixed, Counters& counters)
    : limits_(limits), core_(core), log_(log), fixed_(fixed), counters_(counters),
      cold_memory_(limits.cold_memory_bytes) {}

void PartitionOwner::adopt(const bus::MetadataImage& image, Now now) {
  const bool defaults_changed = !same_entries(broker_configs_, image.broker_configs) ||
                                !same_entries(broker_defaults_, image.broker_defaults);
  broker_configs_ = image.broker_configs;
  broker_defaults_ = image.broker_defaults;
  for (const auto& topic : image.topics) {
    OwnedTopic& owned = topics_[topic->id];
    owned.version = image.version;
    // Topics that did not change are shared between images, so the same address is the same
    // topic: the image before this one is still alive.
    if (owned.seen == topic.get() && !defaults_changed) continue;
    owned.seen = topic.get();
    adopt_topic(owned, image, *topic, now);
  }
  for (auto topic = topics_.begin(); topic != topics_.end();) {
    if (topic->second.version == image.version) {
      ++topic;
      continue;
    }
    for (auto& partition : topic->second.partitions) drop(*partition);
    topic = topics_.erase(topic);
  }
  if (!adopted_any_) remove_strangers();
  adopted_any_ = true;
}

void PartitionOwner::adopt_topic(OwnedTopic& owned, const bus::MetadataImage& image,
                                 const bus::TopicImage& topic, Now now) {
  const log::PartitionConfig config = partition_config(image, fixed_, topic);
  std::vector<std::unique_ptr<OwnedPartition>> kept;
  for (const bus::PartitionImage& partition : topic.partitions) {
    if (!is_owned(image, partition, core_)) continue;
    const log::PartitionKey key{topic.id, partition.index, partition.incarnation};
    const auto old = std::find_if(owned.partitions.begin(), owned.partitions.end(),
                                  [&](const auto& p) { return p != nullptr && p->key == key; });
    const bool is_new = old == owned.partitions.end();
    kept.push_back(is_new ? std::make_unique<OwnedPartition>() : std::move(*old));
    OwnedPartition& mine = *kept.back();
    mine.leader_epoch = partition.leader_epoch;
    mine.config = config;
    if (is_new) {
      mine.key = key;
      partitions_.emplace(key, &mine);
      open(mine, now);
    } else if (mine.log != nullptr) {
      log_.set_config(*mine.log, config);
    }
  }
  for (auto& gone : owned.partitions) {
    if (gone != nullptr) drop(*gone);
  }
  owned.partitions = std::move(kept);
}

void PartitionOwner::open(OwnedPartition& partition, Now now) {
  partition.log = log_.find(partition.key);
  if (partition.log != nullptr) return log_.set_config(*partition.log, partition.config);
  const Result<log::PartitionLog*> made = log_.create(partition.key, partition.config, now);
  if (made) {
    partition.log = *made;
    return;
  }
  if (retry_at_ == never()) {
    log_event(LogLevel::error, "broker",
              "core {}: cannot make the log of partition {} of topic {}: {}",
        core_, partition.key.partition, to_string(partition.key.topic),
        to_string(made.error().code));
    retry_at_ = now.instant + limits_.partition_retry;
  }
}

void PartitionOwner::retry_open(Now now) {
  retry_at_ = never();
  std::size_t failed = 0;
  for (auto& [key, partition] : partitions_) {
    if (partition->log != nullptr) continue;
    const Result<log::PartitionLog*> made = log_.create(key, partition->config, now);
    if (made) partition->log = *made;
    if (!made) ++failed;
  }
  if (failed > 0) retry_at_ = now.instant + limits_.partition_retry;
}

void PartitionOwner::drop(OwnedPartition& partition) {
  const kafka::ErrorCode gone = kafka::to_error_code(Errc::not_found);
  while (TaskItem* item = partition.durable_waits.pop_front()) {
    item->error = gone;
    close_item(*item);
  }
  while (TaskItem* item = partition.watches.front()) {
    item->error = gone;
    item->bytes = 0;
    end_watch(*item->task);
  }
  for (TaskItem* item = deletes_.front(); item != nullptr;) {
    TaskItem* next = deletes_.next(*item);
    if (item->partition == &partition) {
      deletes_.remove(*item);
      item->error = gone;
      close_item(*item);
    }
    item = next;
  }
  partitions_.erase(partition.key);
  // Reads under way end with not_found, through take_reads_done().
  if (partition.log != nullptr) log_.remove(*partition.log);
  partition.log = nullptr;
}

void PartitionOwner::remove_strangers() {
  for (log::PartitionLog* log : log_.partitions()) {
    if (partitions_.find(log->key()) == partitions_.end()) log_.remove(*log);
  }
}

OwnedPartition* PartitionOwner::find(const log::PartitionKey& key) {
  const auto found = partitions_.find(key);
  return found == partitions_.end() ? nullptr : found->second;
}

log::PartitionLog* PartitionOwner::usable(TaskItem& item) {
  item.partition = find(item.key);
  if (item.partition == nullptr) {
    item.error = kafka::to_error_code(Errc::not_found);
    return nullptr;
  }
  if (item.partition->log == nullptr) item.error = kafka::to_error_code(Errc::full);
  return item.partition->log;
}

void PartitionOwner::begin(Task& task, Now now) {
  TR_ASSERT(!task.is_open);
  TR_ASSERT(task.item_count > 0);
  task.is_open = true;
  task.items_open = task.item_count;
  task.bytes_ready = 0;
  if (task.kind == TaskKind::watch) return begin_watch(task);
  if (task.is_transactional && asks_first(task)) return finish(task);
  task.next_item = task.first;
  Tasks& queue = stalled(task);
  // What came earlier goes first, so that appends keep the order of their requests.
  if (!queue.empty() || !run_items(task, now)) {
    queue.push_back(task);
    if (task.kind == TaskKind::append) counters_.append_stalls.add();
  }
}

PartitionOwner::Tasks& PartitionOwner::stalled(const Task& task) {
  const bool writes = task.kind == TaskKind::append || task.kind == TaskKind::delete_records;
  return writes ? stalled_writes_ : stalled_reads_;
}

// False when the log has no room now: the rest of the items is begun later. When it is true the
// task may be finished already.
bool PartitionOwner::run_items(Task& task, Now now) {
  while (task.next_item != nullptr) {
    TaskItem& item = *task.next_item;
    TaskItem* const next = item.next_in_task;
    task.next_item = next;
    if (!begin_item(item, now)) {
      task.next_item = &item;
      return false;
    }
    if (next == nullptr) break;  // The last item may have ended the task.
  }
  return true;
}

bool PartitionOwner::begin_item(TaskItem& item, Now now) {
  if (item.skip) return close_item(item), true;
  log::PartitionLog* log = usable(item);
  if (log == nullptr) return close_item(item), true;
  item.log_start = log->log_start();
  item.high_watermark = log->durable_end();
  item.stable_end = log->stable_end();
  switch (item.task->kind) {
    case TaskKind::append: return begin_append(item, *log, now);
    case TaskKind::delete_records: return begin_delete(item, *log, now);
    case TaskKind::take: return begin_take(item, *log);
    case TaskKind::list_offsets: return begin_list(item, *log);
    case TaskKind::epoch_end: {
      const log::EpochTable::End end = log->epochs().end_of(item.epoch, log->durable_end());
      item.answer_epoch = end.epoch;
      item.answer_offset = end.end_offset;
      return close_item(item), true;
    }
    case TaskKind::log_size: item.bytes = log->size_bytes(); return close_item(item), true;
    case TaskKind::describe_producers:
      return describe_producers(item, *log), close_item(item), true;
    case TaskKind::watch: break;  // Begun as a whole.
  }
  TR_ASSERT(false);
  return true;
}

void PartitionOwner::close_item(TaskItem& item) {
  Task& task = *item.task;
  TR_ASSERT(task.items_open > 0);
  if (--task.items_open == 0) finish(task);
}

void PartitionOwner::finish(Task& task) {
  TR_ASSERT(task.is_open);
  task.is_open = false;
  done_.push_back(task);
}

void PartitionOwner::cancel(Task& task) {
  if (!task.is_open) return;  // The answer was on its way already.
  switch (task.kind) {
    case TaskKind::watch: return end_watch(task);
    case TaskKind::append:
    case TaskKind::delete_records: return cancel_writes(task);
    case TaskKind::take:
    case TaskKind::list_offsets:
    case TaskKind::epoch_end:
    case TaskKind::describe_producers:
    case TaskKind::log_size: return;  // These end by themselves, soon.
  }
}

void PartitionOwner::release(Task& task) {
  TR_ASSERT(!task.is_open);
  for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
    item->pieces = {};
    item->aborted = {};
    item->producers = {};
    cold_memory_.free(item->copy);
    if (item->read.is_null()) continue;
    log_.release_read(item->read);
    item->read = {};
  }
}

void PartitionOwner::step(Now now) {
  std::array<log::PartitionLog*, 64> advanced;
  while (const std::size_t count = log_.take_advanced(advanced)) {
    for (std::size_t i = 0; i < count; ++i) on_advanced(*advanced[i]);
  }
  end_deletes();
  std::array<log::ReadId, 64> reads;
  while (const std::size_t count = log_.take_reads_done(reads)) {
    for (std::size_t i = 0; i < count; ++i) {
      end_read(*reinterpret_cast<TaskItem*>(log_.get(reads[i]).word));
    }
  }
  if (log_.fenced() && !writes_failed_) fail_writes();
  run_stalled(stalled_writes_, now);
  run_stalled(stalled_reads_, now);
  end_memory_waits(now);
  if (retry_at_ <= now.instant) retry_open(now);
}

void PartitionOwner::run_stalled(Tasks& tasks, Now now) {
  while (Task* task = tasks.pop_front()) {
    if (run_items(*task, now)) continue;
    return tasks.push_front(*task);
  }
}

void PartitionOwner::on_advanced(log::PartitionLog& log) {
  OwnedPartition* partition = find(log.key());
  if (partition == nullptr) return;
  end_durable_waits(*partition);
  end_watches(*partition);
}

// Nothing more becomes durable: whoever waits for it is told so.
void PartitionOwner::fail_writes() {
  writes_failed_ = true;
  const kafka::ErrorCode fenced = kafka::to_error_code(Errc::fenced);
  for (auto& [key, partition] : partitions_) {
    while (TaskItem* item = partition->durable_waits.pop_front()) {
      item->error = fenced;
      close_item(*item);
    }
  }
  while (TaskItem* item = deletes_.pop_front()) {
    item->error = fenced;
    close_item(*item);
  }
}

}  // namespace tailrace::broker
