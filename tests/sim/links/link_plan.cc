#include "link_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace tailrace::sim {
namespace {

std::uint32_t one_of(Prng& prng, std::initializer_list<std::uint32_t> values) {
  return *(values.begin() + static_cast<std::ptrdiff_t>(prng.below(values.size())));
}

Duration draw_us(Prng& prng, std::uint64_t low, std::uint64_t high) {
  return microseconds(static_cast<std::int64_t>(prng.between(low, high)));
}
Duration draw_ms(Prng& prng, std::uint64_t low, std::uint64_t high) {
  return milliseconds(static_cast<std::int64_t>(prng.between(low, high)));
}

// A run is busy for a tenth of a second or two: what real networks wait seconds for must happen
// within milliseconds, or nothing would be seen of it.
void draw_times(Prng& prng, net::Limits& limits) {
  limits.rto_min = draw_ms(prng, 2, 20);
  limits.rto_initial = draw_ms(prng, 5, 50);
  limits.rto_max = draw_ms(prng, 200, 2000);
  limits.delayed_ack_max = nanoseconds(limits.rto_min.ns / 2);
  limits.time_wait = draw_ms(prng, 20, 1000);
  limits.connect_timeout = draw_ms(prng, 100, 2000);
  limits.half_open_timeout = draw_ms(prng, 100, 1000);
  limits.user_timeout = draw_ms(prng, 1000, 8000);
  limits.keepalive_idle = draw_ms(prng, 300, 5000);
  limits.keepalive_interval = draw_ms(prng, 50, 300);
  limits.keepalive_probes = 4;
  limits.finishing_max = draw_ms(prng, 500, 5000);
  limits.draining_max = draw_ms(prng, 50, 500);
}

void draw_sizes(Prng& prng, net::Limits& limits) {
  limits.connections_max = 64;
  limits.half_open_max = 16;
  limits.half_open_cookies_from = one_of(prng, {0, 4, 16, 16});
  limits.time_wait_max = 16;
  limits.neighbours_max = 16;
  limits.control_frames_max = one_of(prng, {8, 64});
  limits.sends_max = one_of(prng, {2, 8, 256});
  // What one answer of the broker may consist of must fit in an empty stack.
  limits.slices_max = one_of(prng, {300, 1024});
  limits.sent_records_max = one_of(prng, {64, 512});
  limits.sent_records_per_connection_max = limits.sent_records_max;
  limits.pieces_max = 4096;            // the device's frames are the smaller bound
  limits.holds_max = one_of(prng, {4, 32, 512});
  limits.receive_buffer_max = one_of(prng, {8192, 65'536, 262'144});
  limits.receive_buffer_min = std::min(limits.receive_buffer_max, one_of(prng, {4096, 32'768}));
  limits.receive_bytes_max = 4U << 20;
  limits.reassembly_pieces_max = one_of(prng, {16, 128});
}

DevicePlan draw_device(Prng& prng) {
  DevicePlan device;
  device.offers.mtu = static_cast<std::uint16_t>(one_of(prng, {1500, 1500, 1300, 9000}));
  device.offers.checksums = prng.chance(1, 2);
  if (device.offers.checksums && prng.chance(1, 2)) device.offers.segmentation_bytes_max = 65'535;
  device.offers.frames_max = one_of(prng, {32, 64, 256});
  device.receive_ring = one_of(prng, {16, 64, 256});
  device.transmit_ring = one_of(prng, {2, 16, 256});
  if (prng.chance(1, 3)) device.refuse = one_of(prng, {10, 100});
  device.read_delay_max = microseconds(one_of(prng, {0, 0, 5, 100}));
  device.finish_delay_max = microseconds(one_of(prng, {0, 5, 200, 3000}));
  return device;
}

}  // namespace

bool draws_links(std::uint64_t seed, LinkChoice choice) {
  switch (choice) {
    case LinkChoice::drawn: return Prng(seed, "links or not").chance(1, 4);
    case LinkChoice::always: return true;
    case LinkChoice::never: return false;
  }
  return false;
}

LinkPlan draw_links(std::uint64_t seed, Duration busy) {
  Prng prng(seed, "links");
  LinkPlan plan;
  plan.is_v6 = prng.chance(1, 3);
  plan.is_steered = prng.chance(1, 2);
  plan.queue_chance = one_of(prng, {0, 1, 4});
  plan.machine_count = static_cast<std::uint32_t>(prng.between(1, 3));
  if (prng.chance(1, 3)) plan.slow_reader = one_of(prng, {5, 50, 300});
  plan.slow_reader_max = draw_us(prng, 100, 20'000);
  if (prng.chance(1, 3)) plan.reset = 10'000;
  plan.has_cuts = prng.chance(1, 2);
  plan.cut_pause_max = nanoseconds(busy.ns / static_cast<std::int64_t>(prng.between(1, 6)));
  plan.cut_max = nanoseconds(busy.ns / static_cast<std::int64_t>(prng.between(2, 20)));
  draw_times(prng, plan.limits);
  return plan;
}

LinkFaults draw_wire(Prng& prng, bool is_v6) {
  LinkFaults faults;
  faults.delay = microseconds(one_of(prng, {5, 30, 100, 400}));
  faults.bytes_per_second = std::uint64_t{one_of(prng, {10, 125, 1250})} * 1'000'000;
  faults.queue_bytes_max = one_of(prng, {30'000, 1'000'000});
  faults.mtu = 9000;
  if (prng.chance(1, 3)) return faults;
  if (prng.chance(2, 3)) faults.loss = one_of(prng, {10, 100, 300, 1000});
  if (prng.chance(1, 3)) faults.duplication = one_of(prng, {50, 500, 2000});
  if (prng.chance(1, 3)) faults.reordering = one_of(prng, {50, 500, 2000});
  if (prng.chance(1, 3)) faults.corruption = one_of(prng, {20, 200, 1000});
  if (prng.chance(1, 3)) faults.jitter = microseconds(one_of(prng, {10, 300}));
  faults.reorder_delay = microseconds(one_of(prng, {10, 200, 2000}));
  if (prng.chance(1, 4)) faults.mark_above_bytes = 5'000;
  // A router tells of it with ICMP, which NetLink has for IPv4 alone.
  if (!is_v6 && prng.chance(1, 4)) faults.mtu = one_of(prng, {1400, 1280, 800});
  return faults;
}

StackPlan draw_stack(Prng& prng, const LinkPlan& plan) {
  StackPlan stack{.limits = plan.limits, .interface = {}, .device = draw_device(prng)};
  draw_sizes(prng, stack.limits);
  stack.interface.use_sack = prng.chance(5, 6);
  stack.interface.use_timestamps = prng.chance(3, 4);
  stack.interface.use_window_scale = prng.chance(3, 4);
  stack.interface.use_ecn = prng.chance(1, 2);
  return stack;
}

std::string to_string(const LinkPlan& plan) {
  return fmt::format("links: IPv{}, {}, {} machines of clients, slow readers {} of 1000, resets {} "
                     "of a million{}",
                     plan.is_v6 ? 6 : 4,
                     plan.is_steered ? "one address" : "an address for each core",
                     plan.machine_count, plan.slow_reader, plan.reset,
                     plan.has_cuts ? ", cuts" : "");
}

}  // namespace tailrace::sim
