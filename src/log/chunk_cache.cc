#include "log/chunk_cache.h"

#include "base/aligned.h"
#include "base/assert.h"

namespace tailrace::log {

ChunkCache::ChunkCache(MutableBytes memory, std::size_t chunk_bytes)
    : memory_(memory), chunk_bytes_(chunk_bytes), chunks_(memory.size() / chunk_bytes) {
  TR_ASSERT(chunk_bytes % disk_block_bytes == 0);
  TR_ASSERT(memory.size() % chunk_bytes == 0);
  TR_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % disk_block_bytes == 0);
  TR_ASSERT(chunks_.size() < UINT32_MAX);
}

ChunkId ChunkCache::acquire() {
  // A few dozen chunks: a scan is cheaper than keeping them in order. Free ones have use 0 and
  // so come first; among the others the oldest bytes are given up.
  std::uint32_t best = UINT32_MAX;
  for (std::uint32_t i = 0; i < chunks_.size(); ++i) {
    const Chunk& chunk = chunks_[i];
    if (chunk.state == State::open || chunk.dirty_bytes > 0 || chunk.pin_count > 0) continue;
    if (best == UINT32_MAX || chunk.use < chunks_[best].use) best = i;
  }
  if (best == UINT32_MAX) return {};
  chunks_[best].state = State::open;
  chunks_[best].use = ++newest_use_;
  return {best, newest_use_};
}

void ChunkCache::seal(ChunkId chunk) {
  Chunk& sealed = held(chunk);
  TR_ASSERT(sealed.state == State::open);
  sealed.state = State::kept;
}

MutableBytes ChunkCache::bytes(ChunkId chunk) {
  TR_ASSERT(holds(chunk));
  return memory_.subspan(chunk.index * chunk_bytes_, chunk_bytes_);
}

bool ChunkCache::holds(ChunkId chunk) const {
  return chunk.index < chunks_.size() && chunk.use > 0 && chunks_[chunk.index].use == chunk.use;
}

void ChunkCache::add_dirty(ChunkId chunk, std::size_t bytes) {
  Chunk& changed = held(chunk);
  changed.dirty_bytes += bytes;
  dirty_bytes_ += bytes;
  TR_ASSERT(changed.dirty_bytes <= chunk_bytes_);
}

void ChunkCache::sub_dirty(ChunkId chunk, std::size_t bytes) {
  Chunk& changed = held(chunk);
  TR_ASSERT(changed.dirty_bytes >= bytes);
  changed.dirty_bytes -= bytes;
  TR_ASSERT(dirty_bytes_ >= bytes);
  dirty_bytes_ -= bytes;
}

void ChunkCache::pin(ChunkId chunk) {
  Chunk& pinned = held(chunk);
  TR_ASSERT(pinned.pin_count < UINT32_MAX);
  ++pinned.pin_count;
}

void ChunkCache::unpin(ChunkId chunk) {
  Chunk& pinned = held(chunk);
  TR_ASSERT(pinned.pin_count > 0);
  --pinned.pin_count;
}

std::size_t ChunkCache::chunk_bytes() const { return chunk_bytes_; }
std::size_t ChunkCache::chunk_count() const { return chunks_.size(); }
std::uint64_t ChunkCache::dirty_bytes() const { return dirty_bytes_; }

ChunkCache::Chunk& ChunkCache::held(ChunkId chunk) {
  TR_ASSERT(holds(chunk));
  return chunks_[chunk.index];
}

}  // namespace tailrace::log
