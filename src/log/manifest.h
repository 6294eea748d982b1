// Manifest: which WAL files are in force. They come in generations: with another number of cores,
// or another ring size, a new set of WALs is made beside the old one, and the manifest, replaced
// by rename, switches from one to the other at once.
#pragma once

#include <cstdint>
#include <string>

#include "base/aligned.h"
#include "base/result.h"
#include "log/op_queue.h"

namespace tailrace::log {

struct Manifest {
  static constexpr std::uint32_t version_now = 1;
  std::uint64_t generation = 0;
  std::uint32_t core_count = 0;
  std::uint64_t ring_bytes = 0;
};

inline constexpr std::string_view wal_directory = "wal";
inline constexpr std::string_view manifest_path = "wal/manifest";
// "wal/<generation>-<core>": add ".wal", ".checkpoint-a" or ".checkpoint-b".
std::string wal_path(std::uint64_t generation, std::uint32_t core);

// One 4 KiB block with a CRC. Errors of parse: truncated, malformed, unsupported, corrupt.
void store_manifest(MutableBytes block, const Manifest& manifest);
Result<Manifest> parse_manifest(Bytes block);

// Replaces the manifest: write a new file, sync, rename, sync the directory.
class ManifestWriter {
 public:
  explicit ManifestWriter(OpQueue& queue);
  void start(const Manifest& manifest);
  void on_disk_done(const DiskDone& done);  // Asker::boot, while busy
  bool busy() const { return phase_ != Phase::idle; }
  std::int32_t error_number() const { return error_number_; }  // of the last one; 0: it counts

 private:
  enum class Phase : std::uint8_t { idle, opening, writing, syncing, closing, renaming, settling };
  void push(Phase phase, DiskOp op);

  OpQueue& queue_;
  Phase phase_ = Phase::idle;
  FileId file_ = no_file;
  AlignedBuffer block_{disk_block_bytes};
  std::int32_t error_number_ = 0;
};

}  // namespace tailrace::log
