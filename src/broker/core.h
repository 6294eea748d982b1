// Core: all state of one core's data plane, and the helpers that its parts share. Internal to
// src/broker; the public face is core_broker.h.
#pragma once

#include <string>
#include <vector>

#include "base/arena.h"
#include "base/prng.h"
#include "broker/core_broker.h"
#include "broker/deadline_heap.h"
#include "broker/fetch_session.h"
#include "broker/id_table.h"
#include "broker/memory_pool.h"
#include "broker/request_memory.h"
#include "broker/partition_owner.h"
#include "broker/quotas.h"
#include "broker/request.h"
#include "broker/session.h"

namespace tailrace::broker {

struct Core {
  Core(const Limits& limits, bus::CoreId core, log::CoreLog& log, const StaticConfig& config);

  const Limits limits;
  const bus::CoreId core;
  log::CoreLog& log;
  const StaticConfig config;
  Counters counters;

  RequestMemory request_memory;
  MemoryPool answer_memory;
  Arena scratch;                  // of the request being decoded and its response

  Slab<Session> sessions;
  IdTable<Session> sessions_by_conn;
  List<Session, &Session::idle_link> idle_order;     // the longest idle first
  List<Session, &Session::memory_link> memory_waiters;
  Instant stall_check_at;          // while somebody waits for memory
  std::uint32_t held_count = 0;
  bool memory_was_freed = false;  // since the waiters were last served
  bool serves_waiters = false;    // it is the first waiter's turn
  List<Session, &Session::work_link> work;

  Slab<Request> requests;
  DeadlineHeap<Request> deadlines;
  Slab<bus::ControlRequest> control_requests;
  FetchSessions fetch_sessions;

  Quotas quotas;
  DeadlineHeap<Session> muted;    // connections that are not read for a while

  PartitionOwner owner;
  List<Task, &Task::link> parked;  // of other cores, made under an image that is not here yet
  const bus::MetadataImage* image = nullptr;
  std::uint64_t disk_total_bytes = 0;
  std::uint64_t disk_usable_bytes = 0;
  std::uint64_t transport_refused = 0;  // connections; as last told

  std::vector<StreamOp> stream_ops;
  std::vector<bus::Outgoing> messages;
  bool is_stopping = false;
  Instant abort_at = never();   // whoever has not gone by then, when we stop
  std::uint64_t appended_at_step = 0;  // counters.records_appended when the log last stepped

  void send(bus::CoreId to, bus::MessageKind kind, void* object, std::uint64_t word = 0) {
    messages.push_back({to, {kind, core, image == nullptr ? 0 : image->version, object, word}});
  }
};

// --- request.cc
// The request's answer is there or can be made: it is sent when its turn comes.
void make_ready(Core& core, Request& request);
void make_orphan(Core& core, Request& request);
// After the answer was sent, or instead of it: gives back what the request holds. It goes when
// nobody else refers to it.
void leave(Core& core, Request& request);
void set_deadline(Core& core, Request& request, Instant deadline);
void on_deadlines(Core& core, Now now);
// For messages: the address of who sent it; "?" when the connection is gone.
HostText peer_of(Core& core, const Request& request);
// Frees memory and lets those go on who wait for some.
void free_request_memory(Core& core, MutableBytes& piece);
void free_answer_memory(Core& core, MutableBytes& piece);

}  // namespace tailrace::broker
