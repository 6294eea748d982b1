// A bad network between a packet device and its user: the simulator's link, in real time. What the
// seed draws for the n-th frame is always the same; which frame that is depends on the kernel's
// timing.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "io/packet_device.h"
#include "sim/net/net_link.h"

namespace tailrace::peer {

// Takes what a device and a kernel do for each other out of the way: frames are no longer than the
// wire allows, and checksums are done in software, so that a wrong bit is found.
class LinkDevice final : public io::PacketDevice {
 public:
  LinkDevice(std::unique_ptr<io::PacketDevice> device, const sim::LinkFaults& faults,
             std::uint64_t seed);

  const io::DeviceOffers& offers() const override { return offers_; }
  io::DeviceNumbers numbers() const override { return device_->numbers(); }
  std::size_t receive(std::span<RxFrame> frames) override;
  void release(std::span<const std::uint64_t> tokens) override;
  std::size_t transmit(std::span<const TxFrame> frames) override;
  std::size_t take_finished(std::span<std::uint32_t> holds) override;
  io::Link link() const override { return device_->link(); }
  bool failed() const override { return device_->failed(); }
  Instant next_deadline() const override;

  void cut() { link_.cut(); }
  const sim::NetLink& bad_network() const { return link_; }

 private:
  enum End : std::uint8_t { ours, kernels };
  void take_from_kernel(Instant now);
  void give_to_kernel(std::vector<std::byte> frame);

  std::unique_ptr<io::PacketDevice> device_;
  io::DeviceOffers offers_;
  sim::NetLink link_;
  std::vector<std::vector<std::byte>> lent_;   // by token
  std::vector<std::uint64_t> free_;            // tokens
  std::vector<std::vector<std::byte>> arrived_;  // for us
  std::vector<std::uint32_t> finished_;
};

}  // namespace tailrace::peer
