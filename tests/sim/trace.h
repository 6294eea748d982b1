// Trace: what happened in a run, mixed into one number as it happens. The same seed gives the same
// number, or something in the product or here depends on more than the seed.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"

namespace tailrace::sim {

class Trace {
 public:
  explicit Trace(bool verbose = false) : verbose_(verbose) {}

  void add(std::uint64_t word) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15U;
    hash_ ^= hash_ >> 29;
  }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
  }
  // Eight bytes at a time: whole responses go through here.
  void add(Bytes bytes) {
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data(), 8);
      add(word);
    }
    for (const std::byte b : bytes) add(static_cast<std::uint64_t>(b));
  }
  std::uint64_t hash() const { return hash_; }

  // A line for the reader of a verbose run; costs nothing otherwise.
  template <class... Args>
  void say(Instant at, fmt::format_string<Args...> format, Args&&... args) {
    if (!verbose_) return;
    fmt::print("{:>12.3f} ms  {}\n", static_cast<double>(at.ns) / 1e6,
               fmt::format(format, std::forward<Args>(args)...));
  }
  bool verbose() const { return verbose_; }

 private:
  bool verbose_;
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace tailrace::sim
