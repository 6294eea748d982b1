// CaptureRing: copies of frames on their way from the thread that owns a device to the one that
// writes them down. One thread puts, one takes; neither waits. A frame for which there is no room
// is counted and left out, as the network must not wait for a capture.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/counter.h"

namespace tailrace::io {

// What lies in the ring before the bytes of a frame.
struct CapturedFrame {
  std::int64_t time_ns = 0;        // since 1970
  std::uint32_t original_bytes = 0;
  std::uint32_t bytes = 0;         // that were kept
  bool is_outbound = false;
};

class CaptureRing {
 public:
  // `bytes` is a power of two. Of a frame the first `snap_bytes` are kept.
  CaptureRing(std::size_t bytes, std::uint32_t snap_bytes);

  // --- the device's thread. The frame is the pieces, one behind the other; `about` says the rest.
  void put(CapturedFrame about, std::span<const Bytes> pieces);

  // --- the writer's thread. False: there is none.
  bool peek(CapturedFrame& about) const;
  // Of the frame that peek() told: about.bytes bytes.
  void take(const CapturedFrame& about, std::byte* to);

  // --- any thread
  std::uint32_t snap_bytes() const { return snap_bytes_; }
  std::uint64_t offered() const { return offered_.load(); }
  std::uint64_t dropped() const { return dropped_.load(); }

 private:
  void copy_in(std::uint64_t at, Bytes bytes);
  void copy_out(std::uint64_t at, MutableBytes bytes) const;

  const std::size_t size_;
  const std::uint32_t snap_bytes_;
  std::unique_ptr<std::byte[]> memory_;
  Counter offered_;
  Counter dropped_;
  // Counted from the beginning, never taken back; on lines of their own, for each has its writer.
  alignas(64) std::atomic<std::uint64_t> put_{0};
  alignas(64) std::atomic<std::uint64_t> taken_{0};
};

}  // namespace tailrace::io
