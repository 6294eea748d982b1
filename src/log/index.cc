// The file form, little-endian:
//
//   0 magic 8 | 8 version 4 | 12 entry_count 4 | 16 covered_bytes 8 | 24 max_timestamp 8
//   32 CRC-32C 4, of bytes 0 to 32 and of the entries | 36 zeros to 64
//   64 entries of 24: base_offset 8, segment_pos 8, max_timestamp_before 8 | zeros to 4 KiB
#include "log/index.h"

#include <algorithm>

#include "base/aligned.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "log/little_endian.h"

namespace tailrace::log {

namespace {

constexpr std::uint64_t magic = 0x3178'6469'6c72'7454U;  // "Ttrlidx1"
constexpr std::uint32_t version_now = 1;
constexpr std::size_t header_bytes = 64;
constexpr std::size_t crc_pos = 32;
constexpr std::size_t entry_bytes = 24;
static_assert(sizeof(IndexEntry) == entry_bytes);
static_assert(std::endian::native == std::endian::little);

bool follows(const IndexEntry& entry, const IndexEntry& previous) {
  return entry.base_offset > previous.base_offset && entry.segment_pos > previous.segment_pos &&
         entry.max_timestamp_before >= previous.max_timestamp_before;
}

}  // namespace

Index::Index(std::uint32_t interval_bytes, std::int64_t max_timestamp)
    : interval_bytes_(interval_bytes), max_timestamp_(max_timestamp) {
  TR_ASSERT(interval_bytes > 0);
}

void Index::on_batch(std::int64_t base_offset, std::uint64_t segment_pos,
                     std::int64_t max_timestamp) {
  const IndexEntry last = entries_.empty() ? IndexEntry{} : entries_.back();
  const IndexEntry entry{base_offset, segment_pos, max_timestamp_};
  // The first batch of a segment needs none: the front is where every search may start.
  if (segment_pos >= last.segment_pos + interval_bytes_ &&
      (entries_.empty() || follows(entry, last))) {
    entries_.push_back(entry);
  }
  max_timestamp_ = std::max(max_timestamp_, max_timestamp);
}

IndexEntry Index::at_or_before(std::int64_t offset) const {
  const auto behind = std::upper_bound(
      entries_.begin(), entries_.end(), offset,
      [](std::int64_t wanted, const IndexEntry& entry) { return wanted < entry.base_offset; });
  if (behind == entries_.begin()) return {.base_offset = -1};
  return *std::prev(behind);
}

IndexEntry Index::before_timestamp(std::int64_t timestamp) const {
  const auto behind = std::partition_point(
      entries_.begin(), entries_.end(),
      [&](const IndexEntry& entry) { return entry.max_timestamp_before < timestamp; });
  if (behind == entries_.begin()) return {.base_offset = -1};
  return *std::prev(behind);
}

void Index::encode(std::uint64_t covered_bytes, std::vector<std::byte>& bytes) const {
  const std::size_t content_bytes = header_bytes + entries_.size() * entry_bytes;
  bytes.assign(round_up(content_bytes, disk_block_bytes), std::byte{0});
  std::byte* at = bytes.data();
  store_le(at, magic);
  store_le(at + 8, version_now);
  store_le(at + 12, static_cast<std::uint32_t>(entries_.size()));
  store_le(at + 16, covered_bytes);
  store_le(at + 24, max_timestamp_);
  if (!entries_.empty()) {
    std::memcpy(at + header_bytes, entries_.data(), entries_.size() * entry_bytes);
  }
  const Bytes content = Bytes(bytes).subspan(header_bytes, entries_.size() * entry_bytes);
  store_le(at + crc_pos, crc32c(content, crc32c(Bytes(bytes).first(crc_pos))));
  TR_ASSERT(bytes.size() % disk_block_bytes == 0);
}

Result<Index::Decoded> Index::decode(Bytes bytes, std::uint32_t interval_bytes) {
  if (bytes.size() < header_bytes) return fail(Errc::truncated);
  const std::byte* at = bytes.data();
  if (load_le<std::uint64_t>(at) != magic) return fail(Errc::malformed);
  if (load_le<std::uint32_t>(at + 8) != version_now) return fail(Errc::unsupported);
  const auto count = load_le<std::uint32_t>(at + 12);
  // Before anything is reserved for them: a count of lies must not cost memory.
  if (count > (bytes.size() - header_bytes) / entry_bytes) return fail(Errc::truncated);
  const Bytes content = bytes.subspan(header_bytes, count * entry_bytes);
  if (load_le<std::uint32_t>(at + crc_pos) != crc32c(content, crc32c(bytes.first(crc_pos)))) {
    return fail(Errc::corrupt);
  }

  Decoded decoded{Index(interval_bytes), load_le<std::uint64_t>(at + 16)};
  decoded.index.max_timestamp_ = load_le<std::int64_t>(at + 24);
  decoded.index.entries_.resize(count);
  if (count > 0) std::memcpy(decoded.index.entries_.data(), content.data(), content.size());

  // A right CRC does not make sense of nonsense: the searches rely on the order.
  IndexEntry previous{.base_offset = -1};
  for (const IndexEntry& entry : decoded.index.entries_) {
    if (!follows(entry, previous)) return fail(Errc::malformed);
    previous = entry;
  }
  if (count > 0) {
    if (previous.segment_pos >= decoded.covered_bytes) return fail(Errc::malformed);
    if (previous.max_timestamp_before > decoded.index.max_timestamp_) return fail(Errc::malformed);
  }
  return decoded;
}

}  // namespace tailrace::log
