// CapturePoint: where the frames of one device can be listened to. While nobody does, a burst pays
// one load and a branch that always goes the same way.
//
// A checksum that the device still has to do, or that a peer on this machine has left undone as
// nothing on the way could spoil it, is done in the copy: what is written down is what goes over a
// wire. A frame that the device cuts into segments is written as the one that it was given.
#pragma once

#include <atomic>
#include <span>

#include "base/frame.h"
#include "io/capture/capture_ring.h"

namespace tailrace::io {

class CapturePoint {
 public:
  // --- the device's thread
  bool is_on() const { return ring_.load(std::memory_order_relaxed) != nullptr; }
  void received(std::span<const RxFrame> frames);
  // Those that the device has taken; their payload is still there.
  void transmitted(std::span<const TxFrame> frames);

  // --- another thread, one at a time. `ring` must live until stop(), after which the device's
  // thread is out of it; stop() waits for the copying of one burst at most.
  void start(CaptureRing& ring);
  void stop();

 private:
  template <class Frame>
  void record(std::span<const Frame> frames);
  CaptureRing* enter();
  void leave() { is_inside_.store(false, std::memory_order_release); }

  std::atomic<CaptureRing*> ring_{nullptr};
  // The device's thread says that it is about to use the ring, and looks again whether it may;
  // stop() takes the ring away, and looks whether it is in use. Both in one order for all threads
  // (seq_cst): one of the two sees the other.
  std::atomic<bool> is_inside_{false};
};

}  // namespace tailrace::io
