// A request of a client as control reads it, and what it answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/arena.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/result.h"
#include "bus/message.h"
#include "kafka/throttle.h"
#include "kafka/wire.h"

namespace tailrace::control {

struct ControlAnswer {
  bus::ControlRequest* request = nullptr;
  std::vector<std::byte> reply;    // after its header
  bool has_error = false;          // an error code is in it
  bool close_connection = false;  // there is no reply
};

// How much one answer may tell: a short request can name the same large thing very often.
class ReplyRoom {
 public:
  explicit ReplyRoom(std::uint64_t bytes) : bytes_(bytes) {}
  // False: that does not fit any more.
  bool take(std::uint64_t bytes) {
    const bool fits = bytes <= bytes_;
    if (fits) bytes_ -= bytes;
    return fits;
  }

 private:
  std::uint64_t bytes_;
};

// Its parts lie in `arena`, which is emptied first.
template <class Request>
Result<Request> decode_body(const bus::ControlRequest& request, Arena& arena) {
  arena.reset();
  kafka::Reader in(request.body);
  return Request::decode(in, request.api_version, arena);
}

struct EncodedReply {
  std::vector<std::byte> bytes;
  bool has_error = false;
};

template <class Response>
EncodedReply encode_reply(const Response& content, std::int16_t version,
                          std::uint32_t throttle_ms) {
  const Response response = kafka::with_throttle(content, throttle_ms);
  kafka::Writer counter = kafka::Writer::counter();
  response.encode(counter, version);
  EncodedReply reply{std::vector<std::byte>(counter.size()), counter.has_error()};
  kafka::Writer out(reply.bytes);
  response.encode(out, version);
  TR_ASSERT(!out.overflowed());
  return reply;
}

template <class Response>
ControlAnswer answer_to(bus::ControlRequest* request, const Response& content) {
  EncodedReply reply = encode_reply(content, request->api_version, request->throttle_ms);
  return {request, std::move(reply.bytes), reply.has_error};
}

}  // namespace tailrace::control
