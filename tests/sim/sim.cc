// The simulator's program. A failing seed is told as `tools/dev sim SEED`, and running it again
// shows the same failure, event by event with -v.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "log_simulation.h"
#include "plants.h"
#include "simulation.h"

namespace {

using namespace tailrace::sim;

constexpr const char* usage =
    "tailrace_sim SEED [-v]           one seed, twice; -v: every event\n"
    "tailrace_sim --from A --count N  N seeds from A on\n"
    "tailrace_sim --seconds S         as many seeds as fit; a quarter of the time the log alone\n"
    "tailrace_sim --hours H           lives, until they lasted for H hours of their own time\n"
    "tailrace_sim --forever           until stopped\n"
    "tailrace_sim --self-test         every planted fault is caught by its checker\n"
    "  --log           the log alone, without brokers\n"
    "  --life          minutes at the pace of applications: groups and transactions\n"
    "  --links         bytes go through our own TCP over simulated links in every run;\n"
    "  --no-links      in none; without either, in a quarter of them\n"
    "  --plant NAME    with this fault planted; the run fails when the checkers work\n"
    "  --keep-going    do not stop at the first failing seed\n";

struct Options {
  std::optional<std::uint64_t> seed;
  std::uint64_t from = 1;
  std::optional<std::uint64_t> count;
  std::optional<double> seconds;
  std::optional<double> hours;
  bool forever = false;
  bool self_test = false;
  bool log_only = false;
  bool life = false;
  bool verbose = false;
  bool keep_going = false;
  LinkChoice links = LinkChoice::drawn;
  Plant plant = Plant::none;
};

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// An assertion that fails ends the program: the seed must be known all the same.
std::uint64_t seed_now = 0;
const char* kind_now = "";
bool verbose_now = false;
void on_abort(int) {
  fmt::print("FAILED seed {}{}: aborted\nfirst failing seed: tools/dev sim {}{}\n", seed_now,
             kind_now, seed_now, kind_now);
  std::fflush(stdout);
}

// The option that makes a seed's run what it is.
const char* kind_of(const Options& options, bool log_only) {
  if (log_only) return " --log";
  switch (options.links) {
    case LinkChoice::drawn: return options.life ? " --life" : "";
    case LinkChoice::always: return options.life ? " --life --links" : " --links";
    case LinkChoice::never: return options.life ? " --life --no-links" : " --no-links";
  }
  return "";
}

RunResult run_once(std::uint64_t seed, const Options& options, bool log_only, bool verbose) {
  seed_now = seed;
  kind_now = kind_of(options, log_only);
  if (log_only) return LogSimulation(seed, options.plant, verbose).run();
  const Pace pace = options.life ? Pace::life : Pace::quick;
  return Simulation(seed, options.plant, verbose, pace, options.links).run();
}

// Twice where asked: both must go the same way.
RunResult run_seed(std::uint64_t seed, const Options& options, bool log_only, bool twice) {
  RunResult result = run_once(seed, options, log_only, options.verbose);
  if (!twice) return result;
  const RunResult again = run_once(seed, options, log_only, false);
  if (again.hash != result.hash) {
    result.broken.push_back({"same_seed", fmt::format("trace hash {:016x}, then {:016x}",
                                                      result.hash, again.hash)});
  }
  return result;
}

struct Tally {
  std::uint64_t first = 0;
  std::uint64_t next = 0;
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t over_links = 0;
  std::uint64_t records = 0;
  std::uint64_t starts = 0;
  std::uint64_t transactions = 0;
  double hours = 0;  // of the runs' own time
  std::optional<std::uint64_t> first_failing;

  void add(std::uint64_t seed, const RunResult& result) {
    next = seed + 1;
    ++(result.broken.empty() ? passed : failed);
    refused += result.refused ? 1 : 0;
    over_links += result.over_links ? 1 : 0;
    records += result.records;
    starts += result.starts;
    transactions += result.transactions;
    hours += static_cast<double>(result.lasted.ns) / 3.6e12;
    if (!result.broken.empty() && !first_failing) first_failing = seed;
  }
};

void tell(std::uint64_t seed, const RunResult& result, const char* kind) {
  for (const Verdict& verdict : result.broken) {
    fmt::print("FAILED seed {}{}: {}: {}\n", seed, kind, verdict.promise, verdict.what);
  }
}

void summarize(const Tally& tally, const Options& options, bool log_only) {
  const char* kind = kind_of(options, log_only);
  const char* front = log_only ? "log " : options.life ? "life " : "";
  const std::string lasted =
      options.life ? fmt::format("{:.1f} hours, ", tally.hours) : std::string{};
  fmt::print("{}seeds {}..{}: {} passed, {} failed ({}{} records, {} transactions, {} starts, {} "
             "refused a damaged WAL, {} over links)\n",
             front, tally.first, tally.next == 0 ? 0 : tally.next - 1, tally.passed, tally.failed,
             lasted, tally.records, tally.transactions, tally.starts, tally.refused,
             tally.over_links);
  if (tally.first_failing) {
    fmt::print("first failing seed: tools/dev sim {}{}\n", *tally.first_failing, kind);
  }
}

// Is there nothing left to run?
bool is_enough(const Options& options, const Tally& tally, std::uint64_t seed,
               double seconds_left) {
  if (options.forever) return false;
  if (options.hours) return tally.hours >= *options.hours;
  if (options.count) return seed - options.from >= *options.count;
  return seconds_left <= 0;
}

// Every eighth seed is run twice: enough to find what depends on more than the seed.
Tally run_many(const Options& options, bool log_only, double seconds) {
  Tally tally{.first = options.from};
  const double begun = now_seconds();
  double told = begun;
  for (std::uint64_t seed = options.from;; ++seed) {
    const double now = now_seconds();
    if (is_enough(options, tally, seed, begun + seconds - now)) break;
    const RunResult result = run_seed(seed, options, log_only, seed % 8 == 0);
    tally.add(seed, result);
    tell(seed, result, kind_of(options, log_only));
    if (now - told >= 5) {
      told = now;
      fmt::print("{}seed {}: {:.0f} seeds/s, {} failed\n", log_only ? "log " : "", seed,
                 static_cast<double>(seed - options.from + 1) / (now - begun), tally.failed);
      std::fflush(stdout);
    }
    if (tally.failed >= 10 && !options.keep_going) break;
  }
  summarize(tally, options, log_only);
  return tally;
}

int run_batch(const Options& options) {
  Tally log;
  const bool both = options.seconds && !options.log_only && !options.life;
  if (both) log = run_many(options, true, *options.seconds / 4);
  const double rest = options.seconds.value_or(0) * (both ? 0.75 : 1);
  const Tally tally = run_many(options, options.log_only, rest);
  const std::uint64_t failed = log.failed + tally.failed;
  fmt::print("{} passed, {} failed, 0 skipped\n", log.passed + tally.passed, failed);
  return failed == 0 ? 0 : 1;
}

int run_single(const Options& options) {
  const RunResult result = run_seed(*options.seed, options, options.log_only, true);
  tell(*options.seed, result, kind_of(options, options.log_only));
  fmt::print("seed {}: {}, trace hash {:016x}, {} records, {} starts{}\n", *options.seed,
             result.broken.empty() ? "passed" : "failed", result.hash, result.records,
             result.starts, result.refused ? ", refused a damaged WAL" : "");
  return result.broken.empty() ? 0 : 1;
}

// How many seeds it takes until the checker of `plant` speaks; 0: never.
std::uint64_t seeds_until_caught(const PlantInfo& plant, Options options) {
  constexpr std::uint64_t seeds_most = 150;
  options.plant = plant.plant;
  if (plant.over_links) options.links = LinkChoice::always;
  for (std::uint64_t i = 0; i < seeds_most; ++i) {
    const RunResult result = run_seed(options.from + i, options, plant.log_only, true);
    for (const Verdict& verdict : result.broken) {
      if (verdict.promise == plant.promise) return i + 1;
    }
  }
  return 0;
}

int run_self_test(const Options& options) {
  std::uint64_t missed = 0;
  for (const PlantInfo& plant : plants) {
    const std::uint64_t seeds = seeds_until_caught(plant, options);
    missed += seeds == 0 ? 1 : 0;
    fmt::print("{:<18} {} {}\n", plant.name, plant.promise,
               seeds == 0 ? "NOT CAUGHT" : fmt::format("caught after {} seeds", seeds));
    std::fflush(stdout);
  }
  fmt::print("{} passed, {} failed, 0 skipped\n", plants.size() - missed, missed);
  return missed == 0 ? 0 : 1;
}

std::optional<std::uint64_t> number(std::string_view text) {
  char* end = nullptr;
  const std::string copy(text);
  const unsigned long long value = std::strtoull(copy.c_str(), &end, 10);
  if (copy.empty() || *end != '\0') return std::nullopt;
  return value;
}

// False: the arguments make no sense.
bool parse(const std::vector<std::string_view>& words, Options& options) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const std::string_view value = i + 1 < words.size() ? words[i + 1] : std::string_view{};
    const std::optional<std::uint64_t> amount = number(value);
    if (word == "-v") {
      options.verbose = true;
    } else if (word == "--log") {
      options.log_only = true;
    } else if (word == "--life") {
      options.life = true;
    } else if (word == "--links" || word == "--no-links") {
      options.links = word == "--links" ? LinkChoice::always : LinkChoice::never;
    } else if (word == "--forever") {
      options.forever = true;
    } else if (word == "--keep-going") {
      options.keep_going = true;
    } else if (word == "--self-test") {
      options.self_test = true;
    } else if (word == "--plant") {
      const PlantInfo* info = find_plant(value);
      if (info == nullptr) return false;
      options.plant = info->plant;
      ++i;
    } else if (word == "--hours" && amount) {
      options.hours = static_cast<double>(*amount);
      options.life = true;
      ++i;
    } else if ((word == "--from" || word == "--count" || word == "--seconds") && amount) {
      if (word == "--from") options.from = *amount;
      if (word == "--count") options.count = *amount;
      if (word == "--seconds") options.seconds = static_cast<double>(*amount);
      ++i;
    } else if (const auto seed = number(word)) {
      options.seed = *seed;
    } else {
      return false;
    }
  }
  return options.seed || options.count || options.seconds || options.hours || options.forever ||
         options.self_test;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse({argv + 1, argv + argc}, options)) {
    fmt::print(stderr, "{}", usage);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  verbose_now = options.verbose;
  tailrace::set_log_sink([](tailrace::LogLevel, std::string_view area, std::string_view line) {
    if (verbose_now) fmt::print("                 {} log: {}\n", area, line);
  });
  if (options.self_test) return run_self_test(options);
  if (options.seed) return run_single(options);
  return run_batch(options);
}
