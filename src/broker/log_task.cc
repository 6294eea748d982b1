#include "broker/log_task.h"

#include <cstring>
#include <new>

#include "broker/core.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;

struct Work {
  Task task;
  TaskItem item;
};
static_assert(sizeof(Work) <= bus::LogTask::owner_bytes);
static_assert(alignof(Work) <= alignof(std::max_align_t));
static_assert(std::is_trivially_destructible_v<Work>);

Work& work_of(bus::LogTask& asked) {
  return *std::launder(reinterpret_cast<Work*>(asked.owner_room));
}

void begin(Core& core, bus::LogTask& asked, std::int64_t offset, Now now) {
  Work& work = *new (asked.owner_room) Work;
  const bool is_append = asked.kind == bus::LogTask::Kind::append;
  work.item.key = {asked.topic, asked.partition, asked.incarnation};
  work.item.epoch = is_append ? asked.leader_epoch : -1;
  work.item.records = asked.records;
  work.item.offset = offset;
  work.item.bytes_max = static_cast<std::uint32_t>(asked.room.size());
  work.item.at_least_one = true;
  work.task.kind = is_append ? TaskKind::append : TaskKind::take;
  work.task.from = bus::control_core;
  work.task.owner = core.core;
  work.task.transaction_version = asked.transaction_version;
  work.task.request = reinterpret_cast<std::uint64_t>(&asked);
  work.task.add(work.item);
  core.owner.begin(work.task, now);
}

void copy_read(bus::LogTask& asked, const TaskItem& item) {
  std::size_t bytes = 0;
  for (const Bytes piece : item.pieces) bytes += piece.size();
  if (bytes > asked.room.size()) {
    // One batch that is larger than what control may read of any.
    asked.error = to_wire(ErrorCode::message_too_large);
    return;
  }
  for (const Bytes piece : item.pieces) {
    std::memcpy(asked.room.data() + asked.bytes, piece.data(), piece.size());
    asked.bytes += piece.size();
  }
}

}  // namespace

void on_log_task(Core& core, bus::LogTask& asked, Now now) {
  TR_ASSERT(asked.owner == core.core);
  asked.error = 0;
  asked.bytes = 0;
  begin(core, asked, asked.offset, now);
}

void on_log_task_done(Core& core, Task& task, Now now) {
  bus::LogTask& asked = *reinterpret_cast<bus::LogTask*>(task.request);
  const TaskItem& item = work_of(asked).item;
  const bool is_read = asked.kind == bus::LogTask::Kind::read;
  const bool is_before_start =
      is_read && item.error == ErrorCode::offset_out_of_range && item.offset < item.log_start;
  if (is_before_start) return begin(core, asked, item.log_start, now);
  asked.error = to_wire(item.error);
  asked.base_offset = item.answer_offset;
  asked.end_offset = item.high_watermark;
  if (is_read && item.error == ErrorCode::none) copy_read(asked, item);
  if (is_read) core.owner.release(task);
  core.send(bus::control_core, bus::MessageKind::log_task_done, &asked);
}

}  // namespace tailrace::broker
