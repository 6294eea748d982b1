// The byte-stream seam. Implementations: io/uring/uring_transport (kernel sockets),
// io/userstack/user_transport (our TCP over a packet device), tests/sim/sim_transport.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/ops.h"
#include "base/time.h"

namespace tailrace::io {

// One owner thread; no call blocks.
class Transport {
 public:
  virtual ~Transport() = default;

  // Fills `events` from the front; returns how many. The bytes of a `data` event stay valid and
  // belong to the transport until release(token).
  virtual std::size_t poll(Instant now, std::span<StreamEvent> events) = 0;
  virtual void release(std::uint64_t token) = 0;

  // Queues all slices, in order, as one send, or nothing (false: too many sends in flight; try
  // again after a `sent` event). The slices' memory stays valid and unchanged until the event
  // `sent` with this token, which comes for every accepted send, also when the connection
  // breaks. The span of slices itself may die at return.
  virtual bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) = 0;

  // Back-pressure: while paused no data event comes and the peer's window closes. Bytes already
  // received may still come as one more event.
  virtual void pause(ConnId conn) = 0;
  virtual void resume(ConnId conn) = 0;

  // Closes after everything accepted by send() has gone out; `closed` follows.
  virtual void close(ConnId conn) = 0;
  // Closes at once (reset); `closed` follows.
  virtual void abort(ConnId conn) = 0;

  // Starts a connection to "host:port" (numeric); `connected` or `closed` follows. A null id
  // (0) when no more connections can be made.
  virtual ConnId connect(std::string_view address) = 0;

  // Connections that were closed at once, since start, because there were too many: no event tells
  // of them.
  virtual std::uint64_t refused_count() const { return 0; }

  // The end of a turn: what was said since poll() goes out, if it is not the ring that sees to it.
  virtual void flush(Instant /*now*/) {}

  // The device is gone: nothing will come or go any more.
  virtual bool failed() const { return false; }

  // When poll() wants to be called even without an event.
  virtual Instant next_deadline() const = 0;
};

}  // namespace tailrace::io
