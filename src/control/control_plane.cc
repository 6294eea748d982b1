#include "control/control_plane.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "control/cluster_state.h"
#include "control/controller.h"
#include "control/describe_quorum.h"
#include "control/image_builder.h"
#include "control/raft_store.h"
#include "control/transaction_coordinator.h"
#include "kafka/apis.h"
#include "raft/raft.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

struct Waiting {
  bus::ControlRequest* request = nullptr;
  Instant deadline;
};

// The request that is being committed; there is at most one, because each is checked against
// what the one before has made.
struct Active {
  bus::ControlRequest* request = nullptr;  // null: answered meanwhile, for lack of time
  Instant deadline;
  Outcome outcome;  // without its entries
  raft::Index last = 0;
  std::optional<std::int64_t> ids;  // a block of producer ids for transactions begins here
};

std::vector<EndpointRecord> to_records(const std::vector<bus::Endpoint>& endpoints) {
  std::vector<EndpointRecord> records;
  for (const bus::Endpoint& endpoint : endpoints) records.push_back({endpoint.host, endpoint.port});
  return records;
}

}  // namespace

//   [recovering] -> log read -> [registering] -> this node and the cluster are in the log,
//   first image sent -> [serving]          any -> [failed], for good
enum class Phase : std::uint8_t { recovering, registering, serving, failed };

struct ControlPlane::Parts : TransactionCoordinator::Groups {
  Parts(const Limits& limits_in, const NodeSetup& setup_in, Prng prng_in)
      : limits(limits_in),
        setup(setup_in),
        prng(prng_in),
        controller(limits, setup.node_id, state, Prng(prng.next(), "control")),
        images(setup.node_id, setup.core_count, limits.images_max),
        groups(limits, setup.node_id, setup.core_count, state, Prng(prng.next(), "groups")),
        transactions(limits, setup.node_id, setup.core_count, state, *this),
        store(limits, {.voters = {setup.node_id}, .learners = {}}, prng) {}

  void start_raft();
  void advance_log(Now now);
  void step_raft(raft::Event event, Now now);
  void apply_committed();
  void apply(const raft::Entry& entry);
  void write_snapshot();
  void propose(std::vector<std::byte> bytes, Now now);
  void register_node(Now now);
  bool show(Now now);
  void take_from_coordinators();
  void take_task(bus::LogTask* task);
  void commit_offsets(bus::ControlRequest* request, ErrorCode error, Now now) override {
    groups.commit_transactional(request, error, now);
  }
  void on_marker(std::int32_t partition, std::int64_t producer_id, bool is_commit,
                 Now now) override {
    groups.on_marker(partition, producer_id, is_commit, now);
  }
  void on_request(bus::ControlRequest* request, Now now);
  Outcome quorum(const bus::ControlRequest& request, Now now);
  void finish_active(Now now);
  void start_next(Now now);
  void expire(Now now);
  void answer(bus::ControlRequest* request, Outcome outcome);
  void refuse(bus::ControlRequest* request, ErrorCode code, std::string_view message);
  void fail_with(std::string reason);
  void refuse_all();
  void count();

  const Limits limits;
  const NodeSetup setup;
  Prng prng;
  ClusterState state;
  Controller controller;
  ImageBuilder images;
  GroupCoordinator groups;
  TransactionCoordinator transactions;
  RaftStore store;
  std::optional<raft::Raft> raft;
  Phase phase = Phase::recovering;
  std::string why;
  raft::Index applied = 0;
  bool changed = true;  // something that images show, since the last one
  std::deque<Waiting> queue;
  std::optional<Active> active;
  // The bytes of replies that cores are sending.
  std::unordered_map<bus::ControlRequest*, std::vector<std::byte>> replies;
  std::vector<bus::Outgoing> messages;
  Counters counters;
};

// ---------------------------------------------------------------- the log

void ControlPlane::Parts::start_raft() {
  raft::Recovered recovered = store.take_recovered();
  if (const Result<void> restored = state.restore(recovered.snapshot.bytes); !restored) {
    return fail_with(fmt::format("metadata: the snapshot cannot be understood ({}); it may be of a "
                                 "newer version", to_string(restored.error().code)));
  }
  applied = recovered.snapshot.index;
  raft.emplace(setup.node_id, std::move(recovered));
  if (!raft->valid()) {
    return fail_with("metadata: the entries of the log do not follow each other; "
                     "'tailrace dump' shows them");
  }
  const raft::Configuration& voters = raft->configuration_at(raft->last());
  if (!raft->is_alone()) {
    return fail_with(fmt::format("metadata: this is node {}, but the log belongs to node {}",
                                 setup.node_id, voters.voters.front()));
  }
  store.set_state_bytes(state.snapshot_bytes());
  phase = Phase::registering;
}

void ControlPlane::Parts::advance_log(Now now) {
  if (phase == Phase::recovering && store.loaded()) start_raft();
  if (phase == Phase::recovering || phase == Phase::failed) return;
  if (const auto index = store.take_compacted()) {
    step_raft({.kind = raft::Event::Kind::compacted, .index = *index}, now);
    counters.snapshots.add();
  }
  if (const auto persisted = store.take_persisted()) {
    step_raft({.kind = raft::Event::Kind::persisted, .index = persisted->index,
               .term = persisted->term}, now);
  }
  step_raft({.kind = raft::Event::Kind::tick}, now);
}

void ControlPlane::Parts::step_raft(raft::Event event, Now now) {
  raft::Update update = raft->step(std::move(event), now.instant);
  store.persist(update);
  apply_committed();
}

void ControlPlane::Parts::apply_committed() {
  while (phase != Phase::failed && applied < raft->committed()) {
    apply(raft->entry(applied + 1));
    ++applied;
  }
  TR_ASSERT(phase == Phase::failed || applied == raft->committed());
}

void ControlPlane::Parts::apply(const raft::Entry& entry) {
  counters.commits.add();
  if (entry.kind != raft::EntryKind::data) return;
  const Result<std::vector<Record>> records = decode_records(entry.bytes);
  bool good = records.has_value();
  for (std::size_t i = 0; good && i < records->size(); ++i) {
    const Record& record = (*records)[i];
    good = state.apply(record).has_value();
    if (!std::holds_alternative<ProducerIdsRecord>(record)) changed = true;
  }
  if (!good) {
    return fail_with(fmt::format("metadata: entry {} cannot be understood; it may be of a newer "
                                 "version. 'tailrace dump' shows it", entry.index));
  }
  store.set_state_bytes(state.snapshot_bytes());
}

void ControlPlane::Parts::write_snapshot() {
  raft::Snapshot snapshot;
  snapshot.index = applied;
  snapshot.term = raft->term_at(applied);
  snapshot.configuration = raft->configuration_at(applied);
  snapshot.bytes = state.snapshot();
  std::vector<raft::Entry> rest;
  for (raft::Index i = applied + 1; i <= raft->durable(); ++i) rest.push_back(raft->entry(i));
  store.write_snapshot(raft->hard_state(), snapshot, rest);
}

void ControlPlane::Parts::propose(std::vector<std::byte> bytes, Now now) {
  step_raft({.kind = raft::Event::Kind::propose, .bytes = std::move(bytes)}, now);
}

// ---------------------------------------------------------------- start

// Once the log is led: brings what this node is into it, waits for that to be committed, and
// sends the first image.
void ControlPlane::Parts::register_node(Now now) {
  if (!raft->has_committed_own_term() || applied < raft->last()) return;
  const bool is_new = state.cluster_id().empty();
  if (!is_new && !setup.cluster_id.empty() && setup.cluster_id != state.cluster_id()) {
    return fail_with(fmt::format("metadata: the log belongs to cluster {}, not to {}",
                                 state.cluster_id(), setup.cluster_id));
  }
  std::vector<std::byte> entry;
  if (is_new) {
    const std::string id =
        setup.cluster_id.empty() ? to_string(random_uuid(prng)) : setup.cluster_id;
    encode_record(ClusterRecord{id}, entry);
  }
  const NodeRecord node{setup.node_id, setup.rack, to_records(setup.endpoints)};
  const auto found = state.nodes().find(setup.node_id);
  if (found == state.nodes().end() || found->second != node) encode_record(node, entry);
  if (!entry.empty()) return propose(std::move(entry), now);
  if (!show(now)) return;
  phase = Phase::serving;
  log_event(LogLevel::info, "control", "cluster {}: {} topics, {} partitions, term {}",
            state.cluster_id(), state.topics().size(), state.partition_count(), raft->term());
}

// Publishes what changed. False when it must wait for a core to let an older image go.
bool ControlPlane::Parts::show(Now now) {
  if (!changed) return true;
  if (!images.can_publish()) return false;
  images.publish(state, raft->leader(), messages);
  counters.images.add();
  changed = false;
  groups.adopt(now);
  transactions.adopt(now);
  return true;
}

// ---------------------------------------------------------------- requests

void ControlPlane::Parts::on_request(bus::ControlRequest* request, Now now) {
  TR_ASSERT(request != nullptr);
  TR_ASSERT(request->core < setup.core_count);
  counters.requests.add();
  // The logs of coordinators are not the metadata log: they may work when it has failed.
  if (GroupCoordinator::is_for_groups(request->api_key)) return groups.on_request(request, now);
  if (TransactionCoordinator::takes(*request)) return transactions.on_request(request, now);
  if (phase == Phase::failed) {
    return refuse(request, ErrorCode::kafka_storage_error, "The metadata log has failed.");
  }
  controller.set_time(now.instant);
  if (request->api_key == static_cast<std::int16_t>(kafka::ApiKey::describe_quorum)) {
    return answer(request, quorum(*request, now));
  }
  if (phase == Phase::serving && controller.is_immediate(*request)) {
    return answer(request, controller.execute(*request, store.growing_room()));
  }
  if (queue.size() >= limits.requests_waiting_max) {
    return refuse(request, ErrorCode::request_timed_out,
                  "Too many requests wait for the controller; try again.");
  }
  queue.push_back({request, now.instant + controller.timeout(*request)});
}

Outcome ControlPlane::Parts::quorum(const bus::ControlRequest& request, Now now) {
  if (!raft || !raft->valid()) return describe_quorum(request, state, {});
  QuorumView view{.leader = raft->leader(), .term = raft->term(),
                  .committed = raft->committed(), .wall_ms = now.wall_ms};
  const raft::Configuration& members = raft->configuration_at(raft->last());
  for (const raft::NodeId id : members.voters) view.voters.push_back({id, raft->durable()});
  for (const raft::NodeId id : members.learners) view.observers.push_back({id, 0});
  return describe_quorum(request, state, view);
}

void ControlPlane::Parts::finish_active(Now now) {
  if (!active || applied < active->last || !show(now)) return;
  Active done = std::move(*active);
  active.reset();
  if (done.ids) transactions.give_ids(*done.ids, *done.ids + producer_block_ids);
  if (done.request == nullptr) return;
  answer(done.request, std::move(done.outcome));
}

void ControlPlane::Parts::start_next(Now now) {
  if (phase == Phase::serving && !active && transactions.wants_ids()) {
    const std::int64_t first = state.producer_id_next();
    std::vector<std::byte> entry;
    encode_record(ProducerIdsRecord{first + producer_block_ids}, entry);
    propose(std::move(entry), now);
    active = Active{nullptr, never(), {}, raft->last(), first};
  }
  while (phase == Phase::serving && !active && !queue.empty()) {
    const Waiting next = queue.front();
    queue.pop_front();
    Outcome outcome = controller.execute(*next.request, store.growing_room());
    if (outcome.entries.empty()) {
      answer(next.request, std::move(outcome));
      continue;
    }
    for (auto& entry : std::exchange(outcome.entries, {})) propose(std::move(entry), now);
    active = Active{next.request, next.deadline, std::move(outcome), raft->last(), {}};
  }
}

void ControlPlane::Parts::expire(Now now) {
  if (active && active->request != nullptr && active->deadline <= now.instant) {
    refuse(std::exchange(active->request, nullptr), ErrorCode::request_timed_out,
           "The request timed out; it may still be carried out.");
  }
  std::vector<bus::ControlRequest*> late;
  std::erase_if(queue, [&late, now](const Waiting& waiting) {
    if (waiting.deadline > now.instant) return false;
    late.push_back(waiting.request);
    return true;
  });
  for (bus::ControlRequest* request : late) {
    refuse(request, ErrorCode::request_timed_out, "The request timed out in the queue.");
  }
}

void ControlPlane::Parts::answer(bus::ControlRequest* request, Outcome outcome) {
  std::vector<std::byte>& reply = replies[request];
  reply = std::move(outcome.reply);
  request->reply = reply;
  request->has_error = outcome.has_error;
  request->close_connection = outcome.close_connection;
  request->throttle_ms = std::max(request->throttle_ms, outcome.throttle_ms);
  messages.push_back({request->core, {.kind = bus::MessageKind::control_reply,
                                      .from = bus::control_core,
                                      .object = request}});
}

void ControlPlane::Parts::take_task(bus::LogTask* task) {
  messages.push_back({task->owner, {.kind = bus::MessageKind::log_task,
                                    .from = bus::control_core,
                                    .object = task}});
}

// Groups first: offsets of a transaction are on their way before the marker that ends it.
void ControlPlane::Parts::take_from_coordinators() {
  const auto take_answers = [this](std::vector<ControlAnswer> answers) {
    for (ControlAnswer& made : answers) {
      Outcome outcome;
      outcome.reply = std::move(made.reply);
      outcome.has_error = made.has_error;
      outcome.close_connection = made.close_connection;
      answer(made.request, std::move(outcome));
    }
  };
  take_answers(groups.take_answers());
  take_answers(transactions.take_answers());
  for (bus::LogTask* task : groups.take_log_tasks()) take_task(task);
  for (bus::LogTask* task : transactions.take_log_tasks()) take_task(task);
}

void ControlPlane::Parts::refuse(bus::ControlRequest* request, ErrorCode code,
                                 std::string_view message) {
  counters.refusals.add();
  answer(request, controller.refuse(*request, code, message));
}

// ---------------------------------------------------------------- failure

void ControlPlane::Parts::fail_with(std::string reason) {
  if (phase == Phase::failed) return;
  phase = Phase::failed;
  why = std::move(reason);  // The thread that sees failed() logs it.
}

// What was being committed may be on disk or not, so nobody is told that it was not done.
void ControlPlane::Parts::refuse_all() {
  constexpr std::string_view message = "The metadata log has failed.";
  if (active && active->request != nullptr) {
    refuse(active->request, ErrorCode::kafka_storage_error, message);
  }
  active.reset();
  for (const Waiting& waiting : std::exchange(queue, {})) {
    refuse(waiting.request, ErrorCode::kafka_storage_error, message);
  }
}

void ControlPlane::Parts::count() {
  counters.topics.set(static_cast<std::int64_t>(state.topics().size()));
  counters.partitions.set(static_cast<std::int64_t>(state.partition_count()));
  counters.requests_waiting.set(static_cast<std::int64_t>(queue.size() + active.has_value()));
}

// ---------------------------------------------------------------- ControlPlane

ControlPlane::ControlPlane(const Limits& limits, const NodeSetup& setup, Prng prng)
    : parts_(std::make_unique<Parts>(limits, setup, prng)) {}

ControlPlane::~ControlPlane() = default;

void ControlPlane::on_message(const bus::Message& message, Now now) {
  Parts& parts = *parts_;
  auto* request = static_cast<bus::ControlRequest*>(message.object);
  switch (message.kind) {
    case bus::MessageKind::control_request:
      return parts.on_request(request, now);
    case bus::MessageKind::reply_released:
      TR_ASSERT(parts.replies.erase(request) == 1);
      request->reply = {};
      parts.messages.push_back({message.from, {.kind = bus::MessageKind::reply_gone,
                                               .from = bus::control_core,
                                               .object = request}});
      return;
    case bus::MessageKind::image_adopted:
      return parts.images.on_adopted(message.from, message.word);
    case bus::MessageKind::log_task_done: {
      auto* task = static_cast<bus::LogTask*>(message.object);
      if (!parts.transactions.on_log_done(task, now)) parts.groups.on_log_done(task, now);
      return;
    }
    case bus::MessageKind::stop:
      return;  // What is acknowledged is durable; the thread may end at any time.
    case bus::MessageKind::control_reply:
    case bus::MessageKind::reply_gone:
    case bus::MessageKind::image_published:
    case bus::MessageKind::log_task:
    case bus::MessageKind::task:
    case bus::MessageKind::task_done:
    case bus::MessageKind::task_cancel:
    case bus::MessageKind::task_release:
    case bus::MessageKind::task_released:
    case bus::MessageKind::quota_report:
    case bus::MessageKind::quota_report_done:
      break;  // Never sent to the control thread.
  }
  TR_ASSERT(false);
}

void ControlPlane::on_disk_done(const DiskDone& done, Now now) {
  parts_->store.on_disk_done(done, now);
}

void ControlPlane::step(Now now) {
  Parts& parts = *parts_;
  parts.controller.set_time(now.instant);
  parts.advance_log(now);
  if (parts.phase == Phase::registering) parts.register_node(now);
  if (parts.phase == Phase::serving) {
    parts.finish_active(now);
    parts.start_next(now);
  }
  parts.expire(now);
  // After Raft, whose work comes first.
  if (parts.phase == Phase::serving || parts.phase == Phase::failed) {
    parts.groups.step(now);
    parts.transactions.step(now);
  }
  parts.take_from_coordinators();
  parts.store.step(now);
  if (parts.store.wants_snapshot()) parts.write_snapshot();
  if (parts.store.failed()) parts.fail_with(parts.store.why());
  if (parts.phase == Phase::failed) parts.refuse_all();
  parts.count();
}

std::span<const DiskOp> ControlPlane::ops() const { return parts_->store.ops(); }
void ControlPlane::ops_taken(std::size_t count) { parts_->store.ops_taken(count); }

std::span<const bus::Outgoing> ControlPlane::messages() const { return parts_->messages; }
void ControlPlane::messages_taken(std::size_t count) {
  auto& messages = parts_->messages;
  TR_ASSERT(count <= messages.size());
  messages.erase(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(count));
}

Instant ControlPlane::next_deadline() const {
  Instant deadline = std::min({parts_->store.next_deadline(), parts_->groups.next_deadline(),
                               parts_->transactions.next_deadline()});
  if (parts_->active && parts_->active->request != nullptr) {
    deadline = std::min(deadline, parts_->active->deadline);
  }
  for (const Waiting& waiting : parts_->queue) deadline = std::min(deadline, waiting.deadline);
  return deadline;
}

bool ControlPlane::ready() const { return parts_->phase == Phase::serving; }
bool ControlPlane::failed() const { return parts_->phase == Phase::failed; }
const std::string& ControlPlane::why() const { return parts_->why; }
std::string_view ControlPlane::cluster_id() const { return parts_->state.cluster_id(); }
const Counters& ControlPlane::counters() const { return parts_->counters; }
const GroupCounters& ControlPlane::group_counters() const { return parts_->groups.counters(); }
const TransactionCounters& ControlPlane::transaction_counters() const {
  return parts_->transactions.counters();
}

const bus::MetadataImage& ControlPlane::image() const {
  TR_ASSERT(parts_->images.newest() != nullptr);
  return *parts_->images.newest();
}

}  // namespace tailrace::control
