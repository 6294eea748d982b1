// Requests that are control work: lent to the control thread, their replies sent in order from
// control's memory, which then goes back.
//
//   control_request ──▶ control_reply ──▶ (sent) ──▶ reply_released ──▶ reply_gone
#pragma once

#include "base/time.h"
#include "broker/answer.h"
#include "broker/dispatch.h"
#include "bus/message.h"

namespace tailrace::broker {

struct Core;

// Lends `ask` with the request's tag. Its body must be the request's (keep_frame, memory).
Started send_control(Core& core, Request& request, const bus::ControlRequest& ask);
void on_control_reply(Core& core, bus::ControlRequest& reply, Now now);
void on_reply_gone(Core& core, bus::ControlRequest& reply);
// The answer of a request that control has worked on. False: no memory now.
bool build_control_answer(Core& core, Request& request);
// metadata.cc: the same for a Metadata that has made topics.
bool finish_metadata(Core& core, Request& request);

// A question of our own: its bytes are kept by the request until control has answered.
// `close`: it is larger than the memory for it.
Started begin_ask(Core& core, Request& request, std::size_t bytes);
template <class Body>
Started ask_control(Core& core, Request& request, std::int16_t api_key, std::int16_t api_version,
                    const Body& body) {
  kafka::Writer size = kafka::Writer::counter();
  body.encode(size, api_version);
  if (const Started begun = begin_ask(core, request, size.size()); begun != Started::yes) {
    return begun;
  }
  kafka::Writer out(request.ask);
  body.encode(out, api_version);
  TR_ASSERT(!out.overflowed());
  return send_control(core, request, {.api_key = api_key,
                                      .api_version = api_version,
                                      .on_behalf = true,
                                      .body = out.written()});
}

}  // namespace tailrace::broker
