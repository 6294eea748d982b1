#include "broker/request.h"

#include <algorithm>

#include "base/log.h"
#include "broker/answer.h"
#include "broker/core.h"
#include "broker/scatter.h"

namespace tailrace::broker {
namespace {

bool is_free(const Request& request) {
  return request.messages_out == 0 && request.releases_out == 0 && request.control == nullptr;
}

}  // namespace

void free_request_memory(Core& core, MutableBytes& piece) {
  if (piece.empty()) return;
  core.request_memory.free(piece);
  core.memory_was_freed = true;
}

void free_answer_memory(Core& core, MutableBytes& piece) {
  if (piece.empty()) return;
  core.answer_memory.free(piece);
  core.memory_was_freed = true;
}

void make_ready(Core& core, Request& request) {
  TR_ASSERT(request.state == Request::State::working);
  core.deadlines.remove(request);
  if (request.is_orphan) return leave(core, request);
  if (is_api(request, kafka::ApiKey::produce)) free_request_memory(core, request.frame);
  request.state = Request::State::ready;
  if (Session* session = core.sessions.find(request.session)) add_work(core, *session);
}

void make_orphan(Core& core, Request& request) {
  request.is_orphan = true;
  core.deadlines.remove(request);
  if (request.state != Request::State::working) return leave(core, request);
  // What is being appended goes on: it may be in the log already. A waiting fetch ends.
  if (is_api(request, kafka::ApiKey::fetch)) {
    cancel_tasks(core, request);
  }
  if (is_free(request)) leave(core, request);
}

void leave(Core& core, Request& request) {
  core.deadlines.remove(request);
  if (request.state != Request::State::leaving) {
    free_answer_memory(core, request.answer);
    request.slices = {};
    if (request.control != nullptr && request.holds_reply) {
      core.send(bus::control_core, bus::MessageKind::reply_released, request.control);
      request.control = nullptr;  // Its slot is free when control says reply_gone.
    }
    if (is_api(request, kafka::ApiKey::fetch)) {
      end_fetch(core, request);
    }
    request.state = Request::State::leaving;
  }
  if (request.messages_out == 0) release_tasks(core, request);
  if (!is_free(request)) return;
  free_request_memory(core, request.frame);
  free_answer_memory(core, request.memory);
  free_answer_memory(core, request.ask);
  core.requests.erase(request.id);
  core.memory_was_freed = true;
}

void set_deadline(Core& core, Request& request, Instant deadline) {
  core.deadlines.remove(request);
  request.deadline = deadline;
  core.deadlines.insert(request);
}

void on_deadlines(Core& core, Now now) {
  while (Request* request = core.deadlines.earliest()) {
    if (now.instant < request->deadline) return;
    core.deadlines.remove(*request);
    cancel_tasks(core, *request);
  }
}

HostText peer_of(Core& core, const Request& request) {
  const Session* session = core.sessions.find(request.session);
  return session == nullptr ? HostText("?") : session->peer_host;
}

void tell_unreadable(const HostText& peer, std::int16_t api_key, std::int16_t api_version) {
  log_event(LogLevel::warn, "broker", "client {}: unreadable request (api {}, version {})",
            peer.text(), api_key, api_version);
}

void refuse_array(Core& core, Request& request, std::size_t count) {
  if (request.close_connection) return;  // It was told.
  request.close_connection = true;
  log_event(LogLevel::warn, "broker",
            "client {}: api {} needs an array of {}; decode_bytes_max is {}: closed",
            peer_of(core, request).text(), request.api_key, count, core.limits.decode_bytes_max);
}

AnswerRoom allocate_answer(Core& core, Request& request, std::size_t bytes,
                           std::size_t slice_count) {
  const std::size_t front = slice_count * sizeof(Bytes);
  if (front + bytes > core.answer_memory.piece_bytes_max() || bytes > INT32_MAX) {
    log_event(LogLevel::warn, "broker",
              "client {}: a response of {} bytes (api {}); answer memory has room for {}: "
              "closed",
              peer_of(core, request).text(), bytes, request.api_key,
              core.answer_memory.piece_bytes_max() - front);
    request.close_connection = true;
    return {};
  }
  request.answer = core.answer_memory.allocate(front + bytes);
  if (request.answer.empty()) return {};
  auto* slices = new (request.answer.data()) Bytes[slice_count];
  return {{slices, slice_count}, request.answer.subspan(front)};
}

}  // namespace tailrace::broker
