#include "faults.h"

#include <algorithm>

namespace tailrace::sim {
namespace {

Duration draw_us(Prng& prng, std::uint64_t low, std::uint64_t high) {
  return microseconds(static_cast<std::int64_t>(prng.between(low, high)));
}

void draw_disk(Prng& prng, FaultPlan& plan) {
  plan.disk_pace.delay_min = draw_us(prng, 5, 50);
  plan.disk_pace.delay_max = draw_us(prng, 60, 400);
  if (prng.chance(1, 6)) {
    plan.disk_pace.slow = 20'000;
    plan.disk_pace.slow_delay = draw_us(prng, 5'000, 100'000);
  }
  for (std::uint32_t& most : plan.disk_pace.in_flight_max) {
    most = static_cast<std::uint32_t>(prng.between(1, 16));
  }
  plan.disk_faults.garbage = prng.chance(1, 2);
  plan.durable_writes = prng.chance(1, 2);
  if (prng.chance(1, 10)) plan.disk_faults.read_error = 20'000;
  if (prng.chance(1, 14)) plan.disk_faults.write_error = 3'000;
  if (prng.chance(1, 20)) plan.disk_faults.write_short = 3'000;
  if (prng.chance(1, 14)) plan.disk_faults.sync_error = 5'000;
  if (prng.chance(1, 20)) plan.disk_faults.open_error = 5'000;
  if (prng.chance(1, 12)) plan.disk_faults.read_rot = 30'000;
}

void draw_network(Prng& prng, FaultPlan& plan) {
  plan.network_pace.delay_min = draw_us(prng, 1, 30);
  plan.network_pace.delay_max = draw_us(prng, 40, 500);
  plan.network_pace.piece_bytes_max = static_cast<std::uint32_t>(
      prng.chance(1, 4) ? prng.between(16, 200) : prng.between(1000, 16'000));
  if (prng.chance(1, 3)) plan.network_pace.refuse = 50'000;
  if (prng.chance(1, 3)) plan.network_pace.reset = 10'000;
  plan.network_pace.receive_buffers = static_cast<std::uint32_t>(prng.between(16, 64));
}

}  // namespace

FaultPlan draw_faults(std::uint64_t seed, Instant start, Duration busy) {
  Prng prng(seed, "faults");
  FaultPlan plan;
  draw_disk(prng, plan);
  draw_network(prng, plan);
  plan.core_count = static_cast<std::uint16_t>(prng.chance(1, 3) ? 1 : prng.between(2, 4));
  plan.changes_core_count = prng.chance(1, 3);
  const auto any_time = [&] {
    return start + nanoseconds(static_cast<std::int64_t>(
                       prng.below(static_cast<std::uint64_t>(busy.ns))));
  };
  using Kind = Event::Kind;
  constexpr std::array ends = {Kind::power_cut, Kind::power_cut, Kind::kill, Kind::stop};
  const bool is_life = busy >= seconds(60);
  const std::uint64_t crashes = is_life ? prng.between(2, 20) : prng.below(4);
  for (std::uint64_t i = 0; i < crashes; ++i) {
    plan.events.push_back({ends[prng.below(ends.size())], any_time()});
  }
  if (prng.chance(1, 25)) plan.events.push_back({Kind::rot_segment, any_time()});
  if (prng.chance(1, 30)) plan.events.push_back({Kind::rot_wal, any_time()});
  if (prng.chance(1, 10)) plan.events.push_back({Kind::wall_jump, any_time()});
  std::stable_sort(plan.events.begin(), plan.events.end(),
                   [](const Event& a, const Event& b) { return a.at < b.at; });
  if (prng.chance(1, 20)) plan.capacity_bytes = prng.between(400, 1500) << 10;
  return plan;
}

std::string to_string(const FaultPlan& plan) {
  const DiskFaults& f = plan.disk_faults;
  return fmt::format("{} cores{}, {}; per million: read error {}, write error {}, short write {}, "
                     "sync error {}, open error {}, read rot {}; {}capacity {}; resets {}",
                     plan.core_count, plan.changes_core_count ? " (changing)" : "",
                     plan.durable_writes ? "durable writes" : "write and sync", f.read_error,
                     f.write_error, f.write_short, f.sync_error, f.open_error, f.read_rot,
                     f.garbage ? "garbage sectors; " : "", plan.capacity_bytes,
                     plan.network_pace.reset);
}

}  // namespace tailrace::sim
