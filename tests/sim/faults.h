// Faults: what goes wrong in a run, drawn from its seed. Most runs have crashes only; each further
// kind of fault has its own chance, so that many seeds see one kind alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.h"
#include "sim_disk.h"
#include "sim_transport.h"

namespace tailrace::sim {

struct Event {
  enum class Kind : std::uint8_t {
    power_cut,     // everything unsynced is at chance's mercy
    kill,          // the process dies, the machine goes on
    stop,          // an orderly stop
    rot_segment,   // a bit of a segment flips for good
    rot_wal,       // a bit of a WAL flips for good
    wall_jump,     // the wall clock is moved
  };
  Kind kind = Kind::power_cut;
  Instant at;
};

struct FaultPlan {
  DiskPace disk_pace;
  DiskFaults disk_faults;
  NetworkPace network_pace;
  std::uint64_t capacity_bytes = 0;  // 0: plenty
  std::vector<Event> events;         // by time
  std::uint16_t core_count = 1;
  bool changes_core_count = false;   // at restarts
  bool durable_writes = false;       // log::Limits::durable_writes
};

// One line for a verbose run.
std::string to_string(const FaultPlan& plan);

// For a run that is busy for about `busy`.
FaultPlan draw_faults(std::uint64_t seed, Instant start, Duration busy);

}  // namespace tailrace::sim
