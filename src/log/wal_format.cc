#include "log/wal_format.h"

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "base/crc32c.h"
#include "log/little_endian.h"

namespace tailrace::log {
namespace {

// "TRWL", read as a little-endian number. The block, by bytes:
//   0 magic 4 | 4 version 4 | 8 wal 16 | 24 ring_bytes 8 | 32 crc 4 (of bytes 0 to 31) | zeros
constexpr std::uint32_t magic = 0x4c57'5254U;
constexpr std::size_t crc_pos = 32;

constexpr std::size_t write_bytes_max = std::size_t{1} << 20;
constexpr std::uint32_t writes_max = 4;

}  // namespace

void store_wal_format(MutableBytes block, const WalFormatBlock& format) {
  TR_ASSERT(block.size() == disk_block_bytes);
  TR_ASSERT(format.ring_bytes > 0);
  TR_ASSERT(format.ring_bytes % disk_block_bytes == 0);
  std::memset(block.data(), 0, block.size());
  store_le(block.data(), magic);
  store_le(block.data() + 4, WalFormatBlock::version_now);
  std::memcpy(block.data() + 8, format.wal.bytes.data(), 16);
  store_le(block.data() + 24, format.ring_bytes);
  store_le(block.data() + crc_pos, crc32c(block.first(crc_pos)));
}

Result<WalFormatBlock> parse_wal_format(Bytes block) {
  if (block.size() < disk_block_bytes) return fail(Errc::malformed);
  if (load_le<std::uint32_t>(block.data()) != magic) return fail(Errc::malformed);
  if (load_le<std::uint32_t>(block.data() + crc_pos) != crc32c(block.first(crc_pos))) {
    return fail(Errc::corrupt);
  }
  const auto version = load_le<std::uint32_t>(block.data() + 4);
  if (version != WalFormatBlock::version_now) {
    return fail(Errc::unsupported, static_cast<std::uint16_t>(version));
  }
  WalFormatBlock format;
  std::memcpy(format.wal.bytes.data(), block.data() + 8, 16);
  format.ring_bytes = load_le<std::uint64_t>(block.data() + 24);
  if (format.ring_bytes == 0 || format.ring_bytes % disk_block_bytes != 0) {
    return fail(Errc::corrupt);
  }
  return format;
}

WalFormat::WalFormat(const Limits& limits, std::string_view path, const Uuid& wal, OpQueue& queue)
    : queue_(queue),
      path_(path),
      ring_bytes_(limits.wal_bytes),
      zeros_(std::min<std::uint64_t>(write_bytes_max, limits.wal_bytes + disk_block_bytes)),
      block_(disk_block_bytes) {
  store_wal_format(block_.bytes(), {.wal = wal, .ring_bytes = ring_bytes_});
}

void WalFormat::step() {
  switch (phase_) {
    case Phase::opening:
      if (!started_) {
        started_ = true;
        push({.kind = DiskOpKind::open, .flags = open_create, .name = path_});
      }
      break;
    case Phase::zeroing: push_zeros(); break;
    // These wait for one completion, or have nothing left to do.
    case Phase::syncing_zeros:
    case Phase::writing_block:
    case Phase::syncing_block:
    case Phase::closing:
    case Phase::done:
    case Phase::failed: break;
  }
}

void WalFormat::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::wal_format);
  TR_ASSERT(in_flight_count_ > 0);
  --in_flight_count_;
  if (phase_ == Phase::closing) {
    // What was to be kept is synced: a failing close loses nothing.
    phase_ = error_number_ == 0 ? Phase::done : Phase::failed;
    return;
  }
  if (const std::int32_t error_number = error_of(done); error_number != 0) {
    if (error_number_ == 0) error_number_ = error_number;
  }
  if (error_number_ != 0) {
    if (phase_ == Phase::opening) {
      phase_ = Phase::failed;
    } else if (in_flight_count_ == 0) {
      close_file();
    }
    return;
  }
  on_success(done);
}

void WalFormat::on_success(const DiskDone& done) {
  TR_ASSERT(error_number_ == 0);
  switch (phase_) {
    case Phase::opening:
      file_ = static_cast<FileId>(done.result);
      phase_ = Phase::zeroing;
      push_zeros();
      break;
    case Phase::zeroing:
      written_bytes_ += static_cast<std::uint64_t>(done.result);
      push_zeros();
      if (written_bytes_ < file_bytes()) break;
      TR_ASSERT(in_flight_count_ == 0);
      phase_ = Phase::syncing_zeros;
      push({.kind = DiskOpKind::sync, .file = file_});
      break;
    case Phase::syncing_zeros:
      phase_ = Phase::writing_block;
      push({.kind = DiskOpKind::write, .file = file_, .block = block_.bytes()});
      break;
    case Phase::writing_block:
      phase_ = Phase::syncing_block;
      push({.kind = DiskOpKind::sync, .file = file_});
      break;
    case Phase::syncing_block: close_file(); break;
    case Phase::closing:
    case Phase::done:
    case Phase::failed: TR_ASSERT(false);  // Nothing is under way in these.
  }
}

// The word of a tag is the size a write must come back with.
std::int32_t WalFormat::error_of(const DiskDone& done) const {
  if (done.result < 0) return static_cast<std::int32_t>(-done.result);
  const bool wrote = phase_ == Phase::zeroing || phase_ == Phase::writing_block;
  // A write falls short when the disk, or what a process may use of it, is full.
  if (wrote && static_cast<std::uint64_t>(done.result) != word_of(done.tag)) return ENOSPC;
  return 0;
}

// From the format block on: the block of an older WAL in the same file must go first.
void WalFormat::push_zeros() {
  TR_ASSERT(phase_ == Phase::zeroing);
  while (error_number_ == 0 && in_flight_count_ < writes_max && next_pos_ < file_bytes()) {
    const std::size_t size = std::min<std::uint64_t>(zeros_.size(), file_bytes() - next_pos_);
    push({.kind = DiskOpKind::write,
          .file = file_,
          .file_pos = next_pos_,
          .block = zeros_.bytes().first(size)});
    next_pos_ += size;
  }
}

void WalFormat::close_file() {
  phase_ = Phase::closing;
  push({.kind = DiskOpKind::close, .file = file_});
}

void WalFormat::push(DiskOp op) {
  op.disk_class = DiskClass::wal;
  op.tag = make_tag(Asker::wal_format, op.block.size());
  ++in_flight_count_;
  queue_.push(op);
}

std::uint64_t WalFormat::file_bytes() const { return disk_block_bytes + ring_bytes_; }
bool WalFormat::done() const { return phase_ == Phase::done; }
bool WalFormat::failed() const { return phase_ == Phase::failed; }
std::int32_t WalFormat::error_number() const { return error_number_; }

std::uint64_t WalFormat::done_bytes() const { return std::min(written_bytes_, ring_bytes_); }

}  // namespace tailrace::log
