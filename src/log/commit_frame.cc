#include "log/commit_frame.h"

#include "base/aligned.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "log/little_endian.h"
#include "record/batch_view.h"

namespace tailrace::log {
namespace {

// "TRWF", read as a little-endian number.
constexpr std::uint32_t magic = 0x4657'5254U;
constexpr std::uint16_t version_now = 1;

// The header, by bytes:
//    0 magic 4 | 4 version 2 | 6 life 2 | 8 wal 16 | 24 seq 8 | 32 frame_bytes 4
//   36 payload_bytes 4 | 40 entry_count 4 | 44 previous_crc 4 | 48 durable_seq 8
//   56 table_crc 4 | 60 header_crc 4 (of bytes 0 to 59)
constexpr std::size_t table_crc_pos = 56;
constexpr std::size_t header_crc_pos = 60;
static_assert(header_crc_pos + 4 == frame_header_bytes);

// An entry, by bytes:
//    0 kind 1 | 1 zero 3 | 4 leader_epoch 4 | 8 topic 16 | 24 partition 4 | 28 incarnation 4
//   32 base_offset 8 | 40 segment_base 8 | 48 last_offset_delta 4 | 52 segment_pos 4
//   56 payload_pos 4 | 60 payload_bytes 4 | 64 payload_crc 4 | 68 zero 4
constexpr std::size_t entry_last_pos = 68;
static_assert(entry_last_pos + 4 == frame_entry_bytes);

void store_entry(std::byte* to, const Entry& entry) {
  std::memset(to, 0, frame_entry_bytes);
  store_le(to, static_cast<std::uint8_t>(entry.kind));
  store_le(to + 4, entry.leader_epoch);
  std::memcpy(to + 8, entry.key.topic.bytes.data(), 16);
  store_le(to + 24, entry.key.partition);
  store_le(to + 28, entry.key.incarnation);
  store_le(to + 32, entry.base_offset);
  store_le(to + 40, entry.segment_base);
  store_le(to + 48, entry.last_offset_delta);
  store_le(to + 52, entry.segment_pos);
  store_le(to + 56, entry.payload_pos);
  store_le(to + 60, entry.payload_bytes);
  store_le(to + 64, entry.payload_crc);
}

Entry load_entry(const std::byte* from) {
  Entry entry;
  entry.kind = static_cast<EntryKind>(load_le<std::uint8_t>(from));
  entry.leader_epoch = load_le<std::int32_t>(from + 4);
  std::memcpy(entry.key.topic.bytes.data(), from + 8, 16);
  entry.key.partition = load_le<std::int32_t>(from + 24);
  entry.key.incarnation = load_le<std::uint32_t>(from + 28);
  entry.base_offset = load_le<std::int64_t>(from + 32);
  entry.segment_base = load_le<std::uint64_t>(from + 40);
  entry.last_offset_delta = load_le<std::int32_t>(from + 48);
  entry.segment_pos = load_le<std::uint32_t>(from + 52);
  entry.payload_pos = load_le<std::uint32_t>(from + 56);
  entry.payload_bytes = load_le<std::uint32_t>(from + 60);
  entry.payload_crc = load_le<std::uint32_t>(from + 64);
  return entry;
}

bool is_known(EntryKind kind) {
  switch (kind) {
    case EntryKind::batch:
    case EntryKind::tail:
    case EntryKind::log_start:
    case EntryKind::truncate:
    case EntryKind::remove: return true;
  }
  return false;
}

// The fields that Kafka's CRC leaves out are compared with the entry, the rest with the CRC.
bool is_whole_batch(Bytes payload, const Entry& entry) {
  const Result<record::BatchHeader> header = record::parse_header(payload);
  if (!header) return false;
  return header->size_bytes() == payload.size() && header->base_offset == entry.base_offset &&
         header->leader_epoch == entry.leader_epoch &&
         header->last_offset_delta == entry.last_offset_delta &&
         header->crc == entry.payload_crc &&
         crc32c(payload.subspan(record::crc_start)) == entry.payload_crc;
}

}  // namespace

std::uint32_t seal_frame(MutableBytes frame, const FrameHeader& header,
                         std::span<const Entry> entries) {
  TR_ASSERT(header.entry_count == entries.size());
  TR_ASSERT(header.frame_bytes == frame_size(header.payload_bytes, entries.size()));
  TR_ASSERT(header.frame_bytes <= frame.size());
  TR_ASSERT(header.seq > 0);
  TR_ASSERT(header.durable_seq < header.seq);

  const std::size_t table_pos = frame_header_bytes + header.payload_bytes;
  std::byte* at = frame.data() + table_pos;
  for (const Entry& entry : entries) {
    TR_ASSERT(entry.payload_pos + std::size_t{entry.payload_bytes} <= table_pos);
    store_entry(at, entry);
    at += frame_entry_bytes;
  }
  const std::size_t table_bytes = entries.size() * frame_entry_bytes;
  // Zeros, not what the chunk held before: bytes of one partition never leak into another's frame.
  std::memset(at, 0, header.frame_bytes - table_pos - table_bytes);

  std::byte* to = frame.data();
  store_le(to, magic);
  store_le(to + 4, version_now);
  store_le(to + 6, header.life);
  std::memcpy(to + 8, header.wal.bytes.data(), 16);
  store_le(to + 24, header.seq);
  store_le(to + 32, header.frame_bytes);
  store_le(to + 36, header.payload_bytes);
  store_le(to + 40, header.entry_count);
  store_le(to + 44, header.previous_crc);
  store_le(to + 48, header.durable_seq);
  store_le(to + table_crc_pos, crc32c(frame.subspan(table_pos, table_bytes)));
  const std::uint32_t header_crc = crc32c(frame.first(header_crc_pos));
  store_le(to + header_crc_pos, header_crc);
  return header_crc;
}

std::uint32_t frame_size(std::size_t payload_bytes, std::size_t entry_count) {
  const std::uint64_t bytes = round_up(
      frame_header_bytes + payload_bytes + entry_count * frame_entry_bytes, disk_block_bytes);
  TR_ASSERT(bytes <= UINT32_MAX);
  return static_cast<std::uint32_t>(bytes);
}

Result<FrameHeader> parse_frame_header(Bytes bytes) {
  TR_ASSERT(bytes.size() >= frame_header_bytes);
  const std::byte* from = bytes.data();
  if (load_le<std::uint32_t>(from) != magic) return fail(Errc::malformed);
  FrameHeader header;
  header.header_crc = load_le<std::uint32_t>(from + header_crc_pos);
  if (crc32c(bytes.first(header_crc_pos)) != header.header_crc) return fail(Errc::corrupt);
  const auto version = load_le<std::uint16_t>(from + 4);
  if (version != version_now) return fail(Errc::unsupported, version);
  header.life = load_le<std::uint16_t>(from + 6);
  std::memcpy(header.wal.bytes.data(), from + 8, 16);
  header.seq = load_le<std::uint64_t>(from + 24);
  header.frame_bytes = load_le<std::uint32_t>(from + 32);
  header.payload_bytes = load_le<std::uint32_t>(from + 36);
  header.entry_count = load_le<std::uint32_t>(from + 40);
  header.previous_crc = load_le<std::uint32_t>(from + 44);
  header.durable_seq = load_le<std::uint64_t>(from + 48);
  // A CRC proves no intent: whatever it is, the sizes must agree before anybody trusts them.
  const std::uint64_t used_bytes = frame_header_bytes + std::uint64_t{header.payload_bytes} +
                                   std::uint64_t{header.entry_count} * frame_entry_bytes;
  if (header.frame_bytes != round_up(used_bytes, disk_block_bytes)) return fail(Errc::corrupt);
  if (header.seq == 0 || header.durable_seq >= header.seq) return fail(Errc::corrupt);
  return header;
}

Result<void> check_frame(Bytes frame, const FrameHeader& header) {
  TR_ASSERT(frame.size() >= header.frame_bytes);
  const std::size_t table_pos = frame_header_bytes + header.payload_bytes;
  const Bytes table = frame.subspan(table_pos, header.entry_count * frame_entry_bytes);
  const auto table_crc = load_le<std::uint32_t>(frame.data() + table_crc_pos);
  if (crc32c(table) != table_crc) return fail(Errc::corrupt);

  // Payloads lie dense and in order, so that every byte of them is covered by some entry's CRC.
  std::size_t payload_pos = frame_header_bytes;
  for (std::uint32_t i = 0; i < header.entry_count; ++i) {
    const Entry entry = load_entry(table.data() + i * frame_entry_bytes);
    if (!is_known(entry.kind)) return fail(Errc::corrupt);
    if (entry.payload_pos != payload_pos) return fail(Errc::corrupt);
    if (entry.payload_bytes > table_pos - payload_pos) return fail(Errc::corrupt);
    const Bytes payload = frame.subspan(payload_pos, entry.payload_bytes);
    const bool whole = entry.kind == EntryKind::batch ? is_whole_batch(payload, entry)
                                                      : crc32c(payload) == entry.payload_crc;
    if (!whole) return fail(Errc::corrupt);
    payload_pos += entry.payload_bytes;
  }
  if (payload_pos != table_pos) return fail(Errc::corrupt);
  return {};
}

Entry frame_entry(Bytes frame, const FrameHeader& header, std::uint32_t index) {
  TR_ASSERT(index < header.entry_count);
  const std::size_t entry_pos =
      frame_header_bytes + header.payload_bytes + std::size_t{index} * frame_entry_bytes;
  TR_ASSERT(entry_pos + frame_entry_bytes <= frame.size());
  return load_entry(frame.data() + entry_pos);
}

}  // namespace tailrace::log
