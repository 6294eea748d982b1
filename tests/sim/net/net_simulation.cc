#include "net_simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "../../support/describe_frame.h"

namespace tailrace::sim {
namespace {

constexpr Duration run_max = seconds(3600);
constexpr std::uint16_t server_port = 9092;

const net::IpAddress v4_addresses[2] = {net::IpAddress::v4(10, 0, 0, 1),
                                        net::IpAddress::v4(10, 0, 0, 2)};
const net::IpAddress v6_addresses[2] = {
    {{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    {{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}};

std::uint32_t one_of(Prng& prng, std::initializer_list<std::uint32_t> values) {
  return *(values.begin() + static_cast<std::ptrdiff_t>(prng.below(values.size())));
}

LinkFaults draw_link(Prng& prng, bool is_clean) {
  LinkFaults faults;
  faults.delay = microseconds(one_of(prng, {0, 20, 100, 1000, 10'000, 80'000}));
  faults.bytes_per_second = std::uint64_t{one_of(prng, {1, 10, 100, 1250})} * 1'000'000;
  faults.queue_bytes_max = one_of(prng, {30'000, 200'000, 4'000'000});
  if (is_clean) {
    // Room for whatever the windows allow.
    faults.queue_bytes_max = 64'000'000;
    return faults;
  }
  if (prng.chance(3, 4)) faults.loss = one_of(prng, {10, 50, 100, 300, 1000, 3000});
  if (prng.chance(1, 3)) faults.duplication = one_of(prng, {50, 500, 2000});
  if (prng.chance(1, 3)) faults.reordering = one_of(prng, {50, 500, 3000});
  if (prng.chance(1, 4)) faults.corruption = one_of(prng, {20, 200, 1000});
  if (prng.chance(1, 4)) faults.jitter = microseconds(one_of(prng, {10, 500, 5000}));
  faults.reorder_delay = microseconds(one_of(prng, {10, 200, 2000, 20'000}));
  if (prng.chance(1, 4)) faults.mark_above_bytes = one_of(prng, {5'000, 50'000});
  return faults;
}

AppPlan draw_app(Prng& prng) {
  AppPlan app;
  app.bytes = prng.chance(1, 8) ? 0 : prng.below(one_of(prng, {10, 2'000, 60'000, 300'000}));
  app.write_max = one_of(prng, {1, 100, 1448, 9000, 65'536});
  if (app.bytes / app.write_max > 2000) app.write_max = 1448;
  app.writes_in_flight = one_of(prng, {1, 2, 8, 64});
  if (prng.chance(1, 3)) app.pause_chance = one_of(prng, {10, 100, 500});
  app.pause_max = milliseconds(one_of(prng, {1, 50, 1000, 8000}));
  if (prng.chance(1, 3)) app.write_pause_chance = one_of(prng, {10, 100});
  app.write_pause_max = milliseconds(one_of(prng, {1, 50, 1500}));
  return app;
}

net::Limits draw_limits(Prng& prng) {
  net::Limits limits;
  limits.connections_max = 4;
  limits.listeners_max = 2;
  limits.half_open_max = 4;
  limits.half_open_cookies_from = prng.chance(1, 8) ? 0 : 4;
  limits.time_wait_max = 4;
  limits.neighbours_max = 8;
  limits.control_frames_max = 16;
  limits.sends_max = 256;
  limits.slices_max = 512;
  limits.sent_records_max = one_of(prng, {32, 512, 2048});
  limits.pieces_max = one_of(prng, {64, 512, 2048});
  limits.holds_max = one_of(prng, {8, 512});
  limits.frames_max = 65'536;
  limits.receive_buffer_max = one_of(prng, {4096, 65'536, 262'144, 1U << 20});
  limits.receive_buffer_min =
      std::min(limits.receive_buffer_max, one_of(prng, {2920, 16'384, 65'536}));
  limits.receive_bytes_max = 4U << 20;
  limits.reassembly_pieces_max = one_of(prng, {16, 256, 1024});
  limits.sent_records_per_connection_max = 2048;
  limits.time_wait = seconds(prng.between(1, 60));
  limits.finishing_max = limits.draining_max = seconds(600);
  return limits;
}

HostPlan draw_host(Prng& prng, bool is_v6, int index) {
  HostPlan host;
  host.limits = draw_limits(prng);
  host.interface.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(index + 1)}};
  host.interface.addresses = {{is_v6 ? v6_addresses[index] : v4_addresses[index],
                               static_cast<std::uint8_t>(is_v6 ? 64 : 24)}};
  host.interface.segmentation_bytes_max = prng.chance(1, 3) ? 65'535 : 0;
  host.interface.use_sack = prng.chance(3, 4);
  host.interface.use_timestamps = prng.chance(3, 4);
  host.interface.use_window_scale = prng.chance(3, 4);
  host.interface.use_ecn = prng.chance(1, 2);
  host.device_delay = microseconds(one_of(prng, {0, 0, 5, 200}));
  host.key = prng.next();
  host.app = draw_app(prng);
  return host;
}

// In half of the schedules sequence numbers go round: the host's clock is set so that its first
// number lies just below 2^32.
void draw_clock(Prng& prng, HostPlan& host, const net::Flow& flow, Instant start) {
  host.clock_offset_ns = static_cast<std::int64_t>(prng.below(3'600'000'000'000));
  if (!prng.chance(1, 2)) return;
  SipKey key{};
  std::memcpy(key.data(), &host.key, 8);
  const Instant own = start + Duration{host.clock_offset_ns};
  const std::uint32_t first = net::Secrets(key).initial_seq(flow, own).value;
  const auto wanted = static_cast<std::uint32_t>(-static_cast<std::int64_t>(prng.below(100'000)));
  host.clock_offset_ns += std::int64_t{wanted - first} * 4000;
}

std::uint64_t mtu_of(const NetPlan& plan) {
  return std::min(plan.hosts[0].interface.mtu, plan.hosts[1].interface.mtu);
}

bool uses_sack(const NetPlan& plan) {
  const net::Interface& client = plan.hosts[0].interface;
  const net::Interface& server = plan.hosts[1].interface;
  // A cookie carries the option in the timestamp.
  const bool is_lost = plan.hosts[1].limits.half_open_cookies_from == 0 &&
                       (!client.use_timestamps || !server.use_timestamps);
  return client.use_sack && server.use_sack && !is_lost;
}

void check_clean(const NetPlan& plan, const NetHost hosts[2], NetOutcome& outcome) {
  const auto fail = [&](std::string what) {
    if (outcome.failure.empty()) outcome.failure = std::move(what);
  };
  // A slow wire can hold more than the timer's first guess of a round trip.
  const bool is_slow = plan.link.bytes_per_second < 10'000'000;
  const bool has_cookies = plan.hosts[0].limits.half_open_cookies_from == 0 ||
                           plan.hosts[1].limits.half_open_cookies_from == 0;
  bool is_short_of_memory = outcome.is_short_of_memory;
  for (const HostPlan& host : plan.hosts) is_short_of_memory |= host.limits.pieces_max < 512;
  if (!is_slow && !has_cookies && !is_short_of_memory && outcome.timeouts > 0) {
    fail(fmt::format("{} time-outs on a clean network", outcome.timeouts));
  }
  const std::uint64_t probes = hosts[0].counters().of(net::Count::loss_probes) +
                               hosts[1].counters().of(net::Count::loss_probes) +
                               hosts[0].counters().of(net::Count::window_probes) +
                               hosts[1].counters().of(net::Count::window_probes);
  if (!is_slow && !is_short_of_memory && outcome.retransmits > probes + 2) {
    fail(fmt::format("{} retransmissions on a clean network, {} probes", outcome.retransmits,
                     probes));
  }
  // One for two full segments, one for each time that an application stopped or began.
  const std::uint64_t full = outcome.bytes / 500 + 1;
  const bool is_small = plan.hosts[0].app.write_max < 1000 || plan.hosts[1].app.write_max < 1000;
  // What finds no memory is sent again, and each copy answered.
  if (!is_small && !is_short_of_memory && outcome.acks > full + 2000) {
    fail(fmt::format("{} ACKs for {} bytes", outcome.acks, outcome.bytes));
  }
}

class Run {
 public:
  Run(const NetPlan& plan, bool verbose)
      : plan_(plan),
        verbose_(verbose),
        now_(seconds(1000).ns),
        link_(plan.link, plan.seed),
        hosts_{{plan.hosts[0], 0, plan.seed, link_, now_},
               {plan.hosts[1], 1, plan.seed, link_, now_}} {}

  NetOutcome operator()();

 private:
  bool is_over() const {
    return hosts_[0].is_done(plan_.hosts[1].app.bytes) &&
           hosts_[1].is_done(plan_.hosts[0].app.bytes);
  }
  bool are_closed() const { return hosts_[0].is_closed() && hosts_[1].is_closed(); }
  // Nobody waits for anything.
  bool is_quiet() const {
    return link_.next_arrival() == never() && hosts_[0].next_deadline() == never() &&
           hosts_[1].next_deadline() == never();
  }
  bool has_abort() const {
    return plan_.hosts[0].app.end == EndMode::abort || plan_.hosts[1].app.end == EndMode::abort;
  }
  void step();
  void judge(NetOutcome& outcome);

  const NetPlan& plan_;
  bool verbose_;
  Instant now_;
  NetLink link_;
  NetHost hosts_[2];
  std::uint64_t trace_ = 0;
};

void Run::step() {
  const Instant next = std::min({link_.next_arrival(), hosts_[0].next_deadline(),
                                 hosts_[1].next_deadline()});
  if (next != never()) now_ = std::max(now_, next);
  bool has_frames[2] = {false, false};
  while (link_.next_arrival() <= now_) {
    FlyingFrame frame = link_.take();
    trace_ = (trace_ ^ (static_cast<std::uint64_t>(frame.arrives.ns) * 31 + frame.bytes.size())) *
             0x100000001b3U;
    has_frames[frame.to] = true;
    if (verbose_) {
      fmt::print("{:.6f} -> {} {}\n", static_cast<double>(now_.ns) / 1e9 - 1000, frame.to,
                 describe_frame(frame.bytes));
    }
    hosts_[frame.to].receive(std::move(frame.bytes));
  }
  for (int i = 0; i < 2; ++i) {
    if (has_frames[i] || hosts_[i].next_deadline() <= now_) hosts_[i].turn(now_);
  }
}

NetOutcome Run::operator()() {
  NetOutcome outcome;
  const bool is_v6 = plan_.hosts[0].interface.addresses[0].address.is_v6();
  hosts_[1].stack().listen({is_v6 ? net::IpAddress{} : net::IpAddress::v4(0, 0, 0, 0),
                            server_port});
  hosts_[0].connect({plan_.hosts[1].interface.addresses[0].address, server_port}, now_);
  const Instant began = now_;
  std::uint64_t steps = 0;
  std::uint64_t still = 0;
  while (!is_over() && !are_closed() && outcome.failure.empty()) {
    const Instant before = now_;
    if (is_quiet()) break;
    step();
    still = now_ == before ? still + 1 : 0;
    if (plan_.lowers_mtu && steps == 60) link_.set_mtu(plan_.lower_mtu);
    if (still > 20'000) outcome.failure = "time stands still";
    if (++steps > 3'000'000) outcome.failure = "too many steps";
    if (now_ - began > run_max) outcome.failure = "stuck";
    for (const NetHost& host : hosts_) {
      if (!host.failure().empty()) outcome.failure = host.failure();
    }
  }
  // Late frames, devices and the rest of the flows.
  for (int i = 0; (i < 200 || (are_closed() && !is_over() && i < 20'000)) &&
                  outcome.failure.empty(); ++i) {
    const Instant before = now_;
    step();
    if (now_ == before && link_.next_arrival() == never()) now_ = now_ + milliseconds(1);
  }
  outcome.virtual_ns = (now_ - began).ns;
  judge(outcome);
  return outcome;
}

void Run::judge(NetOutcome& outcome) {
  outcome.frames = link_.frame_count();
  outcome.lost = link_.lost_count();
  outcome.trace = trace_;
  for (const NetHost& host : hosts_) {
    const net::Counters& counters = host.counters();
    outcome.timeouts += counters.of(net::Count::timeouts);
    outcome.retransmits += counters.of(net::Count::retransmits);
    outcome.duplicates += counters.of(net::Count::duplicate_data);
    outcome.acks += counters.of(net::Count::acks_out);
    outcome.undos += counters.of(net::Count::undos);
    outcome.segments += counters.of(net::Count::segments_in);
    outcome.bytes += host.received_bytes();
    outcome.is_short_of_memory |= counters.of(net::Count::drop_no_memory) > 0;
    if (outcome.failure.empty()) outcome.failure = host.failure();
  }
  if (!outcome.failure.empty() || has_abort()) {
    if (!outcome.failure.empty()) {
      outcome.failure += fmt::format("; {}; {}", hosts_[0].describe(), hosts_[1].describe());
    }
    return;
  }
  if (!is_over()) {
    std::uint64_t given_up = 0;
    for (const NetHost& host : hosts_) {
      given_up += host.counters().of(net::Count::user_timeouts) +
                  host.counters().of(net::Count::half_open_timeouts) +
                  host.counters().of(net::Count::closing_timeouts) +
                  host.counters().of(net::Count::keepalive_failures);
    }
    outcome.timed_out = true;
    if (given_up == 0 || !plan_.may_time_out) {
      outcome.failure = fmt::format("ended too early; {}; {}", hosts_[0].describe(),
                                    hosts_[1].describe());
    }
    return;
  }
  if (plan_.is_clean) check_clean(plan_, hosts_, outcome);
}

}  // namespace

NetPlan draw_plan(std::uint64_t seed) {
  Prng prng(seed, "plan");
  NetPlan plan;
  plan.seed = seed;
  plan.is_clean = prng.chance(1, 5);
  plan.link = draw_link(prng, plan.is_clean);
  const bool is_v6 = prng.chance(1, 4);
  for (int i = 0; i < 2; ++i) plan.hosts[i] = draw_host(prng, is_v6, i);
  if (prng.chance(1, 6)) {
    const std::uint32_t mtu = one_of(prng, {is_v6 ? 1280U : 576U, 1300, 9000});
    plan.link.mtu = mtu;
    for (HostPlan& host : plan.hosts) host.interface.mtu = static_cast<std::uint16_t>(mtu);
  } else if (!is_v6 && !plan.is_clean && prng.chance(1, 10)) {
    plan.lowers_mtu = true;
    plan.lower_mtu = one_of(prng, {600, 1300});
    plan.link.tells_mtu = prng.chance(3, 4);
  }
  // A time-out shorter than the other's delayed ACK would go off for nothing.
  const bool is_local = prng.chance(1, 3);
  for (HostPlan& host : plan.hosts) {
    host.limits.rto_min = milliseconds(is_local ? 10 : 200);
    host.limits.delayed_ack_max = milliseconds(is_local ? 2 : 40);
  }
  if (plan.link.bytes_per_second == 1'000'000) {
    for (HostPlan& host : plan.hosts) host.app.bytes /= 4;
  }
  plan.may_time_out = plan.link.loss >= 1000 || plan.link.corruption >= 1000;
  // Somebody must end first.
  const std::uint64_t end = prng.below(20);
  plan.hosts[end % 2].app.end = EndMode::shut_down;
  if (end >= 14) plan.hosts[(end + 1) % 2].app.end = EndMode::shut_down;
  if (end == 0) plan.hosts[0].app.end = EndMode::abort;
  // A listener that hands out cookies knows of no connection until its ACK comes, and a lost one
  // goes again only with something to say.
  if (plan.hosts[1].limits.half_open_cookies_from == 0 && plan.hosts[0].app.bytes == 0 &&
      plan.hosts[0].app.end == EndMode::close) {
    plan.hosts[0].app.end = EndMode::shut_down;
  }
  plan.hosts[1].may_see_ghosts = plan.link.duplication > 0;
  const Instant start{seconds(1000).ns};
  SipKey key{};
  std::memcpy(key.data(), &plan.hosts[0].key, 8);
  net::Flow flow{{plan.hosts[0].interface.addresses[0].address, 0},
                 {plan.hosts[1].interface.addresses[0].address, server_port}};
  flow.local.port = net::Secrets(key).source_port(flow.local.address, flow.remote, 0);
  draw_clock(prng, plan.hosts[0], flow, start);
  draw_clock(prng, plan.hosts[1], {flow.remote, flow.local}, start);
  return plan;
}

NetOutcome run_plan(const NetPlan& plan, bool verbose) { return Run(plan, verbose)(); }

std::string describe(const NetPlan& plan) {
  const LinkFaults& link = plan.link;
  std::string text = fmt::format(
      "loss {} dup {} reorder {} ({} us) corrupt {} of 10000, delay {} us, jitter {} us, {} MB/s, "
      "queue {}, mtu {}{}{}\n",
      link.loss, link.duplication, link.reordering, link.reorder_delay.ns / 1000, link.corruption,
      link.delay.ns / 1000, link.jitter.ns / 1000, link.bytes_per_second / 1'000'000,
      link.queue_bytes_max, link.mtu, plan.is_clean ? ", clean" : "",
      plan.lowers_mtu ? fmt::format(", lowered to {}{}", plan.lower_mtu,
                                    link.tells_mtu ? "" : " silently")
                      : "");
  for (const HostPlan& host : plan.hosts) {
    text += fmt::format(
        "  {} bytes by {} x {}, end {}, pauses {} ({} ms), buffer {}..{}, tso {}, sack {}, stamps "
        "{}, scale {}, ecn {}, device {} us, records {}, pieces {}, holds {}, cookies from {}\n",
        host.app.bytes, host.app.writes_in_flight, host.app.write_max,
        static_cast<int>(host.app.end), host.app.pause_chance, host.app.pause_max.ns / 1'000'000,
        host.limits.receive_buffer_min, host.limits.receive_buffer_max,
        host.interface.segmentation_bytes_max > 0, host.interface.use_sack,
        host.interface.use_timestamps, host.interface.use_window_scale, host.interface.use_ecn,
        host.device_delay.ns / 1000, host.limits.sent_records_max, host.limits.pieces_max,
        host.limits.holds_max, host.limits.half_open_cookies_from);
  }
  return text;
}

void NetTotals::add(const NetPlan& plan, const NetOutcome& outcome) {
  ++runs;
  frames += outcome.frames;
  bytes += outcome.bytes;
  timed_out += outcome.timed_out ? 1 : 0;
  virtual_ns += outcome.virtual_ns;
  const LinkFaults& link = plan.link;
  // A receiver that is short of memory drops what came: to the sender it looks like loss. And what
  // is held back for longer than a time-out is late for it, not lost.
  bool is_moderate = link.loss <= 300 && link.corruption <= 20 && !plan.lowers_mtu &&
                     !outcome.is_short_of_memory;
  for (const HostPlan& host : plan.hosts) {
    is_moderate &= host.limits.sent_records_max > 32 &&
                   (link.reordering == 0 || link.reorder_delay < host.limits.rto_min);
  }
  if (uses_sack(plan) && is_moderate) {
    sack_lost += outcome.lost;
    sack_timeouts += outcome.timeouts;
  }
  const bool is_plain = is_moderate && link.reordering == 0 && link.duplication == 0 &&
                        link.jitter.ns == 0 && mtu_of(plan) >= 1300;
  if (uses_sack(plan) && is_plain) {
    plain_lost += outcome.lost;
    plain_retransmits += outcome.retransmits;
  }
}

void NetTotals::add(const NetTotals& other) {
  runs += other.runs;
  frames += other.frames;
  bytes += other.bytes;
  timed_out += other.timed_out;
  virtual_ns += other.virtual_ns;
  sack_lost += other.sack_lost;
  sack_timeouts += other.sack_timeouts;
  plain_lost += other.plain_lost;
  plain_retransmits += other.plain_retransmits;
}

std::string NetTotals::failure() const {
  if (sack_lost > 5000 && sack_timeouts * 10 > sack_lost) {
    return fmt::format("{} time-outs for {} lost frames where SACK should do", sack_timeouts,
                       sack_lost);
  }
  if (plain_lost > 5000 && plain_retransmits > 2 * plain_lost) {
    return fmt::format("{} retransmissions for {} lost frames", plain_retransmits, plain_lost);
  }
  if (runs > 1000 && timed_out * 10 > runs) {
    return fmt::format("{} of {} runs gave up", timed_out, runs);
  }
  return {};
}

}  // namespace tailrace::sim
