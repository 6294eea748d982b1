#include "control/transaction_coordinator.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "control/group_coordinator.h"
#include "control/internal_topics.h"
#include "kafka/apis.h"

namespace tailrace::control {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;

constexpr std::int64_t spare_ids_min = 200;
// What could not be written is tried again after this.
constexpr Duration retry_delay = seconds(1);
constexpr std::int64_t ns_per_ms = 1'000'000;

// The instant of a time of day, as far as the clock on the wall goes on as it does.
Instant instant_of(std::int64_t wall_ms, Now now) {
  const std::int64_t left_ms = std::clamp<std::int64_t>(wall_ms - now.wall_ms, 0, INT32_MAX);
  return now.instant + milliseconds(left_ms);
}

}  // namespace

TransactionCoordinator::TransactionCoordinator(const Limits& limits, bus::NodeId node_id,
                                               std::uint16_t core_count,
                                               const ClusterState& state, Groups& groups)
    : limits_(limits), state_(state), groups_(groups), arena_(limits.request_memory_bytes),
      answer_arena_(limits.request_memory_bytes),
      log_(limits, node_id, core_count, "transactions", transactions_topic_name, *this),
      appender_(limits.batch_bytes_max), markers_(node_id, core_count, state, *this) {}

bool TransactionCoordinator::takes(const bus::ControlRequest& request) {
  switch (static_cast<ApiKey>(request.api_key)) {
    case ApiKey::add_partitions_to_txn:
    case ApiKey::add_offsets_to_txn:
    case ApiKey::end_txn:
    case ApiKey::write_txn_markers:
    case ApiKey::txn_offset_commit:
    case ApiKey::describe_transactions:
    case ApiKey::list_transactions: return true;
    case ApiKey::init_producer_id: {
      // The transactional id comes first. What cannot be read is refused by either.
      constexpr std::int16_t first_flexible = 2;
      kafka::Reader in(request.body);
      return !in.nullable_string(request.api_version >= first_flexible).is_null();
    }
    default: return false;
  }
}

void TransactionCoordinator::on_request(bus::ControlRequest* request, Now now) {
  dispatch(request, now);
  update_counters();
}

void TransactionCoordinator::dispatch(bus::ControlRequest* request, Now now) {
  switch (static_cast<ApiKey>(request->api_key)) {
    case ApiKey::init_producer_id: return init_producer_id(request, now);
    case ApiKey::add_partitions_to_txn: return add_partitions(request, now);
    case ApiKey::add_offsets_to_txn: return add_offsets(request, now);
    case ApiKey::end_txn: return end_transaction(request, now);
    case ApiKey::write_txn_markers: return write_markers(request, now);
    case ApiKey::txn_offset_commit: return check_offsets(request, now);
    case ApiKey::describe_transactions: return describe(request);
    case ApiKey::list_transactions: return list(request, now);
    default: return close(request);
  }
}

void TransactionCoordinator::close(bus::ControlRequest* request) {
  answers_.push_back({.request = request, .reply = {}, .close_connection = true});
}

bool TransactionCoordinator::wants_ids() const {
  return log_.leads_any() && ids_end_ - ids_next_ < spare_ids_min;
}

void TransactionCoordinator::give_ids(std::int64_t first, std::int64_t end) {
  // What is left of the block before is lost, which costs nothing.
  ids_next_ = first;
  ids_end_ = end;
}

// ---------------------------------------------------------------- transactional ids

ErrorCode TransactionCoordinator::find(std::string_view id, std::int32_t& partition,
                                       Entry*& entry) {
  // A key in the log has a 15-bit length, whatever newer requests can say.
  if (id.empty() || id.size() > INT16_MAX) return ErrorCode::invalid_request;
  if (log_.size() == 0) return ErrorCode::not_coordinator;
  partition = partition_of_key(id, log_.size());
  const ErrorCode error = log_.check(partition);
  entry = error == ErrorCode::none ? find_entry(id) : nullptr;
  return error;
}

TransactionCoordinator::Entry* TransactionCoordinator::find_entry(std::string_view id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

TransactionCoordinator::Entry* TransactionCoordinator::find_entry(std::string_view id,
                                                                  std::uint64_t number) {
  Entry* entry = find_entry(id);
  return entry != nullptr && entry->number == number ? entry : nullptr;
}

bool TransactionCoordinator::is_full() const {
  return entries_.size() >= limits_.transactional_ids_max ||
         memory_bytes_ >= limits_.transaction_bytes_max;
}

TransactionCoordinator::Entry& TransactionCoordinator::add_entry(std::string_view id,
                                                                 std::int32_t partition,
                                                                 Transaction transaction) {
  auto made = std::make_unique<Entry>(std::string(id), partition, ++entry_number_,
                                      std::move(transaction));
  Entry& entry = *made;
  entries_.insert_or_assign(entry.name, std::move(made));
  count(entry);
  return entry;
}

void TransactionCoordinator::erase_entry(Entry& entry) {
  set_timer(entry, never());
  if (entry.markers != nullptr) entry.markers->is_cancelled = true;
  memory_bytes_ -= entry.counted_bytes;
  ongoing_count_ -= entry.counted_ongoing ? 1 : 0;
  entries_.erase(entries_.find(entry.name));
}

void TransactionCoordinator::count(Entry& entry) {
  const std::uint64_t bytes = 2 * entry.name.size() + entry.transaction.memory_bytes();
  memory_bytes_ += bytes - entry.counted_bytes;
  entry.counted_bytes = bytes;
  const bool is_ongoing = entry.transaction.is_ongoing();
  ongoing_count_ += (is_ongoing ? 1 : 0) - (entry.counted_ongoing ? 1 : 0);
  entry.counted_ongoing = is_ongoing;
}

void TransactionCoordinator::settle(Entry& entry, Now now) {
  count(entry);
  const Instant deadline = deadline_of(entry, now);
  set_timer(entry, deadline == never() ? deadline : std::max(deadline, entry.not_before));
}

void TransactionCoordinator::set_timer(Entry& entry, Instant at) {
  if (entry.timer == at) return;
  if (entry.timer != never()) timers_.erase({entry.timer, entry.number});
  entry.timer = at;
  if (at != never()) timers_.emplace(std::pair(at, entry.number), &entry);
}

Instant TransactionCoordinator::deadline_of(const Entry& entry, Now now) const {
  const Transaction& transaction = entry.transaction;
  const TransactionRecord& record = transaction.record();
  if (transaction.is_writing()) return never();
  if (entry.markers != nullptr) {
    return entry.waiting.empty() ? never() : entry.waiting.front().until;
  }
  switch (record.state) {
    case TransactionState::ongoing:
      return instant_of(record.start_ms + record.timeout_ms, now);
    case TransactionState::prepare_commit:
    case TransactionState::prepare_abort:
      return now.instant;  // Its last record could not be written.
    case TransactionState::empty:
    case TransactionState::complete_commit:
    case TransactionState::complete_abort:
      return instant_of(record.update_ms + limits_.transactional_id_expiry.ns / ns_per_ms, now);
    case TransactionState::dead:
    case TransactionState::prepare_epoch_fence:
      return never();  // On no disk of ours.
  }
  return never();
}

void TransactionCoordinator::on_timer(Entry& entry, Now now) {
  Transaction& transaction = entry.transaction;
  const TransactionRecord& record = transaction.record();
  set_timer(entry, never());
  if (transaction.is_writing()) return;
  if (entry.markers != nullptr) return end_waiting(entry, now);
  if (transaction.is_ending()) return complete(entry, now);
  if (transaction.is_ongoing()) {
    // The clock on the wall may have been set back meanwhile.
    if (record.start_ms + record.timeout_ms > now.wall_ms) return settle(entry, now);
    log_event(LogLevel::info, "control",
              "transactions: that of '{}', producer {}, has taken longer than {} ms: aborted",
              entry.name, record.producer_id, record.timeout_ms);
    counters_.timeouts.add();
    return send(entry, write(entry, transaction.abort_late(now.wall_ms)), now);
  }
  const std::int64_t expiry_ms = limits_.transactional_id_expiry.ns / ns_per_ms;
  if (record.update_ms + expiry_ms > now.wall_ms) return settle(entry, now);
  transaction.expire();
  send(entry, write(entry, {.writes = true}), now);
}

// ---------------------------------------------------------------- writing

std::shared_ptr<TransactionCoordinator::Write> TransactionCoordinator::write(
    Entry& entry, const Transaction::Verdict& verdict) {
  if (verdict.used_spare_id) ++ids_next_;
  auto made = std::make_shared<Write>();
  made->id = entry.name;
  made->entry_number = entry.number;
  made->partition = entry.partition;
  made->life = log_.partition(entry.partition).life;
  made->told = verdict.error;
  return made;
}

void TransactionCoordinator::send(Entry& entry, const std::shared_ptr<Write>& write, Now now) {
  TR_ASSERT(entry.transaction.is_writing());
  const InternalLog::Partition& partition = log_.partition(entry.partition);
  const LogAppender::Target target{partition.owner, log_.topic_id(), partition.index,
                                   partition.incarnation, partition.leader_epoch};
  const TransactionRecord& next = entry.transaction.next();
  LogAppender::Record record;
  record.key = encode_transaction_key(entry.name);
  record.is_tombstone = next.state == TransactionState::dead;
  if (!record.is_tombstone) record.value = encode_transaction_value(next);
  settle(entry, now);
  if (!appender_.add(target, write, {&record, 1}, now.wall_ms)) end_write(*write, now);
}

void TransactionCoordinator::end_writes(const LogAppender::Writes& ended, Now now) {
  for (const auto& write : ended) end_write(static_cast<Write&>(*write), now);
}

void TransactionCoordinator::end_write(Write& write, Now now) {
  const bool is_lost = !log_.is_same_life(write.partition, write.life);
  if (is_lost) write.error = ErrorCode::not_coordinator;
  const bool is_good = write.error == ErrorCode::none;
  if (!is_good) counters_.write_failures.add();
  Entry* entry = is_lost ? nullptr : find_entry(write.id, write.entry_number);
  ProducerIdentity producer;
  std::deque<Ask> waiting;
  if (entry != nullptr) {
    entry->transaction.on_written(is_good);
    if (!is_good) entry->not_before = now.instant + retry_delay;
    producer = entry->transaction.producer();
    waiting = std::exchange(entry->waiting, {});
    if (entry->transaction.state() == TransactionState::dead) {
      erase_entry(*entry);
    } else {
      if (is_good && entry->transaction.is_ending()) start_markers(*entry, now);
      settle(*entry, now);
    }
  }
  const ErrorCode error = is_good ? write.told : store_error(write.error);
  if (write.ask) end_ask(*write.ask, error, now);
  if (write.request != nullptr) {
    const bool is_init =
        write.request->api_key == static_cast<std::int16_t>(ApiKey::init_producer_id);
    if (is_init) answer_init(write.request, error, producer);
    else answer_end(write.request, error, producer);
  }
  for (Ask& ask : waiting) begin(std::move(ask), now);
}

// ---------------------------------------------------------------- markers

void TransactionCoordinator::start_markers(Entry& entry, Now now) {
  TR_ASSERT(entry.markers == nullptr);
  const TransactionRecord& record = entry.transaction.record();
  auto job = std::make_shared<MarkerJob>();
  job->id = entry.name;
  job->entry_number = entry.number;
  job->is_persistent = true;
  job->marker.producer = {record.producer_id, record.producer_epoch};
  job->marker.is_commit = record.state == TransactionState::prepare_commit;
  job->marker.coordinator_epoch = log_.partition(entry.partition).leader_epoch;
  job->marker.transaction_version = static_cast<std::int8_t>(record.client_version);
  job->partitions.assign(record.partitions.begin(), record.partitions.end());
  entry.markers = job;
  (job->marker.is_commit ? counters_.commits : counters_.aborts).add();
  markers_.start(job, now);
}

void TransactionCoordinator::on_marker(const NamedPartition& partition, const Marker& marker,
                                       Now now) {
  if (partition.topic != offsets_topic_name) return;
  groups_.on_marker(partition.partition, marker.producer.id, marker.is_commit, now);
}

void TransactionCoordinator::on_job_done(const std::shared_ptr<MarkerWriter::Job>& job, Now now) {
  MarkerJob& done = static_cast<MarkerJob&>(*job);
  if (done.pending != nullptr) {
    std::copy(done.errors.begin(), done.errors.end(),
              done.pending->errors.begin() + static_cast<std::ptrdiff_t>(done.first));
    return finish_item(*done.pending, now);
  }
  Entry* entry = find_entry(done.id, done.entry_number);
  if (entry == nullptr || entry->markers != job) return;
  entry->markers = nullptr;
  complete(*entry, now);
}

void TransactionCoordinator::complete(Entry& entry, Now now) {
  send(entry, write(entry, entry.transaction.complete(now.wall_ms)), now);
}

// The markers take their time: who wants to begin the next transaction comes again.
void TransactionCoordinator::end_waiting(Entry& entry, Now now) {
  std::vector<Ask> late;
  while (!entry.waiting.empty() && entry.waiting.front().until <= now.instant) {
    late.push_back(std::move(entry.waiting.front()));
    entry.waiting.pop_front();
  }
  settle(entry, now);
  for (const Ask& ask : late) end_ask(ask, ErrorCode::concurrent_transactions, now);
}

// ---------------------------------------------------------------- partitions

void TransactionCoordinator::adopt(Now now) {
  log_.adopt(state_.find_topic(transactions_topic_name), now);
  update_counters();
}

void TransactionCoordinator::on_lost(const InternalLog::Partition& partition, Now now) {
  std::vector<Entry*> gone;
  for (const auto& [name, entry] : entries_) {
    if (entry->partition == partition.index) gone.push_back(entry.get());
  }
  for (Entry* entry : gone) {
    const std::deque<Ask> waiting = std::exchange(entry->waiting, {});
    erase_entry(*entry);
    for (const Ask& ask : waiting) end_ask(ask, ErrorCode::not_coordinator, now);
  }
  LogAppender::Writes ended;
  appender_.drop(partition.index, ended);
  end_writes(ended, now);
}

// What cannot be understood is left where it is: a newer Kafka may have written it.
void TransactionCoordinator::on_record(const InternalLog::Partition& partition,
                                       const record::BatchHeader&,
                                       const InternalLog::LoadedRecord& from, Now) {
  const Result<std::string_view> id = parse_transaction_key(from.key);
  if (!id) return;
  Entry* entry = find_entry(*id);
  if (from.is_tombstone) {
    if (entry != nullptr) erase_entry(*entry);
    return;
  }
  Result<TransactionRecord> record = parse_transaction_value(from.value);
  if (!record) return;
  if (entry == nullptr) {
    add_entry(*id, partition.index, Transaction(std::move(*record)));
  } else {
    entry->transaction = Transaction(std::move(*record));
    count(*entry);
  }
}

void TransactionCoordinator::on_loaded(const InternalLog::Partition& partition, Now now) {
  std::vector<std::pair<std::string, std::uint64_t>> mine;
  for (const auto& [name, entry] : entries_) {
    if (entry->partition == partition.index) mine.emplace_back(name, entry->number);
  }
  for (const auto& [name, number] : mine) {
    Entry* entry = find_entry(name, number);
    if (entry == nullptr) continue;
    // What was decided before is carried out.
    if (entry->transaction.is_ending()) start_markers(*entry, now);
    settle(*entry, now);
  }
  if (mine.empty()) return;
  log_event(LogLevel::info, "control", "transactions: partition {} read: {} transactional ids",
            partition.index, mine.size());
}

// ---------------------------------------------------------------- log and time

bool TransactionCoordinator::on_log_done(const bus::LogTask* task, Now now) {
  LogAppender::Writes ended;
  const bool is_ours =
      appender_.on_done(task, ended) || log_.on_done(task, now) || markers_.on_done(task, now);
  end_writes(ended, now);
  update_counters();
  return is_ours;
}

std::vector<bus::LogTask*> TransactionCoordinator::take_log_tasks() {
  std::vector<bus::LogTask*> tasks;
  appender_.flush(tasks);
  log_.take_tasks(tasks);
  markers_.take_tasks(tasks);
  return tasks;
}

void TransactionCoordinator::step(Now now) {
  while (!timers_.empty() && timers_.begin()->first.first <= now.instant) {
    on_timer(*timers_.begin()->second, now);
  }
  log_.step(now);
  markers_.step(now);
  update_counters();
}

Instant TransactionCoordinator::next_deadline() const {
  const Instant deadline = std::min(log_.next_deadline(), markers_.next_deadline());
  return timers_.empty() ? deadline : std::min(deadline, timers_.begin()->first.first);
}

void TransactionCoordinator::update_counters() {
  counters_.transactional_ids.set(static_cast<std::int64_t>(entries_.size()));
  counters_.ongoing.set(static_cast<std::int64_t>(ongoing_count_));
  counters_.partitions_loading.set(static_cast<std::int64_t>(log_.loading_count()));
  counters_.markers_waiting.set(static_cast<std::int64_t>(markers_.waiting()));
}

}  // namespace tailrace::control
