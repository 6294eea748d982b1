// LinkPlan: how a run's network of simulated links is made, drawn from its seed: what the wires do
// to frames, what the devices offer and how late they are, and the limits of each stack.
#pragma once

#include <string>

#include "../net/net_link.h"
#include "base/prng.h"
#include "io/packet_device.h"
#include "net/interface.h"
#include "net/limits.h"

namespace tailrace::sim {

// Do a run's bytes go over links, or through the simulated transport?
enum class LinkChoice : std::uint8_t { drawn, always, never };
// A quarter of the seeds, unless it is forced.
bool draws_links(std::uint64_t seed, LinkChoice choice);

struct DevicePlan {
  io::DeviceOffers offers;
  std::uint32_t receive_ring = 256;    // frames that have come and were not looked at
  std::uint32_t transmit_ring = 256;   // frames that were taken and not finished
  std::uint32_t refuse = 0;            // of 1000 frames offered: not now, as if it were full
  Duration read_delay_max{};           // until a frame's payload is read
  Duration finish_delay_max{};         // ... and from then until its hold is finished
};

struct StackPlan {
  net::Limits limits;
  net::Interface interface;            // but for address and link address
  DevicePlan device;
};

struct LinkPlan {
  bool is_v6 = false;
  bool is_steered = false;             // one address for all cores of a node
  std::uint32_t queue_chance = 0;      // of 4 frames: in whose queue they come is up to chance
  std::uint32_t machine_count = 1;     // of clients
  std::uint32_t slow_reader = 0;       // of 1000 data events: the reader stops for a while
  Duration slow_reader_max{};
  std::uint32_t reset = 0;             // of a million data events: the client breaks off
  bool has_cuts = false;               // of single wires, or all
  Duration cut_pause_max{};
  Duration cut_max{};
  // The times of TCP, as all ends of this network have them.
  net::Limits limits;
};

// `busy`: for how long the run is, so that what happens happens often enough in it.
LinkPlan draw_links(std::uint64_t seed, Duration busy);
LinkFaults draw_wire(Prng& prng, bool is_v6);
StackPlan draw_stack(Prng& prng, const LinkPlan& plan);
std::string to_string(const LinkPlan& plan);

}  // namespace tailrace::sim
