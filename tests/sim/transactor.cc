#include "transactor.h"

#include <algorithm>
#include <array>

#include "kafka/errors.h"
#include "kafka/gen/add_offsets_to_txn.h"
#include "kafka/gen/add_partitions_to_txn.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/end_txn.h"
#include "kafka/gen/init_producer_id.h"
#include "kafka/gen/produce.h"
#include "kafka/gen/txn_offset_commit.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;

constexpr std::int16_t first_newer_produce = 12;
constexpr std::int16_t last_produce_by_name = 12;
constexpr std::int16_t first_newer_offset_commit = 5;
constexpr std::int16_t first_newer_end = 5;
constexpr std::uint32_t tries_when_quiet = 300;

bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

bool is_any(std::int16_t error, std::initializer_list<ErrorCode> codes) {
  return std::any_of(codes.begin(), codes.end(), [&](ErrorCode code) { return is(error, code); });
}

// Asked again after a while.
bool passes(std::int16_t error) {
  return is_any(error, {ErrorCode::coordinator_load_in_progress,
                        ErrorCode::coordinator_not_available, ErrorCode::not_coordinator,
                        ErrorCode::concurrent_transactions, ErrorCode::request_timed_out,
                        ErrorCode::not_leader_or_follower, ErrorCode::kafka_storage_error,
                        ErrorCode::unknown_topic_or_partition, ErrorCode::not_enough_replicas,
                        ErrorCode::leader_not_available,
                        ErrorCode::not_enough_replicas_after_append});
}

// Somebody else was faster, or its time was over.
bool is_over(std::int16_t error) {
  return is_any(error, {ErrorCode::invalid_producer_epoch, ErrorCode::producer_fenced,
                        ErrorCode::invalid_txn_state, ErrorCode::transaction_abortable,
                        ErrorCode::invalid_producer_id_mapping});
}

}  // namespace

std::string ledger_name(std::uint32_t owner) { return fmt::format("ledger owner {}", owner); }

Transactor::Transactor(World& world, std::uint32_t id, Prng prng,
                       const TransactorSettings& settings)
    : Client(world, fmt::format("transactor{}", id), prng), settings_(settings) {}

std::string Transactor::waiting_for() const {
  constexpr std::array names = {"the coordinator", "the group's coordinator", "the topic",
                                "a producer id", "add partitions", "produce", "add offsets",
                                "commit offsets", "the end", "nothing"};
  return std::string(names[static_cast<std::size_t>(step_)]);
}

void Transactor::act() {
  if (draining_ && asked_count() == 0) draining_ = false;
  const bool may_add = step_ == Step::produce && !draining_ && has_unsent() &&
                       asked_count() < settings_.requests_in_flight_max;
  if (asked_count() > 0 && !may_add) return sleep();
  step_ = choose();
  if (step_ == Step::rest) return wait(milliseconds(20));
  if (world_.quiet && ++tries_left_ > tries_when_quiet) {
    forget_transaction();
    done_ = true;
    return;
  }
  if (!ask_step(step_)) return disconnect();
  if (step_ == Step::produce && has_unsent()) return wake();
  sleep();
}

// What comes next; a transaction begins on the way.
Transactor::Step Transactor::choose() {
  const bool over = world_.quiet || begun_ >= settings_.transactions_max;
  if (!transaction_ && over) {
    done_ = world_.quiet;
    return Step::rest;
  }
  if (!found_) return Step::find;
  if (!found_group_) return Step::find_group;
  if (!topic_made_) return Step::make_topic;
  if (producer_id_ < 0) return Step::init;
  if (!transaction_) begin();
  if (!settings_.is_newer && !added_) return Step::add;
  if (has_batches()) return Step::produce;
  if (transaction().has_offset && !offset_sent_) {
    return !settings_.is_newer && !offset_added_ ? Step::add_offset : Step::offset;
  }
  if (ending_ != Ending::walk_away) return Step::end;
  start_over();
  return choose();
}

bool Transactor::ask_step(Step step) {
  const std::string id = ledger_name(settings_.owner);  // the group's as well
  switch (step) {
    case Step::find: return ask_coordinator(CoordinatorOf::transactions, id);
    case Step::find_group: return ask_coordinator(CoordinatorOf::group, id);
    case Step::make_topic: return ask_make_topic();
    case Step::init: return ask_init();
    case Step::add: return ask_add();
    case Step::produce: return ask_produce();
    case Step::add_offset: return ask_add_offset();
    case Step::offset: return ask_offset();
    case Step::end: return ask_end();
    case Step::rest: break;
  }
  return true;
}

void Transactor::begin() {
  ++begun_;
  transaction_ = world_.transactions.begin(settings_.owner);
  const std::uint64_t draw = prng_.below(10);
  ending_ = draw < 6 ? Ending::commit : draw < 9 ? Ending::abort : Ending::walk_away;
  added_ = offset_added_ = offset_sent_ = false;
  transaction().has_offset = prng_.chance(1, 2);
  const std::uint64_t batches = prng_.between(1, 5);
  for (std::uint64_t i = 0; i < batches; ++i) {
    add_batch(static_cast<std::int32_t>(prng_.below(ledger_partitions)));
  }
}

void Transactor::add_batch(std::int32_t partition) {
  Batch batch;
  test::BatchOptions options;
  options.base_timestamp = world_.clock.now().wall_ms;
  options.producer_id = producer_id_;
  options.producer_epoch = epoch_;
  options.base_sequence = sequences_[partition];
  options.attributes = record::transactional_bit;
  std::vector<test::TestRecord> records;
  const std::uint64_t count = prng_.between(1, 4);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint32_t number = world_.transactions.add_record(*transaction_, partition);
    batch.records.push_back(number);
    // No two have the same key: a compaction drops what was aborted, and nothing else.
    const std::string value = TransactionCheckers::value_of(number);
    records.push_back({.key = value, .value = value});
  }
  sequences_[partition] += static_cast<std::int32_t>(count);
  batch.bytes = test::build_batch(records, options);
  lanes_[partition].push_back(std::move(batch));
}

bool Transactor::has_unsent() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
    return !lane.second.empty() && !lane.second.back().sent;
  });
}

bool Transactor::has_batches() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return !lane.second.empty(); });
}

void Transactor::forget_transaction() {
  transaction_.reset();
  lanes_.clear();
}

// What was begun is left to its time-out, or to the next one with this id.
void Transactor::start_over() {
  forget_transaction();
  producer_id_ = -1;
  sequences_.clear();
}

bool Transactor::ask_make_topic() {
  using Topic = kafka::CreateTopicsRequest::CreatableTopic;
  const std::string segment_ms = std::to_string(prng_.between(1, 40));
  const std::string retention_ms = std::to_string(prng_.below(100));
  std::array<Topic::CreatableTopicConfig, 4> compacts = {{
      {"cleanup.policy", "compact"},
      {"min.cleanable.dirty.ratio", "0"},
      {"segment.ms", std::string_view(segment_ms)},
      {"delete.retention.ms", std::string_view(retention_ms)},
  }};
  Topic topic;
  if (settings_.compacts) topic.configs = compacts;
  topic.name = ledger_topic;
  topic.num_partitions = ledger_partitions;
  topic.replication_factor = 1;
  kafka::CreateTopicsRequest request;
  request.topics = {&topic, 1};
  request.timeout_ms = 5000;
  return ask(request, draw_version<kafka::CreateTopicsRequest>(), 0);
}

bool Transactor::ask_init() {
  const std::string name = ledger_name(settings_.owner);
  kafka::InitProducerIdRequest request;
  request.transactional_id = std::string_view(name);
  request.transaction_timeout_ms = settings_.timeout_ms;
  return ask(request, draw_version<kafka::InitProducerIdRequest>(0, 5), 0);
}

bool Transactor::ask_add() {
  const std::string name = ledger_name(settings_.owner);
  std::vector<std::int32_t> partitions;
  for (const auto& [partition, lane] : lanes_) partitions.push_back(partition);
  kafka::AddPartitionsToTxnRequest::V3AndBelowTopic topic;
  topic.name = ledger_topic;
  topic.partitions = partitions;
  kafka::AddPartitionsToTxnRequest request;
  request.v3_and_below_transactional_id = name;
  request.v3_and_below_producer_id = producer_id_;
  request.v3_and_below_producer_epoch = epoch_;
  request.v3_and_below_topics = {&topic, 1};
  return ask(request, draw_version<kafka::AddPartitionsToTxnRequest>(0, 3), 0);
}

// The first batch of each partition that was not sent.
bool Transactor::ask_produce() {
  using Topic = kafka::ProduceRequest::TopicProduceData;
  const std::string name = ledger_name(settings_.owner);
  std::vector<Topic::PartitionProduceData> data;
  for (auto& [partition, lane] : lanes_) {
    const auto next = std::find_if(lane.begin(), lane.end(),
                                   [](const Batch& batch) { return !batch.sent; });
    if (next == lane.end()) continue;
    next->sent = true;
    world_.trace.say(world_.clock.instant(), "{} sends {} records to ledger-{} from {} on", name_,
                     next->records.size(), partition,
                     record::parse_header(next->bytes)->base_sequence);
    Topic::PartitionProduceData one;
    one.index = partition;
    one.records = Bytes(next->bytes);
    data.push_back(one);
  }
  Topic topic;
  topic.name = ledger_topic;
  topic.partition_data = data;
  kafka::ProduceRequest request;
  request.transactional_id = std::string_view(name);
  request.acks = -1;
  request.timeout_ms = 30'000;
  request.topic_data = {&topic, 1};
  const std::int16_t version =
      settings_.is_newer ? first_newer_produce
                         : draw_version<kafka::ProduceRequest>(3, last_produce_by_name - 1);
  return ask(request, version, 0);
}

bool Transactor::ask_add_offset() {
  const std::string name = ledger_name(settings_.owner);
  kafka::AddOffsetsToTxnRequest request;
  request.transactional_id = name;
  request.producer_id = producer_id_;
  request.producer_epoch = epoch_;
  request.group_id = name;
  return ask(request, draw_version<kafka::AddOffsetsToTxnRequest>(), 0);
}

bool Transactor::ask_offset() {
  using Topic = kafka::TxnOffsetCommitRequest::TxnOffsetCommitRequestTopic;
  const std::string name = ledger_name(settings_.owner);
  Topic::TxnOffsetCommitRequestPartition one;
  one.committed_offset = *transaction_;
  if (world_.plant == Plant::offset_apart) one.committed_offset += 1;
  Topic topic;
  topic.name = ledger_topic;
  topic.partitions = {&one, 1};
  kafka::TxnOffsetCommitRequest request;
  request.transactional_id = name;
  request.group_id = name;
  request.producer_id = producer_id_;
  request.producer_epoch = epoch_;
  request.topics = {&topic, 1};
  const std::int16_t version =
      settings_.is_newer
          ? first_newer_offset_commit
          : draw_version<kafka::TxnOffsetCommitRequest>(0, first_newer_offset_commit - 1);
  return ask(request, version, 0);
}

bool Transactor::ask_end() {
  const std::string name = ledger_name(settings_.owner);
  kafka::EndTxnRequest request;
  request.transactional_id = name;
  request.producer_id = producer_id_;
  request.producer_epoch = epoch_;
  request.committed = ending_ == Ending::commit;
  if (world_.plant == Plant::commit_aborted) request.committed = true;
  if (ending_ == Ending::commit) transaction().commit_asked = true;
  const std::int16_t version = settings_.is_newer
                                   ? first_newer_end
                                   : draw_version<kafka::EndTxnRequest>(0, first_newer_end - 1);
  return ask(request, version, 0);
}

void Transactor::on_response(const Asked& asked, Bytes frame) {
  wait(nanoseconds(static_cast<std::int64_t>(
      prng_.below(static_cast<std::uint64_t>(settings_.pause_max.ns) + 1))));
  const std::int16_t error = error_of(asked, frame);
  world_.trace.say(world_.clock.instant(), "{}: {}: error {}", name_, waiting_for(), error);
  if (error == malformed || error == 0) return;
  on_error(error);
}

std::int16_t Transactor::error_of(const Asked& asked, Bytes frame) {
  // After it has started over, answers of the transaction before may still come.
  const bool is_stale = asked.api_key == kafka::ProduceRequest::api_key && !transaction_;
  if (is_stale) return 0;
  switch (step_) {
    case Step::find: return on_found(asked, frame, false);
    case Step::find_group: return on_found(asked, frame, true);
    case Step::make_topic: return on_topic(asked, frame);
    case Step::init: return on_init(asked, frame);
    case Step::add:
    case Step::add_offset: return on_added(asked, frame);
    case Step::produce: return on_produced(asked, frame);
    case Step::offset: return on_offset(asked, frame);
    case Step::end: return on_end(asked, frame);
    case Step::rest: break;
  }
  return 0;
}

void Transactor::on_error(std::int16_t error) {
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(1, 8))));
  if (is_over(error)) {
    draining_ = asked_count() > 0;
    return start_over();
  }
  if (passes(error)) {
    if (is_any(error, {ErrorCode::not_coordinator, ErrorCode::coordinator_not_available})) {
      found_ = found_group_ = false;
    }
    return;
  }
  world_.verdicts.broken("transaction_answers", "{}: {}: error {}", name_, waiting_for(), error);
}

std::int16_t Transactor::on_found(const Asked& asked, Bytes frame, bool of_group) {
  const std::int16_t error = on_coordinator(asked, frame);
  (of_group ? found_group_ : found_) = error == 0;
  return error;
}

std::int16_t Transactor::on_topic(const Asked& asked, Bytes frame) {
  kafka::CreateTopicsResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  const std::int16_t error = response.topics.front().error_code;
  topic_made_ = error == 0 || is(error, ErrorCode::topic_already_exists);
  // What else there may be (no room, too many partitions) passes, or there is no ledger.
  return topic_made_ ? std::int16_t{0} : kafka::to_wire(ErrorCode::request_timed_out);
}

std::int16_t Transactor::on_init(const Asked& asked, Bytes frame) {
  kafka::InitProducerIdResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (response.error_code != 0) return response.error_code;
  producer_id_ = response.producer_id;
  epoch_ = response.producer_epoch;
  sequences_.clear();
  return 0;
}

std::int16_t Transactor::on_added(const Asked& asked, Bytes frame) {
  if (step_ == Step::add_offset) {
    kafka::AddOffsetsToTxnResponse response;
    if (decode(asked, frame, response) == nullptr) return malformed;
    offset_added_ = response.error_code == 0;
    return response.error_code;
  }
  kafka::AddPartitionsToTxnResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  for (const auto& topic : response.results_by_topic_v3_and_below) {
    for (const auto& partition : topic.results_by_partition) {
      if (partition.partition_error_code != 0) return partition.partition_error_code;
    }
  }
  added_ = true;
  return 0;
}

// Batches of a partition are answered in their order; one that fails is sent again with all that
// came behind it, once everything is back.
std::int16_t Transactor::on_produced(const Asked& asked, Bytes frame) {
  kafka::ProduceResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  std::int16_t worst = 0;
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partition_responses) {
      std::deque<Batch>& lane = lanes_[partition.index];
      const std::int16_t error = partition.error_code;
      const bool follows = draining_ && is(error, ErrorCode::out_of_order_sequence_number);
      if (error == 0 && !lane.empty()) lane.pop_front();
      if (error == 0 || follows) continue;
      // Whatever ended the transaction has given the producer a later epoch.
      if (settings_.is_newer && is(error, ErrorCode::invalid_txn_state)) {
        world_.verdicts.broken("transaction_answers", "{}: a good batch to ledger-{} is refused",
                               name_, partition.index);
      }
      worst = worst == 0 || is_over(error) ? error : worst;
    }
  }
  if (worst == 0 && !draining_) return 0;
  draining_ = true;
  if (asked_count() == 0) {
    for (auto& [partition, lane] : lanes_) {
      for (Batch& batch : lane) batch.sent = false;
    }
  }
  return worst;
}

std::int16_t Transactor::on_offset(const Asked& asked, Bytes frame) {
  kafka::TxnOffsetCommitResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  const std::int16_t error = response.topics.front().partitions.front().error_code;
  offset_sent_ = error == 0;
  return error;
}

std::int16_t Transactor::on_end(const Asked& asked, Bytes frame) {
  kafka::EndTxnResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (response.error_code != 0) return response.error_code;
  const bool knows = world_.plant != Plant::lose_part;  // Or it would be a loss, not half of one.
  transaction().committed = ending_ == Ending::commit && knows;
  if (settings_.is_newer && response.producer_id >= 0) {
    producer_id_ = response.producer_id;
    epoch_ = response.producer_epoch;
    sequences_.clear();
  }
  forget_transaction();
  return 0;
}

// It asks again for what got no answer, or has it had enough.
void Transactor::on_disconnect() {
  if (world_.plant == Plant::believe_commit && step_ == Step::end && transaction_) {
    transaction().committed = ending_ == Ending::commit;
  }
  draining_ = false;
  for (auto& [partition, lane] : lanes_) {
    for (Batch& batch : lane) batch.sent = false;
  }
  if (prng_.chance(1, 6)) start_over();
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(0, 5))));
}

}  // namespace tailrace::sim
