// ChunkCache: the memory in which commit frames are built and from which recent batches are read.
// A chunk is one frame_bytes_max of memory; frames are laid into it one after another. It can be
// taken for new frames once nothing in it is dirty (not yet in a segment) or pinned (being sent,
// written or gathered).
//
//   free --acquire--> open --seal--> kept --acquire (oldest clean, unpinned)--> open
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace tailrace::log {

struct ChunkId {
  std::uint32_t index = UINT32_MAX;
  // Which use of the chunk: grows with every acquire() of any chunk, so that an older reference
  // can be told from the bytes that replaced it.
  std::uint64_t use = 0;
  friend bool operator==(ChunkId, ChunkId) = default;
};

class ChunkCache {
 public:
  // `memory`: a whole number of chunks, 4 KiB-aligned, outlives the cache.
  ChunkCache(MutableBytes memory, std::size_t chunk_bytes);

  // An open chunk, its content undefined. index UINT32_MAX: every chunk is dirty or pinned now.
  ChunkId acquire();
  // No more frames will be laid into it.
  void seal(ChunkId chunk);

  MutableBytes bytes(ChunkId chunk);  // the whole chunk; still held
  bool holds(ChunkId chunk) const;    // has not been taken again

  // Counts, per chunk. Each add is met by one sub of the same size.
  void add_dirty(ChunkId chunk, std::size_t bytes);
  void sub_dirty(ChunkId chunk, std::size_t bytes);
  void pin(ChunkId chunk);
  void unpin(ChunkId chunk);

  std::size_t chunk_bytes() const;
  std::size_t chunk_count() const;
  std::uint64_t dirty_bytes() const;  // over all chunks

 private:
  enum class State : std::uint8_t { free, open, kept };
  struct Chunk {
    State state = State::free;
    std::uint64_t use = 0;
    std::uint64_t dirty_bytes = 0;
    std::uint32_t pin_count = 0;
  };
  Chunk& held(ChunkId chunk);

  MutableBytes memory_;
  std::size_t chunk_bytes_;
  std::vector<Chunk> chunks_;
  std::uint64_t newest_use_ = 0;
  std::uint64_t dirty_bytes_ = 0;
};

}  // namespace tailrace::log
