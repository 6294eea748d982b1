#include "broker/control_request.h"

#include "base/log.h"
#include "broker/verification.h"

namespace tailrace::broker {

Started start_control(Core& core, Call& call, Now) {
  if (core.control_requests.full()) return Started::no_memory;
  const std::size_t body_pos = call.frame.size() - call.body.size();
  const Bytes frame = keep_frame(core, call);
  if (frame.empty()) return Started::no_memory;
  kafka::Reader in(frame);
  const kafka::RequestHeader header = kafka::read_request_header(in);
  return send_control(core, call.request, {.api_key = header.api_key,
                                           .api_version = header.api_version,
                                           .client_id = header.client_id.value,
                                           .body = frame.subspan(body_pos)});
}

Started send_control(Core& core, Request& request, const bus::ControlRequest& ask) {
  const Handle<bus::ControlRequest> handle = core.control_requests.insert(ask);
  if (handle.is_null()) return Started::no_memory;
  bus::ControlRequest& lent = core.control_requests.at(handle);
  lent.core = core.core;
  lent.tag = request.id.packed();
  lent.slot = handle.packed();
  lent.listener = request.listener;
  if (const Session* session = core.sessions.find(request.session)) {
    lent.client_host = session->peer_host;
  }
  lent.throttle_ms = request.quota.throttle_ms;
  request.control = &lent;
  core.send(bus::control_core, bus::MessageKind::control_request, &lent);
  return Started::yes;
}

Started begin_ask(Core& core, Request& request, std::size_t bytes) {
  if (bytes > core.answer_memory.piece_bytes_max()) {  // Never, so it must not wait.
    log_event(LogLevel::warn, "broker",
              "client {}: api {} has {} bytes to ask control; answer memory has room for {}",
              peer_of(core, request).text(), request.api_key, bytes,
              core.answer_memory.piece_bytes_max());
    return Started::close;
  }
  if (core.control_requests.full()) return Started::no_memory;
  request.ask = core.answer_memory.allocate(bytes);
  return request.ask.empty() ? Started::no_memory : Started::yes;
}

void on_control_reply(Core& core, bus::ControlRequest& reply, Now now) {
  Request& request = core.requests.at(Handle<Request>::unpacked(reply.tag));
  TR_ASSERT(request.control == &reply);
  request.holds_reply = true;
  free_answer_memory(core, request.ask);
  if (request.is_orphan) return make_ready(core, request);
  if (is_api(request, kafka::ApiKey::produce)) return on_verified(core, request, now);
  Session* session = core.sessions.find(request.session);
  if (session != nullptr && reply.throttle_ms > request.quota.throttle_ms) {
    core.counters.throttled.add();
    mute(core, *session, now.instant + milliseconds(reply.throttle_ms));
  }
  request.created_topics = is_api(request, kafka::ApiKey::metadata);
  request.close_connection = reply.close_connection && !request.created_topics;
  if (request.close_connection) {
    core.counters.protocol_errors.add();
    tell_unreadable(peer_of(core, request), request.api_key, request.api_version);
  }
  make_ready(core, request);
}

void on_reply_gone(Core& core, bus::ControlRequest& reply) {
  const auto handle = Handle<bus::ControlRequest>::unpacked(reply.slot);
  TR_ASSERT(core.control_requests.find(handle) == &reply);
  core.control_requests.erase(handle);
  core.memory_was_freed = true;
}

bool build_control_answer(Core& core, Request& request) {
  const Bytes reply = request.control->reply;
  kafka::Writer size = kafka::Writer::counter();
  kafka::write_response_header(size, header_of(request));
  const AnswerRoom room = allocate_answer(core, request, 4 + size.size(), 2);
  if (room.bytes.empty()) return request.close_connection;
  kafka::Writer out(room.bytes);
  out.integer(static_cast<std::int32_t>(size.size() + reply.size()));
  kafka::write_response_header(out, header_of(request));
  room.slices[0] = room.bytes;
  room.slices[1] = reply;
  request.has_error = request.control->has_error;
  request.slices = room.slices;
  return true;
}

}  // namespace tailrace::broker
