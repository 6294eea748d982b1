// Session: Kafka's state of a connection. It cuts frames out of the byte stream, starts requests
// in their order, sends the responses in the same order, and stops reading when any limit is
// reached.
//
// Where received bytes can be: in the event, when a whole frame lies in it (used in place); in
// `frame`, reserved from the core's request memory when its length arrived; in `backlog`, when
// the session has to wait (a limit, memory, an earlier request) and bytes are left over; and, only
// if even the backlog gets no memory, still in the transport's event (`held`).
//
// Order. Kafka runs one request of a connection at a time. Here Produce requests run side by side,
// since a group commit should carry more than one of a connection; the log keeps their order. Any
// other request begins when all before it are answered; none begins while one is being verified.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ops.h"
#include "base/slab.h"
#include "base/time.h"
#include "broker/intrusive_list.h"
#include "broker/open_partitions.h"
#include "broker/request.h"

namespace tailrace::broker {

struct Core;

struct Session {
  ConnId conn = 0;
  std::uint32_t listener = 0;
  HostText peer_host;
  Handle<Session> id;

  // --- requests, oldest first, until they are sent
  List<Request, &Request::session_link> requests;
  std::uint32_t request_count = 0;
  std::uint32_t unanswered_count = 0;
  std::uint32_t unanswered_others = 0;  // those that are not Produce
  std::uint64_t pinned_bytes = 0;
  List<Request, &Request::verify_link> verifying;  // in their order; the first one is at it
  OpenPartitions open_partitions;

  // --- input
  std::byte prefix[4];
  std::uint8_t prefix_size = 0;
  bool has_length = false;
  std::size_t frame_bytes = 0;     // of the frame being received
  MutableBytes frame;
  std::size_t frame_filled = 0;
  Instant frame_since;             // when it got its memory
  MutableBytes backlog;
  std::size_t backlog_pos = 0;
  Bytes held;
  std::uint64_t held_token = 0;
  bool is_paused = false;
  bool is_closing = false;         // nothing more is read; `closed` will come
  bool wants_memory = false;       // for input: a frame, a request slot, a response
  bool wants_answer_memory = false;

  // While it is muted, for a quota: until when.
  Instant deadline;
  std::uint32_t heap_index = no_deadline;

  Instant last_request;
  Link<Session> idle_link;
  Link<Session> memory_link;       // among those that wait for memory or slots
  Link<Session> work_link;         // among those to look at in this turn
};

// Events of connections.
void on_accepted(Core& core, const StreamEvent& event, Now now);
void on_data(Core& core, const StreamEvent& event, Now now);
void on_sent(Core& core, const StreamEvent& event, Now now);
void on_closed(Core& core, const StreamEvent& event);

// Something the session may have waited for has happened: it is looked at before the turn ends.
void add_work(Core& core, Session& session);
void do_work(Core& core, Now now);
// Closes after what was already handed to the transport. Its requests become orphans.
void close_session(Core& core, Session& session, Now now);
// Those that wait for memory or slots, in their order, as far as they get.
void serve_memory_waiters(Core& core, Now now);
void close_idle_sessions(Core& core, Now now);
// Those that hold memory for a frame and hardly send it, while others wait for memory.
void close_stalled_sessions(Core& core, Now now);
Instant idle_deadline(const Core& core);

}  // namespace tailrace::broker
