// Writing responses into answer memory.
#pragma once

#include <algorithm>
#include <new>
#include <string>

#include "broker/core.h"
#include "broker/dispatch.h"
#include "kafka/header.h"
#include "kafka/throttle.h"

namespace tailrace::broker {

// Makes the answer of a request that is ready. False: no memory now.
bool build_answer(Core& core, Request& request);
// The same for each API that waits for tasks, in the file of its name.
bool build_produce_answer(Core& core, Request& request);
bool build_fetch_answer(Core& core, Request& request);
bool build_list_offsets_answer(Core& core, Request& request);
bool build_epoch_answer(Core& core, Request& request);
bool build_delete_records_answer(Core& core, Request& request);
bool build_log_dirs_answer(Core& core, Request& request);
bool build_producers_answer(Core& core, Request& request);

// Room for `bytes` of answer and `slice_count` slices in front of it. Empty: no memory now, or,
// with request.close_connection set, never.
struct AnswerRoom {
  std::span<Bytes> slices;
  MutableBytes bytes;
};
AnswerRoom allocate_answer(Core& core, Request& request, std::size_t bytes,
                           std::size_t slice_count);

inline kafka::RequestHeader header_of(const Request& request) {
  return {request.api_key, request.api_version, request.correlation_id, nullptr};
}

// The operator is told; the connection is to be closed.
void tell_unreadable(const HostText& peer, std::int16_t api_key, std::int16_t api_version);
// The request asks for too much at once: its connection will be closed.
void refuse_array(Core& core, Request& request, std::size_t count);

// An array of a response, in the core's scratch memory. When that is full the array is empty and
// the connection will be closed instead of answered.
template <class T>
std::span<T> take_array(Core& core, Request& request, std::size_t count) {
  const std::span<T> items = core.scratch.allocate<T>(count);
  if (items.size() < count) refuse_array(core, request, count);
  return items;
}

// The topics of a response and their partitions, as they were asked. `fill` tells of one item.
template <class Topic, class Partition, class Fill>
std::span<Topic> answer_items(Core& core, Request& request, std::string_view Topic::*name,
                              std::span<Partition> Topic::*partitions, Fill fill) {
  const std::span<Topic> topics = take_array<Topic>(core, request, request.topics.size());
  for (std::size_t i = 0; i < topics.size(); ++i) {
    const AskedTopic& asked = request.topics[i];
    const auto told = take_array<Partition>(core, request, asked.item_count);
    for (std::size_t k = 0; k < told.size(); ++k) {
      const TaskItem& item = request.items[asked.item_first + k];
      fill(item, told[k]);
    }
    topics[i].*name = asked.name;
    topics[i].*partitions = told;
  }
  return topics;
}

// Encodes `content` with its frame length and header. False: no memory now. A response that can
// never be sent closes the connection instead.
template <class Response>
bool write_answer(Core& core, Request& request, const Response& content) {
  if (request.close_connection) return true;
  const Response response = kafka::with_throttle(content, request.quota.throttle_ms);
  kafka::Writer size = kafka::Writer::counter();
  kafka::write_response_header(size, header_of(request));
  response.encode(size, request.api_version);
  const AnswerRoom room = allocate_answer(core, request, 4 + size.size(), 1);
  if (room.bytes.empty()) return request.close_connection;
  kafka::Writer out(room.bytes);
  out.integer(static_cast<std::int32_t>(size.size()));
  kafka::write_response_header(out, header_of(request));
  response.encode(out, request.api_version);
  TR_ASSERT(!out.overflowed());
  TR_ASSERT(out.size() == room.bytes.size());
  request.has_error = out.has_error();
  room.slices[0] = room.bytes;
  request.slices = room.slices;
  return true;
}

// For requests that are answered at once.
template <class Response>
Started answer_now(Core& core, Call& call, const Response& response) {
  if (!write_answer(core, call.request, response)) return Started::no_memory;
  make_ready(core, call.request);
  return Started::yes;
}

// Reads the body. False: it cannot be read, and the connection is to be closed.
template <class Body>
bool decode(Core& core, const Call& call, Body& body) {
  kafka::Reader in(call.body);
  Result<Body> decoded = Body::decode(in, call.header.api_version, core.scratch);
  if (decoded && !in.failed()) {
    body = *decoded;
    return true;
  }
  tell_unreadable(call.session.peer_host, call.header.api_key, call.header.api_version);
  return false;
}

}  // namespace tailrace::broker
