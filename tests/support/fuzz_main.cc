// Drives a fuzz target without libFuzzer: its seeds, then random changes of them, the same ones
// for the same seed number. Not guided by coverage, so it is a smoke test and a way to run an
// input again, not a search.
//
//   NAME_fuzz [--runs N] [--seed N] [--write-corpus FOLDER] [FILE...]
//
// Files are run as they are, and nothing else then. At a crash the input is written to
// crash-input in the working folder.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../support/fuzz_target.h"
#include "base/prng.h"

namespace {

using tailrace::Prng;

constexpr std::size_t input_bytes_max = 65536;

const std::string* running = nullptr;
unsigned long long run_number = 0;

void on_crash(int signal) {
  const int file = ::open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && running != nullptr) {
    [[maybe_unused]] const auto written = ::write(file, running->data(), running->size());
    ::close(file);
  }
  char text[96];
  const int size = std::snprintf(text, sizeof text, "fuzz: crash in run %llu, see crash-input\n",
                                 run_number);
  [[maybe_unused]] const auto told = ::write(2, text, static_cast<std::size_t>(size));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const std::string& input) {
  running = &input;
  ++run_number;
  // A copy of exactly this size, so that reading beyond the end is seen by a sanitizer.
  const std::vector<std::uint8_t> exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

char random_byte(Prng& prng) {
  constexpr unsigned char telling[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0xfe, 0x0f};
  return static_cast<char>(prng.chance(1, 3) ? telling[prng.below(std::size(telling))]
                                             : prng.below(256));
}

void change(std::string& input, const std::vector<std::string>& seeds, Prng& prng) {
  if (input.empty()) input.push_back(random_byte(prng));
  const std::size_t at = prng.below(input.size());
  const std::size_t size = std::min<std::size_t>(prng.between(1, 16), input.size() - at);
  switch (prng.below(8)) {
    case 0: input[at] = static_cast<char>(input[at] ^ (1 << prng.below(8))); break;
    case 1: input[at] = random_byte(prng); break;
    case 2: input[at] = static_cast<char>(input[at] + (prng.chance(1, 2) ? 1 : -1)); break;
    case 3: input.insert(at, size, random_byte(prng)); break;
    case 4: input.erase(at, size); break;
    case 5: input.insert(at, std::string(input, at, size)); break;
    case 6: input.resize(at); break;
    case 7: {
      const std::string& other = seeds[prng.below(seeds.size())];
      const std::size_t from = prng.below(other.size() + 1);
      input.replace(at, std::string::npos, other, from, std::string::npos);
      break;
    }
  }
  if (input.size() > input_bytes_max) input.resize(input_bytes_max);
}

void write_corpus(const std::vector<std::string>& seeds, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream file(folder / ("seed-" + std::to_string(i)), std::ios::binary);
    file.write(seeds[i].data(), static_cast<std::streamsize>(seeds[i].size()));
  }
}

void run_files(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::ifstream file(name, std::ios::binary);
    run(std::string(std::istreambuf_iterator<char>(file), {}));
  }
}

void search(std::vector<std::string> seeds, unsigned long long runs, std::uint64_t seed) {
  Prng prng(seed, "fuzz");
  run({});
  for (const std::string& input : seeds) run(input);
  if (seeds.empty()) seeds.emplace_back("seed");
  for (unsigned long long i = 0; i < runs; ++i) {
    std::string input = seeds[prng.below(seeds.size())];
    for (std::uint64_t changes = prng.between(1, 4); changes > 0; --changes) {
      change(input, seeds, prng);
    }
    run(input);
  }
}

}  // namespace

// Sanitizers end with abort(), so that on_crash keeps the input.
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

int main(int argument_count, char** arguments) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(signal, on_crash);
  }
  unsigned long long runs = 20'000;
  std::uint64_t seed = 1;
  std::vector<std::string> names;
  for (int i = 1; i < argument_count; ++i) {
    const std::string argument = arguments[i];
    const char* value = i + 1 < argument_count ? arguments[i + 1] : "";
    if (argument == "--runs") {
      runs = std::strtoull(value, nullptr, 10);
      ++i;
    } else if (argument == "--seed") {
      seed = std::strtoull(value, nullptr, 10);
      ++i;
    } else if (argument == "--write-corpus") {
      write_corpus(tailrace::fuzz::seeds(), value);
      return 0;
    } else {
      names.push_back(argument);
    }
  }
  if (names.empty()) {
    search(tailrace::fuzz::seeds(), runs, seed);
  } else {
    run_files(names);
  }
  std::printf("fuzz: %llu runs, seed %llu, no crash\n", run_number,
              static_cast<unsigned long long>(seed));
  return 0;
}
