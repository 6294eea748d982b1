#include "link_device.h"

#include <algorithm>

#include "io/uring/ring.h"

namespace tailrace::peer {
namespace {

constexpr std::size_t burst = 32;

}  // namespace

LinkDevice::LinkDevice(std::unique_ptr<io::PacketDevice> device, const sim::LinkFaults& faults,
                       std::uint64_t seed)
    : device_(std::move(device)), offers_(device_->offers()), link_(faults, seed),
      lent_(offers_.frames_max) {
  offers_.checksums = false;
  offers_.segmentation_bytes_max = 0;
  for (std::uint64_t token = 0; token < offers_.frames_max; ++token) free_.push_back(token);
}

void LinkDevice::take_from_kernel(Instant now) {
  std::array<RxFrame, burst> frames;
  for (std::size_t count = burst; count == burst;) {
    count = device_->receive(frames);
    for (std::size_t i = 0; i < count; ++i) {
      link_.transmit(kernels, {frames[i].bytes.begin(), frames[i].bytes.end()}, now);
      device_->release({&frames[i].token, 1});
    }
  }
}

// The wire of the device has room, or the frame is lost.
void LinkDevice::give_to_kernel(std::vector<std::byte> bytes) {
  TxFrame frame;
  const std::size_t head = std::min<std::size_t>(bytes.size(), 14);
  std::copy_n(bytes.begin(), head, frame.header.begin());
  frame.header_bytes = static_cast<std::uint16_t>(head);
  frame.slices[0] = Bytes(bytes).subspan(head);
  frame.slice_count = 1;
  frame.payload_bytes = static_cast<std::uint32_t>(bytes.size() - head);
  (void)device_->transmit({&frame, 1});
}

std::size_t LinkDevice::receive(std::span<RxFrame> frames) {
  const Instant now = io::Ring::monotonic_now();
  take_from_kernel(now);
  while (link_.next_arrival() <= now) {
    sim::FlyingFrame frame = link_.take();
    if (frame.to == kernels) {
      give_to_kernel(std::move(frame.bytes));
    } else {
      arrived_.push_back(std::move(frame.bytes));
    }
  }
  const std::size_t count = std::min({frames.size(), arrived_.size(), free_.size()});
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t token = free_.back();
    free_.pop_back();
    lent_[token] = std::move(arrived_[i]);
    frames[i] = {.bytes = lent_[token], .token = token};
  }
  arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

void LinkDevice::release(std::span<const std::uint64_t> tokens) {
  for (const std::uint64_t token : tokens) {
    lent_[token].clear();
    free_.push_back(token);
  }
}

std::size_t LinkDevice::transmit(std::span<const TxFrame> frames) {
  const Instant now = io::Ring::monotonic_now();
  for (const TxFrame& frame : frames) {
    std::vector<std::byte> bytes(frame.header.begin(),
                                 frame.header.begin() + frame.header_bytes);
    for (const Bytes slice : frame.payload()) bytes.insert(bytes.end(), slice.begin(), slice.end());
    link_.transmit(ours, std::move(bytes), now);
    if (frame.hold != no_hold) finished_.push_back(frame.hold);
  }
  return frames.size();
}

std::size_t LinkDevice::take_finished(std::span<std::uint32_t> holds) {
  const std::size_t count = std::min(holds.size(), finished_.size());
  std::copy_n(finished_.begin(), count, holds.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

Instant LinkDevice::next_deadline() const {
  if (!arrived_.empty() && !free_.empty()) return {};
  return std::min(link_.next_arrival(), device_->next_deadline());
}

}  // namespace tailrace::peer
