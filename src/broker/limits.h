// Limits of a core's data plane, filled in from the hardware profile. All cores of a node have
// the same.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace tailrace::broker {

struct Limits {
  std::uint16_t core_count = 1;

  // Connections of this core; a further one is aborted.
  std::uint32_t connections_max = 1024;
  // Of a connection: started and not yet sent; beyond this, reading from it pauses.
  std::uint32_t requests_in_flight_max = 16;
  // Of the core.
  std::uint32_t requests_max = 8192;
  std::uint32_t control_requests_max = 1024;
  // A connection without a whole request for so long is closed.
  Duration connection_idle_max = seconds(600);

  // A longer request closes its connection.
  std::uint32_t request_bytes_max = 104'857'600;
  // For requests being received or worked on. At least request_bytes_max.
  std::uint64_t request_memory_bytes = std::uint64_t{128} << 20;
  // For responses, and for what a request remembers while it waits.
  std::uint64_t answer_memory_bytes = std::uint64_t{64} << 20;
  // For records read from the disk until they are sent; at least twice the largest batch. When it
  // is used up, a fetch gets fewer partitions than it asked for.
  std::uint64_t cold_memory_bytes = std::uint64_t{32} << 20;
  // For the arrays of one decoded request and of its response.
  std::uint32_t decode_bytes_max = 16U << 20;
  // Topics and partitions that one request may be about, so that the arrays of its response fit.
  std::uint32_t asked_max() const { return decode_bytes_max / 256; }
  // Received bytes that could not be taken because memory was short stay in the transport's
  // buffers; at most so many such events at a time, or the connection is closed. Well below the
  // transport's receive_buffer_count.
  std::uint32_t events_held_max = 8;

  // Of one Fetch response (Kafka: fetch.max.bytes).
  std::uint32_t fetch_bytes_max = 57'671'680;
  // Record bytes a connection may hold in memory until they are sent.
  std::uint32_t pinned_bytes_max = 64U << 20;
  // Smaller pieces of records are copied into the response.
  std::uint32_t splice_bytes_min = 512;
  // Parts a response may be sent in; the rest of a long answer is left to the next fetch.
  std::uint32_t slices_max = 1024;
  std::uint32_t fetch_sessions_max = 1000;
  // A client that fetches more goes on without a session, as one does when all sessions together
  // hold a quarter of the answer memory.
  std::uint32_t fetch_session_partitions_max = 16'384;
  // An idle session of this age may be evicted for a new one (Kafka: 2 minutes).
  Duration fetch_session_idle_min = seconds(120);

  // Clients and users whose quotas are counted at a time, for each kind of quota.
  std::uint32_t quota_accounts_max = 4096;

  // Partitions that could not be made are tried again after this.
  Duration partition_retry = seconds(1);
};

}  // namespace tailrace::broker
