#include "checkers/history.h"

#include <cstring>

namespace tailrace::sim {
namespace {

constexpr std::uint64_t pattern_step = 0x9e3779b97f4a7c15U;

std::uint64_t pattern_word(std::uint64_t number, std::size_t at) {
  return (number + 1) * pattern_step + at * 0x00ab'cdef'0123'4567U;
}

}  // namespace

std::string record_value(std::uint64_t number, std::uint32_t bytes) {
  std::string value(bytes < 8 ? 8 : bytes, '\0');
  std::memcpy(value.data(), &number, 8);
  for (std::size_t at = 8; at < value.size(); at += 8) {
    const std::uint64_t word = pattern_word(number, at);
    std::memcpy(value.data() + at, &word, std::min<std::size_t>(8, value.size() - at));
  }
  return value;
}

std::int64_t record_number(std::string_view value) {
  if (value.size() < 8) return -1;
  std::uint64_t number;
  std::memcpy(&number, value.data(), 8);
  for (std::size_t at = 8; at < value.size(); at += 8) {
    const std::uint64_t word = pattern_word(number, at);
    if (std::memcmp(value.data() + at, &word, std::min<std::size_t>(8, value.size() - at)) != 0) {
      return -1;
    }
  }
  return static_cast<std::int64_t>(number);
}

}  // namespace tailrace::sim
