// The format of a WAL frame: one group commit, a multiple of 4 KiB, never rewritten within a lap.
//
//   0 header (64 B) | payloads, dense | entry table (72 B each) | zeros to 4 KiB
//
// Payloads lie dense, so that neighbouring batches of one partition are one span to a reader. The
// table stands behind them because its size is known only when the frame is sealed. All numbers
// are little-endian.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "log/partition_key.h"

namespace tailrace::log {

enum class EntryKind : std::uint8_t {
  // A RecordBatch, byte for byte as it goes to the segment. Kafka's CRC does not cover base
  // offset, length and leader epoch, so the entry repeats them.
  batch = 1,
  // The bytes of a segment's last, partial block at a checkpoint, logged before the first batch
  // that follows: the block will be rewritten, and a torn rewrite must not lose them.
  tail = 2,
  // The partition's log now starts at base_offset (DeleteRecords, retention).
  log_start = 3,
  // Everything from base_offset on is dropped; the next batch starts a new segment.
  truncate = 4,
  // The partition was removed: what came before with this key is gone, and its files are being
  // removed. Without it a replay would bring it back, without its files.
  remove = 5,
};

struct Entry {
  EntryKind kind = EntryKind::batch;
  PartitionKey key;
  std::int64_t base_offset = 0;       // tail: base offset of the segment
  std::int32_t leader_epoch = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t segment_base = 0;      // batch, tail: base offset of the segment it belongs to
  std::uint32_t segment_pos = 0;      // batch, tail: where in that segment the payload starts
  std::uint32_t payload_pos = 0;      // bytes from the start of the frame
  std::uint32_t payload_bytes = 0;
  // batch: the batch's own CRC (of its bytes from 21 on); else CRC-32C of the payload.
  std::uint32_t payload_crc = 0;
};

struct FrameHeader {
  Uuid wal;                      // drawn when the WAL was formatted
  // Drawn at each start. Frames that a crash left behind a lost one must not follow when that one
  // is written again, and a client that repeats itself may make it the same in all else.
  std::uint16_t life = 0;
  std::uint64_t seq = 0;         // grows by one per frame; the first is 1
  std::uint32_t frame_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t entry_count = 0;
  std::uint32_t previous_crc = 0;  // header_crc of frame seq - 1; 0 for the first
  // Every frame up to this one was durable when this one was sealed: what recovery tells a damaged
  // frame from a torn one by, whatever frames_in_flight_max was at the time.
  std::uint64_t durable_seq = 0;
  std::uint32_t header_crc = 0;    // covers the header and, through a CRC in it, the table
};

inline constexpr std::size_t frame_header_bytes = 64;
inline constexpr std::size_t frame_entry_bytes = 72;

// Writes header, table and padding round payloads that already lie at `frame` + 64. `frame` has
// room for header.frame_bytes. Returns the header CRC (the next frame's previous_crc).
std::uint32_t seal_frame(MutableBytes frame, const FrameHeader& header,
                         std::span<const Entry> entries);

// The size of a frame with so many payload bytes and entries.
std::uint32_t frame_size(std::size_t payload_bytes, std::size_t entry_count);

// Reads the header at the front of `bytes` (at least 64). Errors: malformed (no frame here),
// unsupported (a newer version), corrupt (header CRC).
Result<FrameHeader> parse_frame_header(Bytes bytes);

// Checks table and payloads of a whole frame whose header was parsed. Errors: corrupt.
Result<void> check_frame(Bytes frame, const FrameHeader& header);

// Entry `index` of a checked frame.
Entry frame_entry(Bytes frame, const FrameHeader& header, std::uint32_t index);

}  // namespace tailrace::log
