// What a core's data plane counts. One thread writes, any thread reads (relaxed: each number is
// right by itself, not against the others).
#pragma once

#include <array>

#include "base/counter.h"
#include "base/histogram.h"

namespace tailrace::broker {

struct Counters {
  // By API key; keys from 96 on are counted in the last.
  static constexpr std::size_t api_keys_max = 96;
  std::array<Counter, api_keys_max> requests;

  Counter connections_opened;
  Counter connections_closed;
  Counter connections_refused;   // over connections_max; here or in the transport
  Counter connections_idle;      // closed for idleness
  Counter protocol_errors;       // closed for what the peer sent
  Counter bytes_in;
  Counter bytes_out;
  Counter pauses;
  // Answers with at least one error code in them, of any API; each is counted once, whatever it
  // says. A produce request without acks that fails has no answer: its connection is closed.
  Counter error_responses;
  Counter records_appended;
  Counter bytes_appended;
  Counter bytes_fetched;
  Counter throttled;             // requests whose client was told to wait, for a quota
  Counter append_stalls;         // produce requests that had to wait for the log
  Counter tasks_sent;            // to other cores
  // Microseconds from the whole request to its response; waiting for data included.
  SharedHistogram produce_us;
  SharedHistogram fetch_us;
};

}  // namespace tailrace::broker
