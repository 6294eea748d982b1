// What can go wrong in the world, as four bytes. The mapping to Kafka's wire codes is in
// kafka/errors.h alone.
#pragma once

#include <cstdint>

namespace tailrace {

enum class Errc : std::uint16_t {
  truncated = 1,       // bytes end before the structure does
  malformed,           // bytes contradict the format
  unsupported,         // a version, key or feature we do not speak
  too_large,           // over a limit of ours
  corrupt,             // a checksum does not match
  full,                // a bounded container or the disk has no room now
  not_found,
  already_exists,
  out_of_range,        // an offset outside the log
  not_leader,          // the partition is not led (or not owned) here
  fenced,              // an older epoch, or a core that stopped after a disk error
  io,                  // a device or a socket failed; detail is the errno
  invalid_argument,
  out_of_order,        // a producer sequence with a gap
  duplicate,           // a producer batch that is already in the log
  invalid_timestamp,
  stale_epoch,         // the producer epoch is older than the newest seen
  closed,
  timed_out,
  no_space,            // the disk is full, or nearly so
  unsupported_codec,   // a compression we do not know
  wrong_transaction,   // a batch that the state of its producer's transaction forbids
  coordinator_fenced,  // a marker from an older transaction coordinator
  over_limit,          // a limit of ours, and only time helps
};

// The name of the enumerator, for logs and traces.
constexpr const char* to_string(Errc code) {
  switch (code) {
    case Errc::truncated: return "truncated";
    case Errc::malformed: return "malformed";
    case Errc::unsupported: return "unsupported";
    case Errc::too_large: return "too_large";
    case Errc::corrupt: return "corrupt";
    case Errc::full: return "full";
    case Errc::not_found: return "not_found";
    case Errc::already_exists: return "already_exists";
    case Errc::out_of_range: return "out_of_range";
    case Errc::not_leader: return "not_leader";
    case Errc::fenced: return "fenced";
    case Errc::io: return "io";
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::out_of_order: return "out_of_order";
    case Errc::duplicate: return "duplicate";
    case Errc::invalid_timestamp: return "invalid_timestamp";
    case Errc::stale_epoch: return "stale_epoch";
    case Errc::closed: return "closed";
    case Errc::timed_out: return "timed_out";
    case Errc::no_space: return "no_space";
    case Errc::unsupported_codec: return "unsupported_codec";
    case Errc::wrong_transaction: return "wrong_transaction";
    case Errc::coordinator_fenced: return "coordinator_fenced";
    case Errc::over_limit: return "over_limit";
  }
  return "unknown";
}

// A code and a number that only the code gives meaning to (an errno, a record index, ...).
struct Error {
  Errc code;
  std::uint16_t detail = 0;

  friend bool operator==(Error, Error) = default;
};
static_assert(sizeof(Error) == 4);

}  // namespace tailrace
