// Limits of the control plane, filled in from the hardware profile.
#pragma once

#include <cstdint>

namespace tailrace::control {

struct Limits {
  // Partitions of all topics together.
  std::uint32_t partitions_max = 4096;
  // The largest batch a topic may allow (log::Limits::batch_bytes_max()).
  std::uint32_t batch_bytes_max = 1'048'588;

  // Requests that wait for a commit; what comes beyond is answered with an error clients retry.
  std::uint32_t requests_waiting_max = 1024;
  // Memory in which one request is decoded and its answer put together.
  std::uint32_t request_memory_bytes = 4U << 20;
  // Images that some core still uses. Beyond it changes are committed but not yet shown, and
  // answers wait.
  std::uint32_t images_max = 64;

  // One change of metadata on disk: a topic with its partitions (24 bytes each) and configs. A
  // multiple of 2 KiB.
  std::uint32_t entry_bytes_max = 128U << 10;
  // All configs of one topic or of the brokers: names and values.
  std::uint32_t config_bytes_max = 32U << 10;

  // Each of the two journal files, zero-filled at format; they grow with the metadata up to the
  // maximum. See control/raft_store.h.
  std::uint64_t journal_bytes = std::uint64_t{2} << 20;
  std::uint64_t journal_bytes_max = std::uint64_t{256} << 20;
};

}  // namespace tailrace::control
