#include "control/log_appender.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// Larger batches save nothing more, and well below what a topic allows they are not refused.
constexpr std::size_t batch_bytes_soft_max = 256U << 10;
// Memory that a lane keeps when it has nothing to do.
constexpr std::size_t idle_bytes_max = 64U << 10;

record::NewRecord to_record(Bytes key, Bytes value, bool is_tombstone, std::int64_t wall_ms) {
  return {wall_ms, key, is_tombstone ? record::MaybeBytes(nullptr) : record::MaybeBytes(value), {}};
}

}  // namespace

LogAppender::LogAppender(std::size_t batch_bytes_max)
    : batch_bytes_max_(batch_bytes_max), builder_(batch_bytes_max) {}

bool LogAppender::add(const Target& target, const std::shared_ptr<Write>& write,
                      std::span<const Record> records, std::int64_t wall_ms) {
  const auto fits = [&](const Record& record) {
    const std::size_t size = record::record_bytes(
        to_record(record.key, record.value, record.is_tombstone, wall_ms), 0, 0);
    return record::header_bytes + size <= batch_bytes_max_;
  };
  if (!std::all_of(records.begin(), records.end(), fits)) {
    write->error = ErrorCode::message_too_large;
    return false;
  }
  std::unique_ptr<Lane>& lane = lanes_[target.partition];
  if (lane == nullptr) {
    lane = std::make_unique<Lane>();
    lane->target = target;
  }
  TR_ASSERT(lane->target == target);
  for (const Record& record : records) {
    lane->items.push_back({.key_bytes = static_cast<std::uint32_t>(record.key.size()),
                           .value_bytes = static_cast<std::uint32_t>(record.value.size()),
                           .is_tombstone = record.is_tombstone,
                           .wall_ms = wall_ms,
                           .write = write});
    lane->bytes.insert(lane->bytes.end(), record.key.begin(), record.key.end());
    lane->bytes.insert(lane->bytes.end(), record.value.begin(), record.value.end());
    bytes_ += record.key.size() + record.value.size();
    ++write->records_out;
  }
  make_ready(*lane);
  return write->records_out > 0;
}

void LogAppender::make_ready(Lane& lane) {
  if (lane.is_ready || lane.sent > 0 || lane.items.empty()) return;
  lane.is_ready = true;
  ready_.push_back(&lane);
}

void LogAppender::drop(std::int32_t partition, Writes& ended) {
  const auto found = lanes_.find(partition);
  if (found == lanes_.end()) return;
  std::unique_ptr<Lane> lane = std::move(found->second);
  lanes_.erase(found);
  if (lane->is_ready) std::erase(ready_, lane.get());
  for (std::size_t i = lane->sent; i < lane->items.size(); ++i) {
    end(lane->items[i], ErrorCode::not_coordinator, ended);
  }
  bytes_ -= lane->bytes.size() - lane->sent_bytes;
  lane->items.resize(lane->sent);
  lane->bytes.resize(lane->sent_bytes);
  if (lane->sent > 0) dropped_.push_back(std::move(lane));
}

void LogAppender::flush(std::vector<bus::LogTask*>& tasks) {
  for (Lane* lane : std::exchange(ready_, {})) {
    lane->is_ready = false;
    send(*lane, tasks);
  }
}

void LogAppender::send(Lane& lane, std::vector<bus::LogTask*>& tasks) {
  TR_ASSERT(lane.sent == 0);
  builder_.start();
  std::size_t at = 0;
  const std::size_t count = std::min(lane.items.size(), lane.batch_records_max);
  for (; lane.sent < count; ++lane.sent) {
    const Item& item = lane.items[lane.sent];
    const Bytes all(lane.bytes);
    const Bytes key = all.subspan(at, item.key_bytes);
    const Bytes value = all.subspan(at + item.key_bytes, item.value_bytes);
    const bool is_full = lane.sent > 0 && builder_.size_bytes() >= batch_bytes_soft_max;
    if (is_full || !builder_.add(to_record(key, value, item.is_tombstone, item.wall_ms))) break;
    at += item.key_bytes + item.value_bytes;
  }
  TR_ASSERT(lane.sent > 0);  // Each fits into a batch of its own: add() has tried.
  lane.sent_bytes = at;
  const Result<Bytes> batch = builder_.finish();
  TR_ASSERT(batch.has_value());
  lane.batch.assign(batch->begin(), batch->end());
  bus::LogTask& task = lane.task;
  task.kind = bus::LogTask::Kind::append;
  task.owner = lane.target.owner;
  task.topic = lane.target.topic;
  task.partition = lane.target.partition;
  task.incarnation = lane.target.incarnation;
  task.leader_epoch = lane.target.leader_epoch;
  task.records = lane.batch;
  tasks.push_back(&task);
  out_.emplace(&task, &lane);
}

bool LogAppender::on_done(const bus::LogTask* task, Writes& ended) {
  const auto found = out_.find(task);
  if (found == out_.end()) return false;
  Lane& lane = *found->second;
  out_.erase(found);
  const auto error = static_cast<ErrorCode>(task->error);
  if (error == ErrorCode::message_too_large && lane.sent > 1) {
    // The topic was given a smaller max.message.bytes; a large request must not fail a small one.
    lane.batch_records_max = lane.sent / 2;
    lane.sent = 0;
    lane.sent_bytes = 0;
    const auto kept = lanes_.find(lane.target.partition);
    if (kept != lanes_.end() && kept->second.get() == &lane) {
      make_ready(lane);
      return true;
    }
    for (Item& item : lane.items) end(item, ErrorCode::not_coordinator, ended);
    lane.sent = lane.items.size();
    lane.sent_bytes = lane.bytes.size();
  } else {
    if (error == ErrorCode::none && lane.batch_records_max < SIZE_MAX / 2) {
      lane.batch_records_max *= 2;
    }
    for (std::size_t i = 0; i < lane.sent; ++i) end(lane.items[i], error, ended);
  }
  remove_front(lane);
  make_ready(lane);
  std::erase_if(dropped_, [&lane](const auto& one) { return one.get() == &lane; });
  return true;
}

void LogAppender::end(Item& item, ErrorCode error, Writes& ended) {
  if (error != ErrorCode::none) item.write->error = error;
  if (--item.write->records_out == 0) ended.push_back(std::move(item.write));
}

void LogAppender::remove_front(Lane& lane) {
  bytes_ -= lane.sent_bytes;
  lane.items.erase(lane.items.begin(),
                   lane.items.begin() + static_cast<std::ptrdiff_t>(lane.sent));
  lane.bytes.erase(lane.bytes.begin(),
                   lane.bytes.begin() + static_cast<std::ptrdiff_t>(lane.sent_bytes));
  lane.sent = 0;
  lane.sent_bytes = 0;
  const bool is_large = lane.bytes.capacity() + lane.batch.capacity() > idle_bytes_max;
  if (!lane.items.empty() || !is_large) return;
  lane.bytes = {};
  lane.batch = {};
  lane.items = {};
}

}  // namespace tailrace::control
