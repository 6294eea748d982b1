#include "simulation.h"

#include <algorithm>

namespace tailrace::sim {
namespace {

constexpr Duration patience = seconds(150);  // beyond that of the readers
// A run that goes on for so long without time advancing much is stuck in a loop.
constexpr std::uint64_t turns_max = 3'000'000;

using State = SimNode::State;

}  // namespace

Simulation::Simulation(std::uint64_t seed, Plant plant, bool verbose, Pace pace,
                       LinkChoice links)
    : world_(verbose), prng_(seed, "simulation"), busy_(draw_busy(pace)),
      plan_(draw_faults(seed, Instant{}, busy_)), workload_(world_, seed, pace) {
  world_.plant = plant;
  if (draws_links(seed, links)) world_.links = std::make_unique<Links>(world_, seed, busy_);
  world_.nodes.push_back(std::make_unique<SimNode>(world_, seed, 1, plan_));
  if (plant == Plant::remember) {
    static std::uint64_t runs = 0;
    world_.trace.add(++runs);
  }
}

Duration Simulation::draw_busy(Pace pace) {
  return pace == Pace::life ? draw_ms(300'000, 900'000) : draw_ms(20, 200);
}

Duration Simulation::draw_ms(std::uint64_t low, std::uint64_t high) {
  return milliseconds(static_cast<std::int64_t>(prng_.between(low, high)));
}

RunResult Simulation::run() {
  world_.trace.say(world_.clock.instant(), "{}", to_string(plan_));
  if (world_.links) {
    world_.trace.say(world_.clock.instant(), "{}", to_string(world_.links->plan()));
  }
  start_node();
  const auto up = [&] { return world_.nodes.front()->listening() || refused_rightly_; };
  if (!run_until(up, patience)) world_.verdicts.broken("liveness", "the node does not start");
  for (Event& event : plan_.events) event.at = world_.clock.instant() + Duration{event.at.ns};
  next_event_ = 0;
  const Instant busy_end = world_.clock.instant() + busy_;
  const auto tired = [&] { return busy_end <= world_.clock.instant() || refused_rightly_; };
  run_until(tired, Duration{busy_.ns + patience.ns});
  world_.quiet = true;
  cut_at_ = never();
  world_.nodes.front()->heal();
  if (world_.links) world_.links->heal();
  const auto settled = [&] { return workload_.settled() || refused_rightly_; };
  bool live = run_until(settled, patience);
  if (live && !refused_rightly_) {
    end_and_start();
    workload_.add_final_readers();
    live = run_until(settled, patience);
  }
  if (!live && !refused_rightly_) {
    world_.verdicts.broken("liveness", "after {} s without faults, node {}: {}",
                           patience.ns / 1'000'000'000,
                           static_cast<int>(world_.nodes.front()->state()),
                           workload_.waiting_for());
  }
  if (live && !refused_rightly_ && world_.links) check_links();
  world_.nodes.front()->crash(false);
  result_.broken = weigh();
  result_.hash = world_.trace.hash();
  result_.records = world_.history.records.size();
  result_.transactions = world_.transactions.transaction_count();
  result_.lasted = world_.clock.instant() - Instant{};
  result_.refused = refused_rightly_;
  result_.over_links = world_.links != nullptr;
  return result_;
}

template <class Over>
bool Simulation::run_until(Over over, Duration time) {
  const Instant deadline = world_.clock.instant() + time;
  for (std::uint64_t turns = 0; turns < turns_max; ++turns) {
    if (over()) return true;
    if (!world_.verdicts.all_kept()) return true;
    if (deadline <= world_.clock.instant()) return false;
    turn();
  }
  return false;
}

// Everybody whose time has come, once; then time goes on: a little, or to the next deadline.
void Simulation::turn() {
  if (!world_.quiet && cut_at_ <= world_.clock.instant()) {
    cut_at_ = never();
    world_.nodes.front()->crash(prng_.chance(1, 2));
  }
  while (!world_.quiet && next_event_ < plan_.events.size() &&
         plan_.events[next_event_].at <= world_.clock.instant()) {
    strike(plan_.events[next_event_++]);
  }
  tend_node();
  SimNode& node = *world_.nodes.front();
  bool ran = world_.links && world_.links->step();
  ran |= node.step();
  auto& clients = workload_.clients();
  const std::size_t first = prng_.below(clients.size());
  for (std::size_t i = 0; i < clients.size() && !clients_are_gone_; ++i) {
    Client& client = *clients[(first + i) % clients.size()];
    if (world_.clock.instant() < client.next_deadline()) continue;
    client.step();
    ran = true;
  }
  const Instant now = world_.clock.instant();
  if (ran) return world_.clock.advance_to(now + microseconds(static_cast<std::int64_t>(
                                                    prng_.between(1, 8))));
  Instant next = std::min(now + seconds(1), cut_at_);
  next = std::min(next, node.next_deadline());
  if (start_planned_) next = std::min(next, start_at_);
  if (!world_.quiet && next_event_ < plan_.events.size()) {
    next = std::min(next, plan_.events[next_event_].at);
  }
  if (world_.links) next = std::min(next, world_.links->next_deadline());
  if (!clients_are_gone_) {
    for (const auto& client : clients) next = std::min(next, client->next_deadline());
  }
  world_.clock.advance_to(std::max(next, now + nanoseconds(100)));
}

void Simulation::start_node() {
  SimNode& node = *world_.nodes.front();
  start_planned_ = false;
  std::uint16_t cores = result_.starts == 0 ? plan_.core_count : node.core_count();
  if (result_.starts > 0 && plan_.changes_core_count) {
    cores = static_cast<std::uint16_t>(prng_.between(1, 4));
  }
  ++result_.starts;
  faults_at_start_ = node.faults_injected();
  node.start(cores);
  // Sometimes the power fails before it is up.
  const bool cut = !world_.quiet && prng_.chance(1, 10);
  cut_at_ = cut ? world_.clock.instant() + draw_ms(0, 30) : never();
}

// What an operator does: starts what is down, starts again what has failed or would not start.
void Simulation::tend_node() {
  SimNode& node = *world_.nodes.front();
  const bool over = node.state() == State::down || node.state() == State::refused ||
                    node.state() == State::failed;
  if (!over) return;
  if (!start_planned_) {
    start_planned_ = true;
    start_at_ = world_.clock.instant() + draw_ms(0, 15);
    if (node.state() != State::refused) return;
    if (node.rotted_wal()) {
      refused_rightly_ = true;
      return;
    }
    const bool had_faults = node.faults_injected() > faults_at_start_ ||
                            (plan_.capacity_bytes != 0 && !world_.quiet);
    if (!had_faults) world_.verdicts.broken("starts", "refused to start: {}", node.why());
    return;
  }
  if (world_.clock.instant() < start_at_) return;
  node.crash(false);
  start_node();
}

void Simulation::strike(const Event& event) {
  SimNode& node = *world_.nodes.front();
  switch (event.kind) {
    case Event::Kind::power_cut: return node.crash(true);
    case Event::Kind::kill: return node.crash(false);
    case Event::Kind::stop: return node.begin_stop();
    case Event::Kind::rot_segment: return node.rot(false);
    case Event::Kind::rot_wal: return node.rot(true);
    case Event::Kind::wall_jump: {
      const auto by = static_cast<std::int64_t>(prng_.between(0, 4'000));
      world_.trace.say(world_.clock.instant(), "--- wall clock jumps");
      return world_.clock.move_wall(by - 1'000);
    }
  }
}

void Simulation::end_and_start() {
  SimNode& node = *world_.nodes.front();
  const std::uint64_t how = prng_.below(4);
  if (how == 3) {
    // Nobody waits for an answer to acks=0: such records may still be on their way.
    run_until([] { return false; }, seconds(3));
    return;
  }
  if (how == 2) {
    node.begin_stop();
    if (!run_until([&] { return node.state() == State::down || start_planned_; }, seconds(20))) {
      world_.verdicts.broken("liveness", "the node does not stop");
    }
    return;
  }
  node.crash(how == 0);
}

// Connections whose other end is gone, memory that was lent: on a good network all of it comes to
// an end by itself.
void Simulation::check_links() {
  clients_are_gone_ = true;
  world_.links->hang_up();
  const auto left = [&] {
    const std::string there = world_.links->what_is_left();
    return there.empty() ? world_.nodes.front()->what_is_left() : there;
  };
  if (!run_until([&] { return left().empty(); }, patience)) {
    world_.verdicts.broken("nothing_stays_open", "when all clients were gone: {}", left());
  }
  world_.links->check_machines();
}

// Damage that nothing can undo excuses what follows from it.
std::vector<Verdict> Simulation::weigh() const {
  const SimNode& node = *world_.nodes.front();
  std::vector<Verdict> left;
  for (const Verdict& verdict : world_.verdicts.list()) {
    const bool own = verdict.promise == "seams" || verdict.promise == "bounded_memory";
    if (node.rotted_wal() && !own) continue;
    // What lies in a segment that cannot be read may be a coordinator's as well.
    const bool waits = verdict.promise == "liveness" || verdict.promise == "starts" ||
                       verdict.promise == "no_hanging_transaction";
    if (node.rotted_segment() && waits) continue;
    left.push_back(verdict);
  }
  return left;
}

}  // namespace tailrace::sim
