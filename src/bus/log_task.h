// LogTask: what the control thread asks of the log of an internal partition: append records, or
// read some. Lent to the core that owns the partition, and back.
//
//   control ── log_task ──▶ owner core: appends and waits until it is durable, or reads and copies
//           ◀─ log_task_done ──
//
// Tasks for one partition are carried out in the order in which they were sent; appends also end
// in that order. The object and all bytes it points at are control's memory; between the two
// messages they are the core's. Every task comes home, with an error if need be: a partition that
// is removed or a log that fails ends its tasks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/uuid.h"
#include "bus/message.h"

namespace tailrace::bus {

struct LogTask {
  enum class Kind : std::uint8_t { append, read };

  // --- asked
  Kind kind = Kind::append;
  CoreId owner = 0;
  Uuid topic;
  std::int32_t partition = 0;
  std::uint32_t incarnation = 0;
  std::int32_t leader_epoch = -1;  // under which it is asked; another one is an error
  // append: one whole batch. It may be a control batch, which ends the transaction of its producer
  // (record/control_record.h), or transactional without sequences (offsets of a transaction).
  Bytes records;
  std::int8_t transaction_version = 0;  // append of a marker: of the transaction that it ends
  std::int64_t offset = 0;         // read: from the batch that holds it; below the start of the
                                   // log: from there
  MutableBytes room;               // read: whole batches are copied into it, as many as fit
  std::uint64_t tag = 0;           // control's

  // --- answered
  std::int16_t error = 0;          // Kafka's code
  std::int64_t base_offset = -1;   // append: of the batch, which is durable
  std::int64_t end_offset = -1;    // read: where the durable log ends
  std::size_t bytes = 0;           // read: filled of `room`; 0 when nothing follows `offset`

  // --- the owner's: where it keeps what it needs until the task is done
  static constexpr std::size_t owner_bytes = 640;
  alignas(alignof(std::max_align_t)) std::byte owner_room[owner_bytes];
};

}  // namespace tailrace::bus
