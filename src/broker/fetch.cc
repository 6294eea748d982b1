// Fetch, from the request to the bytes in memory. Over several cores:
//
//   watch every partition ── enough bytes, an error, or max_wait ──▶ cancel the other watches
//   ── all home ──▶ give out max_bytes in the order of the request ──▶ take ── all home ──▶ ready
//
// Only this core knows which partition comes first in the request, and so which one may exceed
// the limit (KIP-74) and which ones get the rest. fetch_answer.cc writes the response.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/fetch.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using kafka::FetchRequest;

constexpr std::int16_t first_by_id = 13;
constexpr std::int32_t final_epoch = -1;    // no session, or its end
constexpr std::int32_t initial_epoch = 0;   // a new session

Started answer_error(Core& core, Call& call, ErrorCode error) {
  kafka::FetchResponse response;
  response.error_code = kafka::to_wire(error);
  return answer_now(core, call, response);
}

// Over its quota: nothing in it but how long to wait.
Started answer_throttled(Core& core, Call& call) {
  kafka::FetchResponse response;
  response.session_id = call.request.fetch.session_id;
  return answer_now(core, call, response);
}

void set_item(TaskItem& item, const FetchSessionPartition& asked) {
  item.offset = asked.fetch_offset;
  item.epoch = asked.last_fetched_epoch;
  item.bytes_max = static_cast<std::uint32_t>(std::max(asked.bytes_max, 0));
}

FetchSessionPartition to_partition(const FetchRequest::FetchTopic::FetchPartition& asked) {
  return {.partition = asked.partition,
          .fetch_offset = asked.fetch_offset,
          .leader_epoch = asked.current_leader_epoch,
          .last_fetched_epoch = asked.last_fetched_epoch,
          .bytes_max = asked.partition_max_bytes};
}

// --- requests that name all partitions

Started fill_full(Core& core, Request& request, const FetchRequest& body) {
  using Asked = FetchRequest::FetchTopic;
  const Started allocated =
      allocate_state(core, request, extent_of(body.topics, &Asked::topic, &Asked::partitions));
  if (allocated != Started::yes) return allocated;
  const bool by_id = request.api_version >= first_by_id;
  std::uint32_t index = 0;
  StateBuilder builder(request);
  for (const auto& topic : body.topics) {
    const AskedTopic& asked = builder.add_topic(topic.topic, topic.topic_id);
    const bus::TopicImage* image = find_topic(core, asked, by_id);
    for (const auto& partition : topic.partitions) {
      TaskItem& item = builder.add_item(partition.partition);
      item.session_index = index++;
      set_item(item, to_partition(partition));
      assign(core, request, item, image, by_id, partition.current_leader_epoch);
    }
  }
  return Started::yes;
}

// Adds what the request names. False: the session cannot hold it.
bool put_partitions(Core& core, FetchSession& session, const FetchRequest& body) {
  for (const auto& topic : body.topics) {
    if (topic.partitions.empty()) continue;
    const std::uint32_t index =
        core.fetch_sessions.add_topic(session, topic.topic, topic.topic_id);
    if (index == UINT32_MAX) return false;
    for (const auto& asked : topic.partitions) {
      FetchSessionPartition partition = to_partition(asked);
      partition.topic = index;
      if (!core.fetch_sessions.put(session, partition)) return false;
    }
  }
  return true;
}

void open_session(Core& core, Request& request, const FetchRequest& body, Now now) {
  if (request.items.empty()) return;
  FetchSession* session = core.fetch_sessions.create(now);
  if (session == nullptr) return;
  session->by_id = request.api_version >= first_by_id;
  const bool is_whole = put_partitions(core, *session, body) &&
                        session->partition_count == request.items.size();
  // More than it can hold, or a partition named twice: the client goes on without a session.
  if (!is_whole) return core.fetch_sessions.remove(*session);
  session->in_use = true;
  request.fetch.session = session->handle.packed();
  request.fetch.session_id = session->session_id;
}

Started start_full(Core& core, Call& call, const FetchRequest& body, Now now) {
  const Started filled = fill_full(core, call.request, body);
  if (filled != Started::yes) return filled;
  if (body.session_id != 0) {
    FetchSession* old = core.fetch_sessions.find(body.session_id);
    if (old != nullptr && !old->in_use) core.fetch_sessions.remove(*old);
    core.memory_was_freed = true;
  }
  if (body.session_epoch == initial_epoch) open_session(core, call.request, body, now);
  return Started::yes;
}

// --- requests of a session

Started fill_from_session(Core& core, Request& request, FetchSession& session) {
  const auto partitions = session.partitions();
  const std::size_t start = partitions.empty() ? 0 : session.start % partitions.size();
  const auto at = [&](std::size_t i) -> const FetchSessionPartition& {
    return partitions[(start + i) % partitions.size()];
  };
  Extent extent{.item_count = partitions.size()};
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    if (i > 0 && at(i).topic == at(i - 1).topic) continue;
    ++extent.topic_count;
    extent.name_bytes += session.topics()[at(i).topic].name_size;
  }
  const Started allocated = allocate_state(core, request, extent);
  if (allocated != Started::yes) return allocated;
  StateBuilder builder(request);
  const bus::TopicImage* image = nullptr;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const FetchSessionPartition& partition = at(i);
    if (i == 0 || partition.topic != at(i - 1).topic) {
      const FetchSessionTopic& topic = session.topics()[partition.topic];
      image = find_topic(core, builder.add_topic(topic.name_text(), topic.id), session.by_id);
    }
    TaskItem& item = builder.add_item(partition.partition);
    item.session_index = static_cast<std::uint32_t>((start + i) % partitions.size());
    set_item(item, partition);
    assign(core, request, item, image, session.by_id, partition.leader_epoch);
  }
  return Started::yes;
}

// What a session cannot hold it never will, so the request must not wait. The client begins anew,
// and goes on without a session if that one cannot hold it either.
Started end_session(Core& core, Call& call, FetchSession& session) {
  core.fetch_sessions.remove(session);
  core.memory_was_freed = true;
  return answer_error(core, call, ErrorCode::fetch_session_id_not_found);
}

// What the request changes in the session is kept, since the client does not say it again.
Started skip_turn(Core& core, Call& call, FetchSession& session, Now now) {
  call.request.fetch.session_id = session.session_id;
  const Started told = answer_throttled(core, call);
  if (told != Started::yes) return told;
  session.epoch = FetchSessions::next_epoch(session.epoch);
  core.fetch_sessions.used(session, now);
  return told;
}

Started start_incremental(Core& core, Call& call, const FetchRequest& body, Now now) {
  FetchSession* session = core.fetch_sessions.find(body.session_id);
  if (session == nullptr) {
    return answer_error(core, call, ErrorCode::fetch_session_id_not_found);
  }
  if (session->epoch != body.session_epoch || session->in_use) {
    return answer_error(core, call, ErrorCode::invalid_fetch_session_epoch);
  }
  if (session->by_id != (call.header.api_version >= first_by_id)) {
    return answer_error(core, call, ErrorCode::fetch_session_topic_id_error);
  }
  // All of this may be done again, should memory run out on the way.
  for (const auto& topic : body.forgotten_topics_data) {
    for (const std::int32_t partition : topic.partitions) {
      core.fetch_sessions.forget(*session, topic.topic, topic.topic_id, partition);
    }
  }
  core.fetch_sessions.drop_forgotten(*session);
  if (!put_partitions(core, *session, body)) return end_session(core, call, *session);
  Request& request = call.request;
  if (request.quota.throttle_ms > 0) return skip_turn(core, call, *session, now);
  const Started filled = fill_from_session(core, request, *session);
  if (filled == Started::close) return end_session(core, call, *session);
  if (filled != Started::yes) return filled;
  session->epoch = FetchSessions::next_epoch(session->epoch);
  session->in_use = true;
  core.fetch_sessions.used(*session, now);
  request.fetch.session = session->handle.packed();
  request.fetch.session_id = session->session_id;
  request.fetch.incremental = true;
  return Started::yes;
}

// --- waiting

bool is_urgent(const TaskItem& item) { return item.error != ErrorCode::none || item.diverges; }

std::uint64_t count_tasks(const Request& request) {
  std::uint64_t count = 0;
  for (const Task& task : request.tasks) count += task.item_count > 0 ? 1 : 0;
  return std::max<std::uint64_t>(count, 1);
}

std::uint64_t bytes_seen(const Request& request) {
  std::uint64_t bytes = 0;
  for (const Task& task : request.tasks) bytes += task.bytes_known;
  return bytes;
}

// Can the fetch be answered with what the watches have told?
bool is_satisfied(const Request& request) {
  for (const Task& task : request.tasks) {
    if (task.is_out) continue;
    for (const TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
      if (is_urgent(*item)) return true;
    }
  }
  return bytes_seen(request) >= request.fetch.bytes_min;
}

// A partition after the other gets its share of the bytes, those that come first all they want.
void give_out_bytes(Request& request) {
  std::uint64_t rest = request.fetch.bytes_max;
  bool is_first = true;
  for (TaskItem& item : request.items) {
    item.skip = true;
    if (item.task == nullptr || is_urgent(item) || item.bytes == 0) continue;
    if (rest == 0 && !is_first) continue;
    const std::uint64_t limit = std::min<std::uint64_t>(item.bytes_max, rest);
    item.skip = false;
    item.at_least_one = is_first;
    item.bytes_max = static_cast<std::uint32_t>(limit);
    // What it is about to use of the limit, so that many small partitions share a fetch.
    rest -= std::min(limit, item.bytes);
    is_first = false;
  }
}

void begin_take(Core& core, Request& request, Now now) {
  core.deadlines.remove(request);
  request.fetch.taking = true;
  give_out_bytes(request);
  for (Task& task : request.tasks) {
    bool is_wanted = false;
    for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
      is_wanted |= !item->skip;
    }
    if (!is_wanted) continue;
    task.kind = TaskKind::take;
    submit_task(core, request, task, now);
  }
  if (request.messages_out == 0) make_ready(core, request);
}

void watch_again(Core& core, Request& request, Task& task, Now now) {
  const std::uint64_t missing = request.fetch.bytes_min - bytes_seen(request);
  task.bytes_min =
      task.bytes_known + std::max<std::uint64_t>(missing / count_tasks(request), 1);
  submit_task(core, request, task, now);
}

void begin_watch(Core& core, Request& request, const FetchRequest& body, Now now) {
  bool can_wait = body.max_wait_ms > 0 && body.min_bytes > 0 && !request.items.empty();
  for (const TaskItem& item : request.items) can_wait &= item.error == ErrorCode::none;
  if (can_wait) {
    request.fetch.bytes_min =
        std::min<std::uint64_t>(static_cast<std::uint64_t>(body.min_bytes),
                                std::max(request.fetch.bytes_max, 1U));
    set_deadline(core, request, now.instant + milliseconds(body.max_wait_ms));
  }
  const std::uint64_t tasks = count_tasks(request);
  for (Task& task : request.tasks) {
    task.bytes_min = (request.fetch.bytes_min + tasks - 1) / tasks;
    task.read_committed = request.fetch.read_committed;
  }
  submit_tasks(core, request, TaskKind::watch, now);
}

}  // namespace

Started start_fetch(Core& core, Call& call, Now now) {
  FetchRequest body;
  if (!decode(core, call, body)) return Started::close;
  const bool is_full =
      body.session_epoch == initial_epoch || body.session_epoch == final_epoch;
  // A client whose full fetch is answered empty begins anew, so no session is made.
  if (call.request.quota.throttle_ms > 0 && is_full) return answer_throttled(core, call);
  const Started started = is_full ? start_full(core, call, body, now)
                                  : start_incremental(core, call, body, now);
  Request& request = call.request;
  if (started != Started::yes || request.state != Request::State::working) return started;
  const std::uint32_t pinned_max = core.limits.pinned_bytes_max / 2;
  request.fetch.bytes_max = quota_bytes_max(
      request, std::min({static_cast<std::uint32_t>(std::max(body.max_bytes, 0)),
                         core.limits.fetch_bytes_max, pinned_max}));
  request.fetch.read_committed = body.isolation_level == 1;
  begin_watch(core, request, body, now);
  return Started::yes;
}

void on_fetch_task_home(Core& core, Request& request, Task& task, Now now) {
  if (request.fetch.taking) {
    if (request.messages_out == 0) make_ready(core, request);
    return;
  }
  if (!task.is_out) task.bytes_known = task.bytes_ready;
  const bool is_over = request.fetch.expired || is_satisfied(request);
  if (is_over) {
    if (!request.fetch.expired) cancel_tasks(core, request);
    if (request.messages_out == 0) begin_take(core, request, now);
    return;
  }
  if (!task.is_out) watch_again(core, request, task, now);
}

void end_fetch(Core& core, Request& request) {
  FetchSession* session =
      core.fetch_sessions.find(Handle<FetchSession>::unpacked(request.fetch.session));
  if (session != nullptr) session->in_use = false;
}

}  // namespace tailrace::broker
