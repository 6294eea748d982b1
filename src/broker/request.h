// Request: one client request from its whole frame to the last byte of its response.
//
//          dispatch         all tasks home, or       at the front of     `sent`, reads
//   (frame) ─────▶ working ─ control's reply ─▶ ready ─ its connection ─▶ sending ─ unpinned ▶ gone
//                     └─────── answered at once ──▲
//
// A connection that closes leaves its requests as orphans: they still wait for their tasks and
// for control, since others hold pointers into them, and then go without an answer.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/uuid.h"
#include "broker/deadline_heap.h"
#include "broker/intrusive_list.h"
#include "broker/partition_task.h"
#include "bus/client_quotas.h"
#include "bus/message.h"
#include "kafka/apis.h"

namespace tailrace::broker {

struct Session;

// A topic as the client named it; name or id are told back as they came.
struct AskedTopic {
  std::string_view name;
  Uuid id;
  std::uint32_t item_first = 0;
  std::uint32_t item_count = 0;
};

// What a Fetch remembers beyond its items.
struct FetchState {
  std::uint64_t bytes_min = 0;
  std::uint32_t bytes_max = 0;
  bool read_committed = false;
  bool taking = false;            // false: watching
  bool expired = false;           // max_wait is over: answer with what there is
  std::int32_t session_id = 0;    // in the response
  std::uint64_t session = UINT64_MAX;  // packed handle of the fetch session
  bool incremental = false;       // only changed partitions are told
};

// What quotas mean for one request.
struct RequestQuota {
  std::uint32_t throttle_ms = 0;  // told in its answer
  bus::QuotaMatch bytes;          // of produce or fetch
  bus::QuotaMatch time;
};

// How far a Produce has come with the batches of a transaction (verification.h).
enum class Verification : std::uint8_t {
  unneeded,  // it has none
  open,      // the owners have not said yet whether they must be verified
  waiting,   // until those before it on its connection are
  asked,     // control is at it
  done,      // the owners append what may be appended
};

struct Request {
  enum class State : std::uint8_t { working, ready, sending, leaving };

  State state = State::working;
  bool is_orphan = false;         // its connection is gone
  bool no_reply = false;          // acks=0, and all went well
  bool close_connection = false;  // instead of a response
  bool has_error = false;         // an error code is in the answer
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  std::int16_t acks = 0;
  std::uint32_t listener = 0;
  Handle<Request> id;
  Handle<Session> session;
  Instant started;
  Link<Request> session_link;     // in the session's order

  Instant deadline;
  std::uint32_t heap_index = no_deadline;

  MutableBytes frame;             // request memory, when the frame is still needed
  MutableBytes memory;            // answer memory: topics, items, tasks, names
  std::span<AskedTopic> topics;
  std::span<TaskItem> items;
  std::span<Task> tasks;
  std::uint32_t messages_out = 0; // answers of tasks and of cancels that are not here yet
  std::uint32_t releases_out = 0;
  FetchState fetch;
  RequestQuota quota;

  bus::ControlRequest* control = nullptr;
  bool holds_reply = false;       // control's memory is being sent
  bool created_topics = false;    // Metadata, after its auto-create
  MutableBytes ask;               // answer memory: a question of our own, while control has it
  Verification verification = Verification::unneeded;
  bool opens_partitions = false;  // of its session, and therefore runs alone
  Link<Request> verify_link;      // in the session's line of those that verify

  MutableBytes answer;            // answer memory: response and slices
  std::span<const Bytes> slices;
  std::uint64_t pinned_bytes = 0; // of the answer
};

inline bool is_api(const Request& request, kafka::ApiKey api) {
  return request.api_key == static_cast<std::int16_t>(api);
}

}  // namespace tailrace::broker
