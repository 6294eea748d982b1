// Handover: what the cores of a node share when each has a queue of one network device: the rings
// on which a frame goes from the core whose queue had it to the core whose connection it is, and
// its token back. Every core wraps its queue in a SteeredDevice (steered_device.h), which uses it.
//
//   core 0:  queue 0 ── a frame of core 1's ──> ring 0->1 ──> core 1: its stack, its session
//            queue 0 <── its token, at last ─── ring 1->0 <── released
//
// The bytes of a frame stay where they are, in the memory of the queue that had it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counter.h"
#include "base/frame.h"
#include "bus/mailbox.h"
#include "io/idle.h"
#include "io/packet_device.h"
#include "net/steering.h"

namespace tailrace::io {

class Handover {
 public:
  struct Counters {
    Counter handed_over;     // frames of this core's queue that were another's
    Counter taken_over;      // frames of this core's that another's queue had
    Counter drop_no_turns;   // not handed over: the other core has too many it is not done with
  };

  // `lent_max`: frames of one core's queue that may be with one other core at a time. It outlives
  // all its devices.
  Handover(std::uint16_t cores, std::uint32_t lent_max,
           const net::RssKey& key = net::rss_key_default);
  ~Handover();
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  const net::Steering& steering() const { return steering_; }
  std::uint16_t cores() const { return steering_.cores(); }
  std::uint32_t lent_max() const { return lent_max_; }
  const Counters& counters(std::uint16_t core) const { return places_[core].counters; }

  // Before any core's thread runs: how to wake it. It outlives the core's device.
  void set_idle(std::uint16_t core, Idle* idle) { places_[core].idle = idle; }

 private:
  friend class SteeredDevice;
  using FrameRing = bus::Mailbox<RxFrame>;          // the token is the sender's queue's
  using TokenRing = bus::Mailbox<std::uint64_t>;

  struct Place {
    Idle* idle = nullptr;
    Counters counters;
    std::unique_ptr<PacketDevice> queue;   // of a core that has ended
  };

  FrameRing& frames(std::uint16_t from, std::uint16_t to) { return *frames_[pair(from, to)]; }
  TokenRing& tokens(std::uint16_t from, std::uint16_t to) { return *tokens_[pair(from, to)]; }
  std::size_t pair(std::uint16_t from, std::uint16_t to) const {
    return std::size_t{from} * cores() + to;
  }
  void wake(std::uint16_t core) {
    if (places_[core].idle != nullptr) places_[core].idle->wake();
  }
  // At the end of a core's device: other cores may still have frames of its queue, which therefore
  // stays until all of them are gone.
  void keep(std::uint16_t core, std::unique_ptr<PacketDevice> queue);

  net::Steering steering_;
  std::uint32_t lent_max_;
  std::vector<Place> places_;   // by core
  std::vector<std::unique_ptr<FrameRing>> frames_;
  std::vector<std::unique_ptr<TokenRing>> tokens_;
};

}  // namespace tailrace::io
