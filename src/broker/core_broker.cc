#include "broker/core_broker.h"

#include <algorithm>

#include "base/log.h"
#include "broker/answer.h"
#include "broker/control_request.h"
#include "broker/core.h"
#include "broker/log_task.h"
#include "broker/scatter.h"

namespace tailrace::broker {
namespace {

void on_image(Core& core, const bus::MetadataImage& image, Now now) {
  core.owner.adopt(image, now);
  core.image = &image;
  if (core.quotas.adopt(image)) end_mutes(core, now, true);
  // Requests remember numbers and names, never the image: the older one is free at once.
  core.send(bus::control_core, bus::MessageKind::image_adopted, nullptr, image.version);
  unpark_tasks(core, now);
  core.memory_was_freed = true;  // Connections may have waited for the first image.
}

// Two passes at most: room that the log's step has made is used in the same turn.
void step_log(Core& core, Now now) {
  core.appended_at_step = core.counters.records_appended.load();
  core.log.step(now);
  const bool was_stalled = core.owner.is_stalled();
  core.owner.step(now);
  if (!was_stalled || core.owner.is_stalled()) return;
  core.appended_at_step = core.counters.records_appended.load();
  core.log.step(now);
  core.owner.step(now);
}

// How long a connection that we close may take for it when we stop: its peer may be gone.
constexpr Duration stop_patience = seconds(2);

void abort_sessions(Core& core) {
  core.abort_at = never();
  for (std::size_t i = 0; i < core.sessions.capacity(); ++i) {
    const Session* session = core.sessions.at_index(i);
    if (session == nullptr) continue;
    core.stream_ops.push_back({StreamOp::Kind::abort, session->conn, 0, {}});
  }
}

template <class T>
void take_front(std::vector<T>& items, std::size_t count) {
  TR_ASSERT(count <= items.size());
  items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

Core::Core(const Limits& l, bus::CoreId number, log::CoreLog& core_log, const StaticConfig& c)
    : limits(l), core(number), log(core_log), config(c),
      request_memory(std::max<std::uint64_t>(l.request_memory_bytes, l.request_bytes_max)),
      answer_memory(l.answer_memory_bytes), scratch(l.decode_bytes_max),
      sessions(l.connections_max), sessions_by_conn(l.connections_max), requests(l.requests_max),
      deadlines(l.requests_max), control_requests(l.control_requests_max),
      fetch_sessions(l, number, answer_memory),
      quotas(l, number), muted(l.connections_max),
      owner(l, number, core_log, config.values, counters) {
  TR_ASSERT(core < limits.core_count);
  stream_ops.reserve(4096);
  messages.reserve(4096);
}

CoreBroker::CoreBroker(const Limits& limits, bus::CoreId core, log::CoreLog& log,
                       const StaticConfig& config)
    : core_(std::make_unique<Core>(limits, core, log, config)) {}
CoreBroker::~CoreBroker() = default;

void CoreBroker::on_message(const bus::Message& message, Now now) {
  switch (message.kind) {
    case bus::MessageKind::image_published:
      return on_image(*core_, *static_cast<const bus::MetadataImage*>(message.object), now);
    case bus::MessageKind::control_reply:
      return on_control_reply(*core_, *static_cast<bus::ControlRequest*>(message.object), now);
    case bus::MessageKind::reply_gone:
      return on_reply_gone(*core_, *static_cast<bus::ControlRequest*>(message.object));
    case bus::MessageKind::log_task:
      on_log_task(*core_, *static_cast<bus::LogTask*>(message.object), now);
      return drain_done(*core_, now);
    case bus::MessageKind::task:
    case bus::MessageKind::task_done:
    case bus::MessageKind::task_cancel:
    case bus::MessageKind::task_release:
    case bus::MessageKind::task_released: return on_task_message(*core_, message, now);
    case bus::MessageKind::quota_report:
      on_quota_report(*core_, *static_cast<bus::QuotaReport*>(message.object), now);
      return core_->send(message.from, bus::MessageKind::quota_report_done, message.object);
    case bus::MessageKind::quota_report_done: return core_->quotas.report_back();
    case bus::MessageKind::stop: return begin_stop(now);
    case bus::MessageKind::control_request:
    case bus::MessageKind::reply_released:
    case bus::MessageKind::log_task_done:
    case bus::MessageKind::image_adopted: break;  // These go to control only.
  }
  TR_ASSERT(false);
}

void CoreBroker::on_event(const StreamEvent& event, Now now) {
  core_->quotas.begin_turn(now.instant);
  switch (event.kind) {
    case StreamEvent::Kind::accepted: return on_accepted(*core_, event, now);
    case StreamEvent::Kind::data: return on_data(*core_, event, now);
    case StreamEvent::Kind::sent: return on_sent(*core_, event, now);
    case StreamEvent::Kind::closed: return on_closed(*core_, event);
    case StreamEvent::Kind::connected: return;  // This node connects to nobody yet.
  }
}

void CoreBroker::on_disk_done(const DiskDone& done, Now now) { core_->log.on_disk_done(done, now); }

void CoreBroker::set_disk_space(std::uint64_t total_bytes, std::uint64_t usable_bytes) {
  core_->disk_total_bytes = total_bytes;
  core_->disk_usable_bytes = usable_bytes;
  core_->log.set_usable_bytes(usable_bytes);
}

void CoreBroker::set_transport_refused(std::uint64_t count) {
  TR_ASSERT(count >= core_->transport_refused);
  if (count > core_->transport_refused) {
    log_event(LogLevel::warn, "broker", "client connections were refused, {} on core {} since the "
              "start: there are connections_max ({}) already", count, core_->core,
              core_->limits.connections_max);
  }
  core_->counters.connections_refused.add(count - core_->transport_refused);
  core_->transport_refused = count;
}

void CoreBroker::step(Now now) {
  Core& core = *core_;
  core.quotas.begin_turn(now.instant);
  step_quotas(core, now);
  on_deadlines(core, now);
  drain_done(core, now);
  do_work(core, now);
  step_log(core, now);
  drain_done(core, now);
  do_work(core, now);
  serve_memory_waiters(core, now);
  drain_done(core, now);
  do_work(core, now);
  close_idle_sessions(core, now);
  close_stalled_sessions(core, now);
  if (core.abort_at <= now.instant) abort_sessions(core);
}

std::span<const StreamOp> CoreBroker::stream_ops() const { return core_->stream_ops; }
void CoreBroker::stream_ops_taken(std::size_t count) { take_front(core_->stream_ops, count); }
std::span<const bus::Outgoing> CoreBroker::messages() const { return core_->messages; }
void CoreBroker::messages_taken(std::size_t count) { take_front(core_->messages, count); }
std::span<const DiskOp> CoreBroker::ops(DiskClass disk_class) const {
  return core_->log.ops(disk_class);
}
void CoreBroker::ops_taken(DiskClass disk_class, std::size_t count) {
  core_->log.ops_taken(disk_class, count);
}

Instant CoreBroker::next_deadline() const {
  // What came up too late in the last turn: records that wait to be sealed, memory to be given.
  const bool has_work =
      core_->appended_at_step != core_->counters.records_appended.load() ||
      (core_->memory_was_freed && core_->memory_waiters.front() != nullptr);
  if (has_work) return {};
  return std::min({core_->deadlines.next_deadline(), core_->log.next_deadline(),
                   core_->owner.next_deadline(), idle_deadline(*core_),
                   core_->muted.next_deadline(), core_->quotas.next_deadline(),
                   core_->abort_at});
}

void CoreBroker::begin_stop(Now now) {
  Core& core = *core_;
  if (core.is_stopping) return;
  core.is_stopping = true;
  core.abort_at = now.instant + stop_patience;
  for (std::size_t i = 0; i < core.sessions.capacity(); ++i) {
    if (Session* session = core.sessions.at_index(i)) close_session(core, *session, now);
  }
  core.log.begin_stop();
}

bool CoreBroker::stopped() const {
  return core_->is_stopping && core_->log.stopped() && core_->sessions.size() == 0;
}

bool CoreBroker::has_image() const { return core_->image != nullptr; }
const Counters& CoreBroker::counters() const { return core_->counters; }

bool build_answer(Core& core, Request& request) {
  core.scratch.reset();
  switch (static_cast<kafka::ApiKey>(request.api_key)) {
    case kafka::ApiKey::produce: return build_produce_answer(core, request);
    case kafka::ApiKey::fetch: return build_fetch_answer(core, request);
    case kafka::ApiKey::list_offsets: return build_list_offsets_answer(core, request);
    case kafka::ApiKey::offset_for_leader_epoch: return build_epoch_answer(core, request);
    case kafka::ApiKey::delete_records: return build_delete_records_answer(core, request);
    case kafka::ApiKey::describe_log_dirs: return build_log_dirs_answer(core, request);
    case kafka::ApiKey::metadata: return finish_metadata(core, request);
    case kafka::ApiKey::describe_producers: return build_producers_answer(core, request);
    case kafka::ApiKey::elect_leaders:
    case kafka::ApiKey::alter_partition_reassignments:
    case kafka::ApiKey::list_partition_reassignments:
    case kafka::ApiKey::describe_client_quotas:
    case kafka::ApiKey::alter_client_quotas:
    case kafka::ApiKey::describe_quorum:
    case kafka::ApiKey::update_features:
    case kafka::ApiKey::unregister_broker:
    case kafka::ApiKey::create_topics:
    case kafka::ApiKey::delete_topics:
    case kafka::ApiKey::init_producer_id:
    case kafka::ApiKey::alter_configs:
    case kafka::ApiKey::create_partitions:
    case kafka::ApiKey::offset_commit:
    case kafka::ApiKey::offset_fetch:
    case kafka::ApiKey::find_coordinator:
    case kafka::ApiKey::join_group:
    case kafka::ApiKey::heartbeat:
    case kafka::ApiKey::leave_group:
    case kafka::ApiKey::sync_group:
    case kafka::ApiKey::describe_groups:
    case kafka::ApiKey::list_groups:
    case kafka::ApiKey::delete_groups:
    case kafka::ApiKey::offset_delete:
    case kafka::ApiKey::add_partitions_to_txn:
    case kafka::ApiKey::add_offsets_to_txn:
    case kafka::ApiKey::end_txn:
    case kafka::ApiKey::write_txn_markers:
    case kafka::ApiKey::txn_offset_commit:
    case kafka::ApiKey::describe_transactions:
    case kafka::ApiKey::list_transactions:
    case kafka::ApiKey::consumer_group_heartbeat:
    case kafka::ApiKey::consumer_group_describe:
    case kafka::ApiKey::incremental_alter_configs: return build_control_answer(core, request);
    case kafka::ApiKey::api_versions:
    case kafka::ApiKey::describe_topic_partitions:
    case kafka::ApiKey::list_config_resources:
    case kafka::ApiKey::alter_replica_log_dirs:
    case kafka::ApiKey::describe_configs:
    case kafka::ApiKey::describe_cluster: break;  // Answered at their start.
  }
  TR_ASSERT(false);
  return false;
}

}  // namespace tailrace::broker
