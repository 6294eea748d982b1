// Work for the owner of partitions: what a request asks of one core, its own or another.
//
//   asking core                                   owning core
//   ------------                                  -----------
//   submit  ── task ───────────────────────────▶  appends, watches, reads, ...
//   (cancel ── task_cancel ────────────────────▶  ends it at once; answers with what there is)
//   done    ◀── task_done ──────────────────────
//   release ── task_release ───────────────────▶  unpins the bytes that were read
//   gone    ◀── task_released ──────────────────
//
// With both roles on one core the same functions are called without messages. A task and its
// items belong to one side at a time; the memory is the asking request's. A cancel may cross the
// task's own answer: the asker therefore waits for both the answer and the cancel's, and touches
// nothing before.
//
// A fetch goes twice: `watch` tells which partitions have data (or waits for some), then, with
// limits that only the asker can give since it knows the order of the request, `take` reads.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/slab.h"
#include "broker/intrusive_list.h"
#include "bus/message.h"
#include "kafka/errors.h"
#include "log/partition_key.h"

namespace tailrace::log {
struct AbortedRange;
struct Read;
}

namespace tailrace::broker {

enum class TaskKind : std::uint8_t {
  append,          // records, epoch -> answer_offset, timestamp, log_start; durable (but acks=0).
                   // Or nothing was appended: see Task::needs_verification
  watch,           // offset, epoch (last fetched) -> bytes (about), ends, log_start
  take,            // offset, bytes_max, at_least_one -> pieces, aborted, ends, log_start
  list_offsets,    // timestamp (or a special value) -> answer_offset, _timestamp, _epoch
  epoch_end,       // epoch -> answer_epoch, answer_offset
  delete_records,  // offset -> log_start; durable
  log_size,        // -> bytes
  describe_producers,  // -> producers
};

// What DescribeProducers tells of one.
struct ActiveProducer {
  std::int64_t producer_id = -1;
  std::int64_t last_timestamp = -1;
  std::int64_t transaction_start = -1;
  std::int32_t last_sequence = -1;
  std::int32_t coordinator_epoch = -1;
  std::int16_t epoch = -1;
};

struct Task;
struct OwnedPartition;

// One partition's share of a task.
struct TaskItem {
  // --- asked
  log::PartitionKey key;
  Bytes records;
  std::int64_t offset = 0;
  std::int64_t timestamp = -1;
  std::int32_t epoch = -1;
  std::uint32_t bytes_max = 0;
  bool at_least_one = false;
  bool skip = false;              // nothing is wanted of this one
  bool is_transactional = false;  // append: the batch is part of a transaction
  bool is_verified = false;       // append: the coordinator has said so, since the guard was told
  std::uint64_t guard = 0;        // append: told with needs_verification, given back

  // --- answered
  kafka::ErrorCode error = kafka::ErrorCode::none;
  std::int32_t bad_record = -1;   // append: index of the record that was refused
  std::int64_t answer_offset = -1;
  std::int64_t answer_timestamp = -1;
  std::int32_t answer_epoch = -1;
  bool diverges = false;          // watch: answer_epoch and _offset tell where
  std::int64_t high_watermark = -1;
  std::int64_t stable_end = -1;
  std::int64_t log_start = -1;
  std::uint64_t bytes = 0;
  bool needs_verification = false;
  // These stay until the task is released.
  std::span<const Bytes> pieces;
  std::span<const log::AbortedRange> aborted;  // take with read_committed: in what was read
  std::span<const ActiveProducer> producers;

  // --- the asker's
  std::uint32_t topic_index = 0;
  std::int32_t partition_index = 0;
  std::uint32_t session_index = 0;  // in the fetch session

  // --- the owner's
  Task* task = nullptr;
  TaskItem* next_in_task = nullptr;
  OwnedPartition* partition = nullptr;
  Link<TaskItem> wait_link;       // in the partition's list of what waits
  std::int64_t wait_offset = -1;  // append, list_offsets: until the durable end is here
  std::uint64_t wait_seq = 0;     // delete_records: until this frame is durable
  Handle<log::Read> read;
  MutableBytes copy;              // take: aborted, and what was read from the disk; or producers
  Bytes copied;                   // the part of it that is filled, as `pieces` names it
};

struct Task {
  TaskKind kind = TaskKind::append;
  bus::CoreId from = 0;
  bus::CoreId owner = 0;
  bool wait_durable = true;       // append
  bool is_transactional = false;  // append: some item is
  // Append: all items were verified that had to be. Without it none is appended when one has to,
  // and the task comes home with needs_verification.
  bool is_verified = false;
  bool needs_verification = false;
  bool epoch_per_transaction = false;   // append, of clients that verify by adding (KIP-890)
  std::int8_t transaction_version = 0;  // append, of a marker
  bool read_committed = false;    // watch, take, list_offsets
  std::uint64_t bytes_min = 0;    // watch: done when so many are there
  TaskItem* first = nullptr;
  TaskItem* last = nullptr;
  std::uint32_t item_count = 0;
  std::uint64_t request = 0;      // the asker's: a packed handle

  // --- the asker's
  bool is_out = false;
  bool cancel_is_out = false;
  bool holds_reads = false;
  std::uint64_t bytes_known = 0;  // watch: as last told, also while it watches again

  // --- the owner's
  bool is_open = false;           // at the owner, not yet answered
  std::uint32_t items_open = 0;
  std::uint64_t bytes_ready = 0;
  TaskItem* next_item = nullptr;  // append, delete_records, take: the first that was not begun
  std::uint64_t image_version = 0;
  bool is_parked = false;         // waits for the image it was made under
  Link<Task> link;                // in one of the owner's queues

  void add(TaskItem& item) {
    item.task = this;
    item.next_in_task = nullptr;
    (first == nullptr ? first : last->next_in_task) = &item;
    last = &item;
    ++item_count;
  }
};

}  // namespace tailrace::broker
