// What crosses a thread: one cache line, trivially copyable. Bigger things travel by pointer, and
// the message is the change of owner: after sending a pointer the sender does not touch the
// object until a message brings it back.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/bytes.h"
#include "base/ops.h"

namespace tailrace::bus {

// Data-plane threads of this node are numbered from 0; the control thread has a number of its own.
using CoreId = std::uint16_t;
inline constexpr CoreId control_core = 0xffff;

// A client's request that is control work, lent by a core to the control thread and back.
struct ControlRequest {
  // Set by the core. The bytes stay valid until the object comes back.
  CoreId core = 0;
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  // The core's own question, on behalf of a client's request: CreateTopics for a Metadata (unknown
  // topics), AddPartitionsToTxn for a Produce. The reply goes no further than the core.
  bool on_behalf = false;
  std::string_view client_id;
  HostText client_host;
  Bytes body;                    // the request after its header
  std::uint64_t tag = 0;         // the core's: which session, which request
  std::uint64_t slot = 0;        // the core's: where the object lies
  std::uint32_t listener = 0;    // through which the client came (NodeImage::endpoints)
  // For how long quotas make the client wait, told in the reply: what the core has found, and then
  // no less what control says.
  std::uint32_t throttle_ms = 0;

  // Set by control: the response after its header. The memory is control's until the core sends
  // reply_released. Empty with `close_connection` when the request cannot be answered.
  Bytes reply;
  bool has_error = false;        // an error code is in the reply
  bool close_connection = false;
};

enum class MessageKind : std::uint8_t {
  // core -> control
  control_request,   // object: ControlRequest*
  reply_released,    // object: ControlRequest*; its reply was sent: control frees the reply memory
                     // and gives the object back (reply_gone)
  image_adopted,     // word: version; nothing of this core refers to an older image any more
  log_task_done,     // object: LogTask*, now control's again
  // control -> core
  control_reply,     // object: ControlRequest*, now the core's
  reply_gone,        // object: ControlRequest*
  image_published,   // object: const MetadataImage*
  log_task,          // object: LogTask*, to the owner core of the partition (bus/log_task.h)
  // core -> core; object: broker's PartitionTask*, whose fields say more
  task,              // to the owner core of the partition
  task_done,         // back to the asking core
  task_cancel,       // to the owner: answer now with what there is
  task_release,      // to the owner: the bytes the answer points at are no longer used
  task_released,     // back to the asking core: the object is free
  // core -> core; object: QuotaReport* (bus/client_quotas.h)
  quota_report,      // to every other core
  quota_report_done, // back to the core that it is of
  // both
  stop,              // finish and end the thread
};

struct alignas(64) Message {
  MessageKind kind;
  CoreId from = 0;
  std::uint64_t image_version = 0;  // the sender's
  void* object = nullptr;
  std::uint64_t word = 0;
};
static_assert(sizeof(Message) == 64);
static_assert(std::is_trivially_copyable_v<Message>);

// A message and where it goes; what logic hands to its thread.
struct Outgoing {
  CoreId to;
  Message message;
};

}  // namespace tailrace::bus
