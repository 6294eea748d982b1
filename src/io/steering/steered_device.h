// SteeredDevice: one core's queue of a device that several cores share, as the core's stack sees
// it. A received frame that is another core's goes there instead, and others' queues bring some of
// ours; whoever uses it notices nothing (net/steering.h says whose a frame is, handover.h how it
// gets there).
//
// So that no core waits for another: of a queue's frames each core may have its share (lent_max),
// and one that takes no turns loses what is beyond it, as a full queue does. A stack keeps less
// than that share (offers().frames_kept_max), so that the segments it needs to go on, which it
// never keeps, always get through.
//
// For a device with a queue for each core it is rarely at work: hardware that was given the key
// and the table chooses the right queue, and the kernel's tap follows the queue on which we last
// sent a segment of the connection.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "io/steering/handover.h"

namespace tailrace::io {

class SteeredDevice final : public PacketDevice {
 public:
  // Has more frames than handover.lent_max() for each core. Its memory, and so `queue`, stays
  // until `handover` goes: its destructor needs no ring of its thread any more.
  SteeredDevice(Handover& handover, std::uint16_t core, std::unique_ptr<PacketDevice> queue);
  ~SteeredDevice() override;

  const DeviceOffers& offers() const override { return offers_; }
  DeviceNumbers numbers() const override { return queue_->numbers(); }
  void set_payload_memory(std::span<const MutableBytes> regions) override {
    queue_->set_payload_memory(regions);
  }
  std::size_t receive(std::span<RxFrame> frames) override;
  void release(std::span<const std::uint64_t> tokens) override;
  std::size_t transmit(std::span<const TxFrame> frames) override {
    return queue_->transmit(frames);
  }
  std::size_t take_finished(std::span<std::uint32_t> holds) override {
    return queue_->take_finished(holds);
  }
  Link link() const override { return queue_->link(); }
  bool failed() const override { return queue_->failed(); }
  Instant next_deadline() const override;

 private:
  static constexpr std::size_t burst_max = 32;
  // Frames of the own queue that one receive() looks at when all are others'.
  static constexpr std::size_t looks_max = 4 * burst_max;

  // A frame of another core's queue that is here, by its token less own_max_.
  struct Guest {
    std::uint16_t origin = 0;
    std::uint64_t token = 0;   // the origin's
  };

  void take_back();
  std::size_t take_guests(std::span<RxFrame> frames);
  std::size_t take_own(std::span<RxFrame> frames);
  bool steer(const RxFrame& frame);
  bool hand_over(std::uint16_t to, const RxFrame& frame);
  void drop_holder(std::uint64_t token);
  void give_back();
  void release_guest(std::uint64_t token);
  void look_whether_short();
  bool is_guest(std::uint64_t token) const { return token >= own_max_; }

  Handover& handover_;
  const std::uint16_t core_;
  std::unique_ptr<PacketDevice> queue_;
  const std::uint32_t own_max_;              // tokens of the queue are below
  DeviceOffers offers_;
  std::vector<std::uint16_t> holders_;       // cores that have the frame, by token of the queue
  std::uint32_t held_ = 0;                   // frames of the queue that somebody has
  std::vector<std::uint32_t> lent_;          // frames of the queue that a core has, by core
  std::vector<bool> to_wake_;                // by core
  std::vector<Guest> guests_;
  std::vector<std::uint32_t> guests_free_;
  std::uint16_t next_origin_ = 0;            // who comes first in take_guests()
  bool is_short_ = false;                    // all frames of the queue are with somebody
  std::array<std::uint64_t, burst_max> done_;   // tokens for the queue
  std::size_t done_count_ = 0;
};

}  // namespace tailrace::io
