#include "io/capture/capture_ring.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace tailrace::io {

// Made of zeroes, so that the memory is there before the device's thread writes to it.
CaptureRing::CaptureRing(std::size_t bytes, std::uint32_t snap_bytes)
    : size_(bytes), snap_bytes_(snap_bytes), memory_(std::make_unique<std::byte[]>(bytes)) {
  TR_ASSERT(std::has_single_bit(bytes));
  TR_ASSERT(snap_bytes > 0);
}

void CaptureRing::put(CapturedFrame about, std::span<const Bytes> pieces) {
  offered_.add();
  about.bytes = std::min(about.original_bytes, snap_bytes_);
  std::uint64_t at = put_.load(std::memory_order_relaxed);
  const std::uint64_t used = at - taken_.load(std::memory_order_acquire);
  if (sizeof about + about.bytes > size_ - used) {
    dropped_.add();
    return;
  }
  copy_in(at, {reinterpret_cast<const std::byte*>(&about), sizeof about});
  at += sizeof about;
  std::size_t left = about.bytes;
  for (const Bytes piece : pieces) {
    const Bytes kept = piece.first(std::min(piece.size(), left));
    copy_in(at, kept);
    at += kept.size();
    left -= kept.size();
  }
  TR_ASSERT(left == 0);
  put_.store(at, std::memory_order_release);
}

bool CaptureRing::peek(CapturedFrame& about) const {
  const std::uint64_t at = taken_.load(std::memory_order_relaxed);
  if (at == put_.load(std::memory_order_acquire)) return false;
  copy_out(at, {reinterpret_cast<std::byte*>(&about), sizeof about});
  return true;
}

void CaptureRing::take(const CapturedFrame& about, std::byte* to) {
  const std::uint64_t at = taken_.load(std::memory_order_relaxed);
  copy_out(at + sizeof about, {to, about.bytes});
  taken_.store(at + sizeof about + about.bytes, std::memory_order_release);
}

void CaptureRing::copy_in(std::uint64_t at, Bytes bytes) {
  if (bytes.empty()) return;
  const std::size_t from = at & (size_ - 1);
  const std::size_t straight = std::min(bytes.size(), size_ - from);
  std::memcpy(memory_.get() + from, bytes.data(), straight);
  if (straight < bytes.size()) {
    std::memcpy(memory_.get(), bytes.data() + straight, bytes.size() - straight);
  }
}

void CaptureRing::copy_out(std::uint64_t at, MutableBytes bytes) const {
  if (bytes.empty()) return;
  const std::size_t from = at & (size_ - 1);
  const std::size_t straight = std::min(bytes.size(), size_ - from);
  std::memcpy(bytes.data(), memory_.get() + from, straight);
  if (straight < bytes.size()) {
    std::memcpy(bytes.data() + straight, memory_.get(), bytes.size() - straight);
  }
}

}  // namespace tailrace::io
