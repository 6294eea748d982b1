#include "talk.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace tailrace::peer {

// The test's other side makes the same: tests/peer/kernel_side.py.
std::vector<std::byte> pattern_of(std::uint64_t seed) {
  std::vector<std::byte> bytes(pattern_bytes);
  auto state = static_cast<std::uint32_t>(seed);
  for (std::byte& byte : bytes) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

bool Talk::begin(std::string_view line) {
  std::istringstream words{std::string(line)};
  std::string word;
  std::uint64_t seed = 0;
  words >> id >> word;
  if (word == "slow") {
    std::int64_t ms = 0;
    words >> ms;
    wait = milliseconds(ms);
  }
  if (word == "echo") role = Role::echo;
  if (word == "hold") role = Role::hold;
  if (word == "meet") role = Role::meet;
  if (word == "sink" || word == "slow") role = Role::sink;
  if (word == "source") role = Role::source;
  if (word == "late") role = Role::late;
  if (word == "reset") role = Role::reset;
  if (role == Role::sink || role == Role::source || role == Role::late) words >> seed;
  if (role == Role::reset || seed != 0) words >> bytes_max;
  if (seed != 0) pattern = pattern_of(seed);
  return role != Role::none && !words.fail();
}

void Talk::take(Bytes bytes) {
  if (role == Role::source || role == Role::late) heard += as_text(bytes);
  if (role == Role::sink && wrong.empty()) {
    for (std::size_t i = 0; i < bytes.size();) {
      const std::size_t at = (received + i) % pattern_bytes;
      const std::size_t count = std::min(bytes.size() - i, pattern_bytes - at);
      if (!std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                      bytes.begin() + static_cast<std::ptrdiff_t>(i + count),
                      pattern.begin() + static_cast<std::ptrdiff_t>(at))) {
        wrong = fmt::format("wrong bytes from {} to {}", received + i, received + i + count);
        break;
      }
      i += count;
    }
  }
  received += bytes.size();
}

Bytes Talk::next() {
  const std::size_t at = sent % pattern_bytes;
  const std::uint64_t count = std::min<std::uint64_t>(pattern_bytes - at, bytes_max - sent);
  sent += count;
  return Bytes(pattern).subspan(at, count);
}

std::string Talk::verdict() const {
  if (!wrong.empty()) return wrong;
  if (received != bytes_max) return fmt::format("{} bytes instead of {}", received, bytes_max);
  return "ok";
}

}  // namespace tailrace::peer
