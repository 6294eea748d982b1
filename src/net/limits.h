// Limits of one core's stack, filled in from the hardware profile; all memory follows from them
// and is reserved when the stack is made.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace tailrace::net {

struct Limits {
  // --- tables, per core
  std::uint32_t connections_max = 1024;
  std::uint32_t listeners_max = 16;
  // Handshakes under way of peers that connected to us. From the watermark on, answers are cookies
  // and nothing is remembered (RFC 4987).
  std::uint32_t half_open_max = 1024;
  std::uint32_t half_open_cookies_from = 768;
  std::uint32_t time_wait_max = 4096;     // the oldest goes when a newer comes
  std::uint32_t neighbours_max = 1024;
  std::uint32_t control_frames_max = 256; // answers without a connection that wait to go out

  // --- memory, per core
  std::uint32_t sends_max = 4096;         // send() calls whose `sent` was not yet taken
  std::uint32_t slices_max = 16'384;      // ... slices of all of them
  std::uint32_t sent_records_max = 16'384;// segments that were sent and not acknowledged
  std::uint32_t pieces_max = 8192;        // received frames held: out of order, or not yet taken
  std::uint32_t frames_max = 16'384;      // received frames that the device lends at a time
  std::uint32_t holds_max = 2048;         // frames with payload that the device has not finished
  // The sum of the receive buffers that connections may have grown to.
  std::uint64_t receive_bytes_max = std::uint64_t{64} << 20;

  // --- one connection
  std::uint32_t receive_buffer_min = 65'536;    // at its beginning
  std::uint32_t receive_buffer_max = 4U << 20;
  std::uint32_t reassembly_pieces_max = 1024;   // out of order
  std::uint32_t receive_pieces_max = 4096;      // all
  std::uint32_t sent_records_per_connection_max = 4096;
  std::uint16_t send_mss_min = 216;             // however little a peer claims to take
  std::uint32_t initial_window_segments = 10;   // RFC 6928
  std::uint32_t congestion_window_max = 64U << 20;
  std::uint32_t challenge_acks_per_second = 10; // RFC 5961, per connection

  // --- the core
  std::uint32_t resets_per_second = 1000;       // answers to segments of no connection
  std::uint32_t echoes_per_second = 1000;

  // --- time
  Duration rto_min = milliseconds(200);
  Duration rto_initial = seconds(1);
  Duration rto_max = seconds(60);
  Duration delayed_ack_max = milliseconds(40);
  Duration time_wait = seconds(60);             // 2 MSL
  Duration connect_timeout = seconds(30);
  Duration half_open_timeout = seconds(30);
  Duration user_timeout = seconds(120);         // data or a probe unanswered for so long: reset
  Duration keepalive_idle = seconds(600);
  Duration keepalive_interval = seconds(15);
  std::uint32_t keepalive_probes = 6;
  // After close(): what is queued must be acknowledged within the first, the peer must end within
  // the second.
  Duration finishing_max = seconds(30);
  Duration draining_max = seconds(1);
};

}  // namespace tailrace::net
