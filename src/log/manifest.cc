#include "log/manifest.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/crc32c.h"
#include "log/little_endian.h"

namespace tailrace::log {
namespace {

constexpr std::string_view new_path = "wal/manifest.new";
constexpr std::uint64_t magic = 0x696e616d6c696174;  // "tailmani"
constexpr std::size_t crc_pos = 32;

}  // namespace

std::string wal_path(std::uint64_t generation, std::uint32_t core) {
  return fmt::format("{}/{}-{}", wal_directory, generation, core);
}

//   0 magic 8 | 8 version 4 | 12 core_count 4 | 16 generation 8 | 24 ring_bytes 8 | 32 crc 4
void store_manifest(MutableBytes block, const Manifest& manifest) {
  TR_ASSERT(block.size() == disk_block_bytes);
  std::memset(block.data(), 0, block.size());
  store_le(block.data(), magic);
  store_le(block.data() + 8, Manifest::version_now);
  store_le(block.data() + 12, manifest.core_count);
  store_le(block.data() + 16, manifest.generation);
  store_le(block.data() + 24, manifest.ring_bytes);
  store_le(block.data() + crc_pos, crc32c(block.first(crc_pos)));
}

Result<Manifest> parse_manifest(Bytes block) {
  if (block.size() < disk_block_bytes) return fail(Errc::truncated);
  if (load_le<std::uint64_t>(block.data()) != magic) return fail(Errc::malformed);
  if (load_le<std::uint32_t>(block.data() + crc_pos) != crc32c(block.first(crc_pos))) {
    return fail(Errc::corrupt);
  }
  if (load_le<std::uint32_t>(block.data() + 8) != Manifest::version_now) {
    return fail(Errc::unsupported);
  }
  const Manifest manifest{.generation = load_le<std::uint64_t>(block.data() + 16),
                          .core_count = load_le<std::uint32_t>(block.data() + 12),
                          .ring_bytes = load_le<std::uint64_t>(block.data() + 24)};
  const bool is_sane = manifest.core_count > 0 && manifest.core_count < UINT16_MAX &&
                       manifest.ring_bytes > 0 && manifest.ring_bytes % disk_block_bytes == 0;
  if (!is_sane) return fail(Errc::malformed);
  return manifest;
}

ManifestWriter::ManifestWriter(OpQueue& queue) : queue_(queue) {}

void ManifestWriter::push(Phase phase, DiskOp op) {
  phase_ = phase;
  op.tag = make_tag(Asker::boot, 0);
  queue_.push(op);
}

void ManifestWriter::start(const Manifest& manifest) {
  TR_ASSERT(!busy());
  error_number_ = 0;
  store_manifest(block_.bytes(), manifest);
  push(Phase::opening, {.kind = DiskOpKind::open, .flags = open_create, .name = new_path});
}

void ManifestWriter::on_disk_done(const DiskDone& done) {
  const bool is_short = phase_ == Phase::writing && done.result >= 0 &&
                        static_cast<std::uint64_t>(done.result) < block_.size();
  if (error_number_ == 0 && done.result < 0) {
    error_number_ = static_cast<std::int32_t>(-done.result);
  }
  if (error_number_ == 0 && is_short) error_number_ = EIO;
  const bool failed = error_number_ != 0;
  switch (phase_) {
    case Phase::idle: TR_ASSERT(false); return;
    case Phase::opening:
      if (failed) {
        phase_ = Phase::idle;
        return;
      }
      file_ = static_cast<FileId>(done.result);
      push(Phase::writing, {.kind = DiskOpKind::write, .file = file_, .block = block_.bytes()});
      return;
    case Phase::writing:
      if (failed) return push(Phase::closing, {.kind = DiskOpKind::close, .file = file_});
      return push(Phase::syncing, {.kind = DiskOpKind::sync, .file = file_});
    case Phase::syncing: return push(Phase::closing, {.kind = DiskOpKind::close, .file = file_});
    case Phase::closing:
      if (failed) {
        phase_ = Phase::idle;
        return;
      }
      return push(Phase::renaming, {.kind = DiskOpKind::rename,
                                    .name = new_path,
                                    .name_to = manifest_path});
    case Phase::renaming:
      if (failed) {
        phase_ = Phase::idle;
        return;
      }
      return push(Phase::settling, {.kind = DiskOpKind::sync_directory, .name = wal_directory});
    case Phase::settling: phase_ = Phase::idle; return;
  }
}

}  // namespace tailrace::log
