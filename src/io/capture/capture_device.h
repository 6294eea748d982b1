// CaptureDevice: a packet device whose frames can be listened to (capture_point.h).
#pragma once

#include <memory>
#include <utility>

#include "io/capture/capture_point.h"
#include "io/packet_device.h"

namespace tailrace::io {

class CaptureDevice final : public PacketDevice {
 public:
  // `point` outlives all but the destructor.
  CaptureDevice(std::unique_ptr<PacketDevice> device, CapturePoint& point)
      : device_(std::move(device)), point_(point) {}

  const DeviceOffers& offers() const override { return device_->offers(); }
  DeviceNumbers numbers() const override { return device_->numbers(); }
  void set_payload_memory(std::span<const MutableBytes> regions) override {
    device_->set_payload_memory(regions);
  }
  std::size_t receive(std::span<RxFrame> frames) override {
    const std::size_t count = device_->receive(frames);
    if (point_.is_on()) [[unlikely]] point_.received(frames.first(count));
    return count;
  }
  void release(std::span<const std::uint64_t> tokens) override { device_->release(tokens); }
  std::size_t transmit(std::span<const TxFrame> frames) override {
    const std::size_t count = device_->transmit(frames);
    // The payload is there as long as the caller was not told of its hold's end.
    if (point_.is_on()) [[unlikely]] point_.transmitted(frames.first(count));
    return count;
  }
  std::size_t take_finished(std::span<std::uint32_t> holds) override {
    return device_->take_finished(holds);
  }
  Link link() const override { return device_->link(); }
  bool failed() const override { return device_->failed(); }
  Instant next_deadline() const override { return device_->next_deadline(); }

 private:
  std::unique_ptr<PacketDevice> device_;
  CapturePoint& point_;
};

}  // namespace tailrace::io
