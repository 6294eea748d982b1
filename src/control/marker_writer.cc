#include "control/marker_writer.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// Of markers at the cores; each takes about a kilobyte here.
constexpr std::size_t out_max = 1024;
constexpr Duration retry_delay = milliseconds(100);
// A marker that fails for so long is told of, and then now and then.
constexpr Duration patience = seconds(10);
constexpr Duration silence = seconds(60);

enum class Outcome : std::uint8_t { written, pointless, again };

// What a partition says to a marker. Pointless is one whose producer or coordinator the partition
// knows a later one of: the transaction has ended there.
Outcome outcome_of(ErrorCode error) {
  switch (error) {
    case ErrorCode::none: return Outcome::written;
    case ErrorCode::invalid_producer_epoch:
    case ErrorCode::producer_fenced:
    case ErrorCode::transaction_coordinator_fenced:
    case ErrorCode::invalid_txn_state:
    case ErrorCode::unsupported_for_message_format: return Outcome::pointless;
    default: return Outcome::again;
  }
}

}  // namespace

MarkerWriter::MarkerWriter(bus::NodeId node_id, std::uint16_t core_count,
                           const ClusterState& state, Owner& owner)
    : node_id_(node_id), core_count_(core_count), state_(state), owner_(owner) {}

void MarkerWriter::start(const std::shared_ptr<Job>& job, Now now) {
  job->errors.assign(job->partitions.size(), ErrorCode::none);
  job->left = job->partitions.size();
  if (job->left == 0) return owner_.on_job_done(job, now);
  for (std::size_t i = 0; i < job->partitions.size(); ++i) queue_.push_back({job, i});
  send_queue(now);
}

void MarkerWriter::step(Now now) {
  while (!retries_.empty() && retries_.front().first <= now.instant) {
    queue_.push_back(std::move(retries_.front().second));
    retries_.pop_front();
  }
  send_queue(now);
}

Instant MarkerWriter::next_deadline() const {
  return retries_.empty() ? never() : retries_.front().first;
}

void MarkerWriter::send_queue(Now now) {
  while (!queue_.empty() && out_.size() < out_max) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    if (!item.job->is_cancelled) send(std::move(item), now);
  }
}

void MarkerWriter::send(Item item, Now now) {
  const NamedPartition& to = item.partition();
  const Topic* topic = state_.find_topic(to.topic);
  const PartitionRecord* partition = state_.find_partition(to.topic, to.partition);
  if (partition == nullptr) return end(item, ErrorCode::unknown_topic_or_partition, now);
  if (partition->leader != node_id_) return end(item, ErrorCode::not_leader_or_follower, now);
  const Marker& marker = item.job->marker;
  auto slot = std::make_unique<Slot>();
  bus::LogTask& task = slot->task;
  task.kind = bus::LogTask::Kind::append;
  task.owner = bus::owner_core(topic->id, to.partition, core_count_);
  task.topic = topic->id;
  task.partition = to.partition;
  task.incarnation = partition->incarnation;
  task.leader_epoch = partition->leader_epoch;
  task.transaction_version = marker.transaction_version;
  task.records = record::store_marker_batch(
      slot->bytes, {.producer_id = marker.producer.id,
                    .producer_epoch = marker.producer.epoch,
                    .timestamp_ms = now.wall_ms,
                    .marker = {marker.is_commit, marker.coordinator_epoch}});
  slot->item = std::move(item);
  tasks_.push_back(&task);
  out_.emplace(&task, std::move(slot));
}

bool MarkerWriter::on_done(const bus::LogTask* task, Now now) {
  const auto found = out_.find(task);
  if (found == out_.end()) return false;
  const std::unique_ptr<Slot> slot = std::move(found->second);
  out_.erase(found);
  const Item& item = slot->item;
  const auto error = static_cast<ErrorCode>(task->error);
  // Also when the job was given up: the marker is there.
  if (error == ErrorCode::none) owner_.on_marker(item.partition(), item.job->marker, now);
  end(item, error, now);
  send_queue(now);
  return true;
}

// Until it is written readers of committed records do not get beyond it: somebody should know.
void MarkerWriter::retry(Item item, ErrorCode error, Now now) {
  if (item.tell_at == Instant{}) item.tell_at = now.instant + patience;
  if (item.tell_at <= now.instant) {
    item.tell_at = now.instant + silence;
    const NamedPartition& to = item.partition();
    const Marker& marker = item.job->marker;
    log_event(LogLevel::warn, "control",
              "transactions: a marker of producer {}, epoch {} cannot be written to {}-{} (error "
              "{}); it is tried until it can, and read_committed readers wait there",
              marker.producer.id, marker.producer.epoch, to.topic, to.partition, to_wire(error));
  }
  retries_.emplace_back(now.instant + retry_delay, std::move(item));
}

void MarkerWriter::end(const Item& item, ErrorCode error, Now now) {
  Job& job = *item.job;
  if (job.is_cancelled) return;
  const NamedPartition& to = item.partition();
  const bool is_gone = state_.find_partition(to.topic, to.partition) == nullptr;
  const Outcome outcome = outcome_of(error);
  if (job.is_persistent && outcome == Outcome::again && !is_gone) {
    return retry(item, error, now);
  }
  if (job.is_persistent && outcome == Outcome::pointless) {
    log_event(LogLevel::warn, "control",
              "transactions: a marker of producer {}, epoch {} was refused by {}-{} (error {})",
              job.marker.producer.id, job.marker.producer.epoch, to.topic, to.partition,
              to_wire(error));
  }
  job.errors[item.index] = error;
  TR_ASSERT(job.left > 0);
  if (--job.left == 0) owner_.on_job_done(item.job, now);
}

void MarkerWriter::take_tasks(std::vector<bus::LogTask*>& tasks) {
  tasks.insert(tasks.end(), tasks_.begin(), tasks_.end());
  tasks_.clear();
}

}  // namespace tailrace::control
