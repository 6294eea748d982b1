// The program of the network simulation: two stacks, one seed. `tailrace_net_sim SEED` repeats a
// failing schedule exactly.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "net_simulation.h"

namespace {

using namespace tailrace::sim;

constexpr const char* usage =
    "tailrace_net_sim SEED [-v]         one schedule, twice, described; -v: every frame\n"
    "tailrace_net_sim --from A --count N\n"
    "tailrace_net_sim --from A --seconds S\n"
    "  --keep-going                     do not stop at the first failure\n";

int run_one(std::uint64_t seed, bool verbose) {
  const NetPlan plan = draw_plan(seed);
  fmt::print("{}", describe(plan));
  const NetOutcome first = run_plan(plan, verbose);
  const NetOutcome again = run_plan(plan);
  fmt::print("{} frames ({} lost), {} segments, {} bytes, {} resent, {} time-outs, {} doubles, "
             "{} ACKs, {} undone, {:.3f} s\n",
             first.frames, first.lost, first.segments, first.bytes, first.retransmits,
             first.timeouts, first.duplicates, first.acks, first.undos,
             static_cast<double>(first.virtual_ns) / 1e9);
  if (first.trace != again.trace) {
    fmt::print("FAILED: two runs of one seed differ\n");
    return 1;
  }
  if (first.failure.empty()) return 0;
  fmt::print("FAILED: {}\n", first.failure);
  return 1;
}

struct Options {
  std::uint64_t from = 1;
  std::uint64_t count = 1000;
  double seconds = 0;
  bool keep_going = false;
};

int run_many(const Options& options) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  NetTotals totals;
  std::uint64_t failures = 0;
  std::uint64_t seed = options.from;
  const auto goes_on = [&] {
    return options.seconds > 0 ? spent() < options.seconds : seed < options.from + options.count;
  };
  for (; goes_on(); ++seed) {
    const NetPlan plan = draw_plan(seed);
    const NetOutcome outcome = run_plan(plan);
    totals.add(plan, outcome);
    if (outcome.failure.empty()) continue;
    ++failures;
    fmt::print("FAILED tailrace_net_sim {}: {}\n", seed, outcome.failure);
    if (!options.keep_going) break;
  }
  const std::string failure = totals.failure();
  if (!failure.empty()) {
    ++failures;
    fmt::print("FAILED over all: {}\n", failure);
  }
  fmt::print("net seeds {}..{}: {} frames, {} bytes, {} gave up, {} time-outs of {} lost with "
             "SACK, {} resent of {} lost, {:.0f} virtual s in {:.1f} s\n",
             options.from, seed - 1, totals.frames, totals.bytes, totals.timed_out,
             totals.sack_timeouts, totals.sack_lost, totals.plain_retransmits, totals.plain_lost,
             static_cast<double>(totals.virtual_ns) / 1e9, spent());
  fmt::print("{} passed, {} failed, 0 skipped\n", totals.runs - std::min(failures, totals.runs),
             failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtod(argv[++i], nullptr) : 0; };
    if (word == "--from") {
      options.from = static_cast<std::uint64_t>(number());
    } else if (word == "--count") {
      options.count = static_cast<std::uint64_t>(number());
    } else if (word == "--seconds") {
      options.seconds = number();
    } else if (word == "--keep-going") {
      options.keep_going = true;
    } else if (!word.starts_with("-")) {
      const bool verbose = i + 1 < argc && std::string_view(argv[i + 1]) == "-v";
      return run_one(std::strtoull(argv[i], nullptr, 10), verbose);
    } else {
      std::fputs(usage, stderr);
      return 2;
    }
  }
  return run_many(options);
}
