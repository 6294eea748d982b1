#include "broker/scatter.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "broker/answer.h"
#include "broker/core.h"
#include "broker/log_task.h"
#include "broker/verification.h"

namespace tailrace::broker {
namespace {

constexpr std::uint64_t cancel_answered = 1;  // Message::word of a task_done

template <class T>
std::span<T> take(std::byte*& at, std::size_t count) {
  T* first = reinterpret_cast<T*>(at);
  for (std::size_t i = 0; i < count; ++i) new (first + i) T{};
  at += count * sizeof(T);
  static_assert(sizeof(T) % alignof(std::uint64_t) == 0);
  return {first, count};
}

Request& request_of(Core& core, const Task& task) {
  return core.requests.at(Handle<Request>::unpacked(task.request));
}

void on_message_home(Core& core, Request& request, Task& task, Now now) {
  TR_ASSERT(request.messages_out > 0);
  --request.messages_out;
  if (request.state == Request::State::leaving || request.is_orphan) {
    if (request.messages_out == 0) leave(core, request);
    return;
  }
  if (is_api(request, kafka::ApiKey::fetch)) {
    return on_fetch_task_home(core, request, task, now);
  }
  if (request.messages_out > 0) return;
  if (wants_verification(request)) return verify(core, request, now);
  make_ready(core, request);
}

void on_task(Core& core, Task& task, std::uint64_t image_version, Now now) {
  const std::uint64_t own = core.image == nullptr ? 0 : core.image->version;
  if (image_version <= own) return core.owner.begin(task, now);
  task.image_version = image_version;
  task.is_parked = true;
  core.parked.push_back(task);
}

void on_cancel(Core& core, Task& task, bus::CoreId from, Now now) {
  if (task.is_parked) {
    task.is_parked = false;
    core.parked.remove(task);
    for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
      item->error = kafka::ErrorCode::not_leader_or_follower;
    }
    core.send(from, bus::MessageKind::task_done, &task);
  } else {
    core.owner.cancel(task);
    drain_done(core, now);  // The task's answer goes before the cancel's.
  }
  core.send(from, bus::MessageKind::task_done, &task, cancel_answered);
}

}  // namespace

Started allocate_state(Core& core, Request& request, const Extent& extent) {
  const std::size_t count = extent.topic_count + extent.item_count;
  if (count > core.limits.asked_max()) {
    log_event(LogLevel::warn, "broker",
              "client {}: api {} about {} topics and partitions; {} are allowed",
              peer_of(core, request).text(), request.api_key, count, core.limits.asked_max());
    return Started::close;
  }
  const std::size_t bytes = extent.topic_count * sizeof(AskedTopic) +
                            extent.item_count * sizeof(TaskItem) +
                            core.limits.core_count * sizeof(Task) + extent.name_bytes;
  if (bytes > core.answer_memory.piece_bytes_max()) {
    log_event(LogLevel::warn, "broker",
              "client {}: api {} needs {} bytes to be worked on; answer memory has room for "
              "{}",
              peer_of(core, request).text(), request.api_key, bytes,
              core.answer_memory.piece_bytes_max());
    return Started::close;
  }
  request.memory = core.answer_memory.allocate(bytes);
  if (request.memory.empty()) return Started::no_memory;
  std::byte* at = request.memory.data();
  request.topics = take<AskedTopic>(at, extent.topic_count);
  request.items = take<TaskItem>(at, extent.item_count);
  request.tasks = take<Task>(at, core.limits.core_count);
  for (std::size_t i = 0; i < request.tasks.size(); ++i) {
    Task& task = request.tasks[i];
    task.from = core.core;
    task.owner = static_cast<bus::CoreId>(i);
    task.request = request.id.packed();
  }
  return Started::yes;
}

StateBuilder::StateBuilder(Request& request)
    : request_(request),
      name_(reinterpret_cast<char*>(request.tasks.data() + request.tasks.size())) {}

AskedTopic& StateBuilder::add_topic(std::string_view name, const Uuid& id) {
  AskedTopic& topic = request_.topics[topic_count_++];
  // A topic that is asked for by its id has no name, not even an empty one.
  if (!name.empty()) std::memcpy(name_, name.data(), name.size());
  topic.name = {name_, name.size()};
  name_ += name.size();
  TR_ASSERT(reinterpret_cast<std::byte*>(name_) <=
            request_.memory.data() + request_.memory.size());
  topic.id = id;
  topic.item_first = static_cast<std::uint32_t>(item_count_);
  return topic;
}

TaskItem& StateBuilder::add_item(std::int32_t partition_index) {
  TR_ASSERT(item_count_ < request_.items.size());
  TaskItem& item = request_.items[item_count_++];
  item.topic_index = static_cast<std::uint32_t>(topic_count_ - 1);
  item.partition_index = partition_index;
  ++request_.topics[topic_count_ - 1].item_count;
  return item;
}

const bus::TopicImage* find_topic(const Core& core, const AskedTopic& topic, bool by_id) {
  return by_id ? core.image->find_topic(topic.id) : core.image->find_topic(topic.name);
}

bool assign(Core& core, Request& request, TaskItem& item, const bus::TopicImage* topic,
            bool by_id, std::int32_t leader_epoch) {
  using kafka::ErrorCode;
  if (topic == nullptr) {
    item.error = by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
    return false;
  }
  const auto index = static_cast<std::size_t>(item.partition_index);
  if (item.partition_index < 0 || index >= topic->partitions.size()) {
    item.error = ErrorCode::unknown_topic_or_partition;
    return false;
  }
  const bus::PartitionImage& partition = topic->partitions[index];
  if (partition.leader != core.image->node_id || partition.owner >= request.tasks.size()) {
    item.error = ErrorCode::not_leader_or_follower;
    return false;
  }
  if (leader_epoch >= 0 && leader_epoch != partition.leader_epoch) {
    item.error = leader_epoch < partition.leader_epoch ? ErrorCode::fenced_leader_epoch
                                                       : ErrorCode::unknown_leader_epoch;
    return false;
  }
  item.key = {topic->id, partition.index, partition.incarnation};
  request.tasks[partition.owner].add(item);
  return true;
}

void submit_task(Core& core, Request& request, Task& task, Now now) {
  TR_ASSERT(!task.is_out);
  task.is_out = true;
  ++request.messages_out;
  if (task.owner == core.core) return core.owner.begin(task, now);
  core.counters.tasks_sent.add();
  core.send(task.owner, bus::MessageKind::task, &task);
}

void submit_tasks(Core& core, Request& request, TaskKind kind, Now now) {
  for (Task& task : request.tasks) {
    if (task.item_count == 0) continue;
    task.kind = kind;
    submit_task(core, request, task, now);
  }
  if (request.messages_out == 0) make_ready(core, request);
}

void cancel_task(Core& core, Request& request, Task& task) {
  if (!task.is_out || task.cancel_is_out) return;
  if (task.owner == core.core) return core.owner.cancel(task);
  task.cancel_is_out = true;
  ++request.messages_out;
  core.send(task.owner, bus::MessageKind::task_cancel, &task);
}

void cancel_tasks(Core& core, Request& request) {
  request.fetch.expired = true;
  for (Task& task : request.tasks) cancel_task(core, request, task);
}

void release_tasks(Core& core, Request& request) {
  for (Task& task : request.tasks) {
    if (!task.holds_reads) continue;
    task.holds_reads = false;
    if (task.owner == core.core) {
      core.owner.release(task);
      continue;
    }
    ++request.releases_out;
    core.send(task.owner, bus::MessageKind::task_release, &task);
  }
}

void drain_done(Core& core, Now now) {
  while (Task* task = core.owner.take_done()) {
    if (task->from == bus::control_core) {
      on_log_task_done(core, *task, now);
      continue;
    }
    if (task->from != core.core) {
      core.send(task->from, bus::MessageKind::task_done, task);
      continue;
    }
    task->is_out = false;
    on_message_home(core, request_of(core, *task), *task, now);
  }
}

void on_task_message(Core& core, const bus::Message& message, Now now) {
  Task& task = *static_cast<Task*>(message.object);
  switch (message.kind) {
    case bus::MessageKind::task: return on_task(core, task, message.image_version, now);
    case bus::MessageKind::task_cancel: return on_cancel(core, task, message.from, now);
    case bus::MessageKind::task_release:
      core.owner.release(task);
      return core.send(message.from, bus::MessageKind::task_released, &task);
    case bus::MessageKind::task_done:
      (message.word == cancel_answered ? task.cancel_is_out : task.is_out) = false;
      return on_message_home(core, request_of(core, task), task, now);
    case bus::MessageKind::task_released: {
      Request& request = request_of(core, task);
      TR_ASSERT(request.releases_out > 0);
      if (--request.releases_out == 0) leave(core, request);
      return;
    }
    case bus::MessageKind::control_request:
    case bus::MessageKind::reply_released:
    case bus::MessageKind::image_adopted:
    case bus::MessageKind::control_reply:
    case bus::MessageKind::reply_gone:
    case bus::MessageKind::image_published:
    case bus::MessageKind::log_task:
    case bus::MessageKind::log_task_done:
    case bus::MessageKind::quota_report:
    case bus::MessageKind::quota_report_done:
    case bus::MessageKind::stop: break;  // Not about tasks.
  }
  TR_ASSERT(false);
}

void unpark_tasks(Core& core, Now now) {
  for (Task* task = core.parked.front(); task != nullptr;) {
    Task* const next = core.parked.next(*task);
    if (task->image_version <= core.image->version) {
      task->is_parked = false;
      core.parked.remove(*task);
      core.owner.begin(*task, now);
    }
    task = next;
  }
}

}  // namespace tailrace::broker
