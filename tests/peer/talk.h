// What the test program says on one connection. A talk is named by a line, which the peer sends
// first on a connection that it opened, and the command on one that we opened:
//
//   ID echo                   sends back what comes; ends when the peer has ended
//   ID sink SEED BYTES        compares what comes; after the peer's end answers "ok" or what is not
//   ID slow MS SEED BYTES     the same, but reads nothing in the first MS
//   ID source SEED BYTES      sends, ends; then reads the peer's verdict
//   ID late SEED BYTES        the same, but only after the peer has ended
//   ID reset BYTES            resets after so many have come
//   ID hold                   says nothing
//   ID meet                   ends when it is told to
//
// The bytes of a seed are one block of a prime length over and over, so that a piece that is
// missing, doubled or in the wrong place does not look like the right one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace tailrace::peer {

inline constexpr std::size_t pattern_bytes = 65'521;

std::vector<std::byte> pattern_of(std::uint64_t seed);

struct Talk {
  enum class Role : std::uint8_t { none, echo, sink, source, late, reset, hold, meet };

  // False: it is no such line.
  bool begin(std::string_view line);

  // Takes bytes that came; of the sink's, whether they were the right ones is in `wrong`.
  void take(Bytes bytes);
  // The next bytes of a source, or empty.
  Bytes next();
  // What a sink says at the end.
  std::string verdict() const;

  Role role = Role::none;
  std::string id;
  std::string heard;               // the first line so far; of a source the peer's verdict
  std::uint64_t bytes_max = 0;
  Duration wait{};
  std::vector<std::byte> pattern;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::string wrong;
  std::uint32_t outstanding = 0;   // sends
  Instant resumes = never();       // a slow one
  bool peer_ended = false;
  bool is_ending = false;          // we have said that we end
  bool is_paused = false;
};

}  // namespace tailrace::peer
