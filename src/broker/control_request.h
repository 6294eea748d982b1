// Requests that are control work: lent to the control thread, their replies sent in order from
// control's memory, which then goes back.
//
//   control_request ──▶ control_reply ──▶ (sent) ──▶ reply_released ──▶ reply_gone
#pragma once

#include "base/time.h"
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

}  // namespace tailrace::broker
