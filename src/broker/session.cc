#include "broker/session.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "broker/answer.h"
#include "broker/core.h"
#include "broker/dispatch.h"

namespace tailrace::broker {
namespace {

using OpKind = StreamOp::Kind;

constexpr std::size_t header_bytes_min = 8;  // key, version, correlation id

// While others wait for memory, a frame that has some must come at this rate, after a while.
constexpr std::int64_t frame_bytes_per_s_min = 256 << 10;
constexpr Duration frame_grace = seconds(5);
constexpr Duration stall_check_interval = seconds(1);

Session* find(Core& core, ConnId conn) {
  return core.sessions.find(core.sessions_by_conn.find(conn));
}

void touch(Core& core, Session& session, Now now) {
  session.last_request = now.instant;
  core.idle_order.remove(session);
  core.idle_order.push_back(session);
}

bool has_leftover(const Session& session) {
  return !session.backlog.empty() || !session.held.empty();
}

void release_event(Core& core, std::uint64_t token) {
  core.stream_ops.push_back({OpKind::release, 0, token, {}});
}

void update_pause(Core& core, Session& session) {
  if (session.is_closing) return;
  const bool frame_waits =
      !session.frame.empty() && session.frame_filled == session.frame_bytes;
  const bool pause = has_leftover(session) || session.wants_memory || frame_waits;
  if (pause == session.is_paused) return;
  session.is_paused = pause;
  core.stream_ops.push_back({pause ? OpKind::pause : OpKind::resume, session.conn, 0, {}});
  if (pause) core.counters.pauses.add();
}

void wait_for_memory(Core& core, Session& session) {
  session.wants_memory = true;
  if (!session.memory_link.linked) core.memory_waiters.push_back(session);
}

// Who stops waiting may have stood in the way of others.
void stop_waiting(Core& core, Session& session) {
  if (!session.memory_link.linked) return;
  core.memory_waiters.remove(session);
  core.memory_was_freed = true;
}

// May a request that begins with these bytes begin now? If not, an answer of this connection
// will be sent or its mute will end, and then it is asked again.
bool may_start(const Core& core, const Session& session, Bytes frame) {
  if (is_muted(session)) return false;
  if (session.request_count >= core.limits.requests_in_flight_max) return false;
  if (!session.verifying.empty() || session.open_partitions.is_opening()) return false;
  const auto api_key = load_be<std::int16_t>(frame.data());
  const bool is_produce = api_key == static_cast<std::int16_t>(kafka::ApiKey::produce);
  if (is_produce) return session.unanswered_others == 0;
  if (session.unanswered_count > 0) return false;
  const bool is_fetch = api_key == static_cast<std::int16_t>(kafka::ApiKey::fetch);
  return !is_fetch || session.pinned_bytes <= core.limits.pinned_bytes_max / 2;
}

void flush_output(Core& core, Session& session, Now now);

// False: the frame has to wait, or the connection is being closed.
bool offer(Core& core, Session& session, Bytes frame, bool in_place, Now now) {
  if (!may_start(core, session, frame)) return false;
  switch (start_request(core, session, frame, in_place, now)) {
    case Started::yes: break;
    case Started::no_memory: wait_for_memory(core, session); return false;
    case Started::not_yet: return false;
    case Started::close:
      core.counters.protocol_errors.add();
      close_session(core, session, now);
      return false;
  }
  session.has_length = false;
  session.prefix_size = 0;
  if (!in_place) {
    free_request_memory(core, session.frame);  // Unless the request has taken it over.
    session.frame_filled = 0;
  }
  touch(core, session, now);
  flush_output(core, session, now);
  return true;
}

// False: more bytes are needed, or the length is refused.
bool take_length(Core& core, Session& session, Bytes& in, Now now) {
  const std::size_t count = std::min(in.size(), sizeof(session.prefix) - session.prefix_size);
  if (count > 0) std::memcpy(session.prefix + session.prefix_size, in.data(), count);
  session.prefix_size = static_cast<std::uint8_t>(session.prefix_size + count);
  in = in.subspan(count);
  if (session.prefix_size < sizeof(session.prefix)) return false;
  const auto length = load_be<std::int32_t>(session.prefix);
  const auto bytes_max = static_cast<std::int64_t>(
      std::min<std::size_t>(core.limits.request_bytes_max, core.request_memory.piece_bytes_max()));
  if (length < static_cast<std::int32_t>(header_bytes_min) || length > bytes_max) {
    log_event(LogLevel::warn, "broker",
              "client {}: a request of {} bytes; {} to {} are allowed: closed",
              session.peer_host.text(), length, header_bytes_min, bytes_max);
    core.counters.protocol_errors.add();
    close_session(core, session, now);
    return false;
  }
  session.has_length = true;
  session.frame_bytes = static_cast<std::size_t>(length);
  return true;
}

// Starts what can be started from `in`; leaves in it what has to wait.
void consume(Core& core, Session& session, Bytes& in, Now now) {
  while (!session.is_closing) {
    if (!session.frame.empty()) {
      const std::size_t count = std::min(in.size(), session.frame_bytes - session.frame_filled);
      if (count > 0) std::memcpy(session.frame.data() + session.frame_filled, in.data(), count);
      session.frame_filled += count;
      in = in.subspan(count);
      if (session.frame_filled < session.frame_bytes) return;
      if (!offer(core, session, session.frame, false, now)) return;
      continue;
    }
    // No memory is taken for what will not begin now.
    if (is_muted(session)) return;
    if (!session.has_length && !take_length(core, session, in, now)) return;
    if (in.size() >= session.frame_bytes) {
      const Bytes frame = in.first(session.frame_bytes);
      if (!offer(core, session, frame, true, now)) return;
      in = in.subspan(frame.size());
      continue;
    }
    // Who came first is served first, or a large frame would wait for ever. Small frames have
    // memory of their own.
    const Session* first = core.memory_waiters.front();
    const bool must_queue = !core.request_memory.is_small(session.frame_bytes);
    if (must_queue && first != nullptr && first != &session && !core.serves_waiters) {
      return wait_for_memory(core, session);
    }
    session.frame = core.request_memory.allocate(session.frame_bytes);
    session.frame_filled = 0;
    session.frame_since = now.instant;
    if (session.frame.empty()) return wait_for_memory(core, session);
  }
}

// Puts bytes that have to wait behind those that wait already. False: they stay in the event.
bool add_to_backlog(Core& core, Session& session, Bytes bytes) {
  const Bytes old = Bytes(session.backlog).subspan(session.backlog_pos);
  MutableBytes bigger = core.answer_memory.allocate(old.size() + bytes.size());
  if (bigger.empty()) return false;
  if (!old.empty()) std::memcpy(bigger.data(), old.data(), old.size());
  std::memcpy(bigger.data() + old.size(), bytes.data(), bytes.size());
  free_answer_memory(core, session.backlog);
  session.backlog = bigger;
  session.backlog_pos = 0;
  return true;
}

void keep_rest(Core& core, Session& session, Bytes rest, std::uint64_t token, Now now) {
  if (session.held.empty() && add_to_backlog(core, session, rest)) {
    return release_event(core, token);
  }
  // Receive buffers are shared by all connections, so only a few may be held back.
  if (!session.held.empty() || core.held_count == core.limits.events_held_max) {
    log_event(LogLevel::warn, "broker",
              "client {}: no memory for its bytes, and more than events_held_max ({}) wait "
              "for some: closed",
              session.peer_host.text(), core.limits.events_held_max);
    close_session(core, session, now);
    return release_event(core, token);
  }
  session.held = rest;
  session.held_token = token;
  ++core.held_count;
}

void drop_held(Core& core, Session& session) {
  release_event(core, session.held_token);
  session.held = {};
  --core.held_count;
}

void drop_input(Core& core, Session& session) {
  free_request_memory(core, session.frame);
  free_answer_memory(core, session.backlog);
  if (!session.held.empty()) drop_held(core, session);
}

void pump_input(Core& core, Session& session, Now now) {
  session.wants_memory = false;
  if (!session.backlog.empty()) {
    Bytes in = Bytes(session.backlog).subspan(session.backlog_pos);
    consume(core, session, in, now);
    if (session.is_closing) return;
    session.backlog_pos = session.backlog.size() - in.size();
    if (in.empty()) {
      free_answer_memory(core, session.backlog);
      session.backlog_pos = 0;
    }
  }
  if (session.backlog.empty() && !session.held.empty()) {
    consume(core, session, session.held, now);
    if (session.is_closing) return;
    if (session.held.empty()) drop_held(core, session);
  }
  if (!has_leftover(session) && session.has_length) {
    Bytes nothing;
    consume(core, session, nothing, now);
  }
  if (session.is_closing) return;
  if (!session.wants_memory && !session.wants_answer_memory) stop_waiting(core, session);
  update_pause(core, session);
}

void note_answered(Session& session, const Request& request) {
  --session.unanswered_count;
  if (!is_api(request, kafka::ApiKey::produce)) --session.unanswered_others;
  if (request.opens_partitions) session.open_partitions.end_opening();
}

void take_out(Session& session, Request& request) {
  session.requests.remove(request);
  --session.request_count;
  if (request.verify_link.linked) session.verifying.remove(request);
  if (request.state == Request::State::sending) {
    session.pinned_bytes -= request.pinned_bytes;
  } else {
    note_answered(session, request);
  }
}

void count_answer(Core& core, const Request& request, Now now) {
  const auto us = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, (now.instant - request.started).ns / 1000));
  if (is_api(request, kafka::ApiKey::produce)) core.counters.produce_us.record(us);
  if (is_api(request, kafka::ApiKey::fetch)) core.counters.fetch_us.record(us);
  if (request.has_error) core.counters.error_responses.add();
}

void send_answer(Core& core, Session& session, Request& request, Now now) {
  count_answer(core, request, now);
  std::size_t bytes = 0;
  for (const Bytes slice : request.slices) bytes += slice.size();
  core.counters.bytes_out.add(bytes);
  charge_answer(core, request, bytes, now);
  note_answered(session, request);
  session.pinned_bytes += request.pinned_bytes;
  request.state = Request::State::sending;
  core.stream_ops.push_back({OpKind::send, session.conn, request.id.packed(), request.slices});
}

// Sends what is ready, oldest first, up to the first request that is still at work.
void flush_output(Core& core, Session& session, Now now) {
  session.wants_answer_memory = false;
  for (Request* request = session.requests.front(); request != nullptr;) {
    Request& current = *request;
    request = session.requests.next(current);
    if (current.state == Request::State::sending) continue;
    if (current.state != Request::State::ready) return;
    const bool wants_answer =
        !current.no_reply && !current.close_connection && current.answer.empty();
    if (wants_answer && !build_answer(core, current)) {
      session.wants_answer_memory = true;
      if (!session.memory_link.linked) core.memory_waiters.push_back(session);
      return;
    }
    if (current.close_connection) return close_session(core, session, now);
    if (!current.no_reply) {
      send_answer(core, session, current, now);
      continue;
    }
    count_answer(core, current, now);
    take_out(session, current);
    leave(core, current);
  }
}

// A send that the transport has not taken yet does not outlive its connection.
void forget_ops(Core& core, ConnId conn) {
  std::erase_if(core.stream_ops, [&](const StreamOp& op) {
    return op.kind != OpKind::release && op.conn == conn;
  });
}

}  // namespace

void on_accepted(Core& core, const StreamEvent& event, Now now) {
  const bool refused = core.is_stopping || core.sessions.full();
  (refused ? core.counters.connections_refused : core.counters.connections_opened).add();
  if (refused) return core.stream_ops.push_back({OpKind::abort, event.conn, 0, {}});
  const Handle<Session> id = core.sessions.insert();
  Session& session = core.sessions.at(id);
  session.id = id;
  session.conn = event.conn;
  session.listener = event.listener;
  session.peer_host = as_text(event.bytes);
  session.last_request = now.instant;
  core.sessions_by_conn.insert(event.conn, id);
  core.idle_order.push_back(session);
}

void on_data(Core& core, const StreamEvent& event, Now now) {
  core.counters.bytes_in.add(event.bytes.size());
  Session* session = find(core, event.conn);
  if (session == nullptr || session->is_closing) return release_event(core, event.token);
  Bytes in = event.bytes;
  if (!has_leftover(*session) && !session->wants_memory) consume(core, *session, in, now);
  if (session->is_closing || in.empty()) {
    release_event(core, event.token);
  } else {
    keep_rest(core, *session, in, event.token, now);
  }
  update_pause(core, *session);
}

void on_sent(Core& core, const StreamEvent& event, Now now) {
  Request* request = core.requests.find(Handle<Request>::unpacked(event.token));
  if (request == nullptr || request->state != Request::State::sending) return;
  if (Session* session = core.sessions.find(request->session)) {
    take_out(*session, *request);
    touch(core, *session, now);
    add_work(core, *session);
  }
  leave(core, *request);
}

void on_closed(Core& core, const StreamEvent& event) {
  Session* session = find(core, event.conn);
  forget_ops(core, event.conn);
  if (session == nullptr) return;
  core.counters.connections_closed.add();
  while (Request* request = session->requests.front()) {
    take_out(*session, *request);
    make_orphan(core, *request);
  }
  drop_input(core, *session);
  core.muted.remove(*session);
  core.idle_order.remove(*session);
  stop_waiting(core, *session);
  if (session->work_link.linked) core.work.remove(*session);
  core.sessions_by_conn.erase(event.conn);
  core.sessions.erase(session->id);
}

void close_session(Core& core, Session& session, Now now) {
  if (session.is_closing) return;
  session.is_closing = true;
  core.muted.remove(session);
  for (Request* request = session.requests.front(); request != nullptr;) {
    Request& current = *request;
    request = session.requests.next(current);
    if (current.state == Request::State::sending) continue;
    take_out(session, current);
    make_orphan(core, current);
  }
  drop_input(core, session);
  stop_waiting(core, session);
  session.wants_memory = false;
  touch(core, session, now);
  core.stream_ops.push_back({OpKind::close, session.conn, 0, {}});
}

void add_work(Core& core, Session& session) {
  if (!session.work_link.linked) core.work.push_back(session);
}

void do_work(Core& core, Now now) {
  while (Session* session = core.work.pop_front()) {
    if (session->is_closing) continue;
    flush_output(core, *session, now);
    if (!session->is_closing) pump_input(core, *session, now);
  }
}

void serve_memory_waiters(Core& core, Now now) {
  if (!core.memory_was_freed) return;
  core.memory_was_freed = false;
  // Answers first: they give memory back. Then new requests, and there nobody overtakes, or a
  // large one would wait for ever.
  for (Session* session = core.memory_waiters.front(); session != nullptr;) {
    Session* const next = core.memory_waiters.next(*session);
    if (session->wants_answer_memory) add_work(core, *session);
    session = next;
  }
  do_work(core, now);
  while (Session* session = core.memory_waiters.front()) {
    core.memory_waiters.remove(*session);
    flush_output(core, *session, now);
    if (session->is_closing) continue;
    core.serves_waiters = true;
    pump_input(core, *session, now);
    core.serves_waiters = false;
    if (!session->wants_memory && !session->wants_answer_memory) continue;
    if (session->memory_link.linked) {  // Back to the front: it keeps its place.
      core.memory_waiters.remove(*session);
      core.memory_waiters.push_front(*session);
    }
    return;
  }
}

void close_idle_sessions(Core& core, Now now) {
  while (Session* session = core.idle_order.front()) {
    if (now.instant < session->last_request + core.limits.connection_idle_max) return;
    touch(core, *session, now);
    if (session->unanswered_count > 0 || is_muted(*session)) continue;  // It waits for us.
    core.counters.connections_idle.add();
    if (session->is_closing || session->request_count > 0) {
      // The peer does not take what was sent long ago.
      core.stream_ops.push_back({OpKind::abort, session->conn, 0, {}});
      continue;
    }
    close_session(core, *session, now);
  }
}

void close_stalled_sessions(Core& core, Now now) {
  if (core.memory_waiters.front() == nullptr || now.instant < core.stall_check_at) return;
  core.stall_check_at = now.instant + stall_check_interval;
  for (std::size_t i = 0; i < core.sessions.capacity(); ++i) {
    Session* session = core.sessions.at_index(i);
    if (session == nullptr || session->is_closing || session->frame.empty()) continue;
    if (session->frame_filled == session->frame_bytes) continue;
    const Instant due = session->frame_since + frame_grace;
    const std::int64_t late_ms = (now.instant - due).ns / 1'000'000;
    const auto filled = static_cast<std::int64_t>(session->frame_filled);
    if (late_ms <= 0 || filled >= late_ms * frame_bytes_per_s_min / 1000) continue;
    log_event(LogLevel::warn, "broker",
              "client {}: {} of {} bytes of a request so far, others wait for its memory: "
              "closed",
              session->peer_host.text(), session->frame_filled, session->frame_bytes);
    core.counters.protocol_errors.add();
    close_session(core, *session, now);
  }
}

Instant idle_deadline(const Core& core) {
  const Session* session = core.idle_order.front();
  const Instant idle =
      session == nullptr ? never() : session->last_request + core.limits.connection_idle_max;
  return core.memory_waiters.front() == nullptr ? idle : std::min(idle, core.stall_check_at);
}

}  // namespace tailrace::broker
