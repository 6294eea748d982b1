// TransactionCoordinator: what producers ask, and other nodes on their behalf: InitProducerId,
// AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit (its first half), EndTxn, WriteTxnMarkers.
#include <algorithm>

#include "control/internal_topics.h"
#include "control/transaction_coordinator.h"
#include "kafka/apis.h"
#include "kafka/gen/add_offsets_to_txn.h"
#include "kafka/gen/add_partitions_to_txn.h"
#include "kafka/gen/end_txn.h"
#include "kafka/gen/init_producer_id.h"
#include "kafka/gen/txn_offset_commit.h"
#include "kafka/gen/write_txn_markers.h"

namespace tailrace::control {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;

constexpr std::int16_t init_first_fenced = 4;        // versions that know PRODUCER_FENCED
constexpr std::int16_t add_first_fenced = 2;
constexpr std::int16_t add_first_batched = 4;
constexpr std::int16_t add_first_with_abortable = 5;
constexpr std::int16_t end_first_fenced = 2;
constexpr std::int16_t end_first_with_epochs = 5;    // KIP-890
constexpr std::int16_t commit_first_with_epochs = 5;
constexpr std::int16_t newest_transaction_version = 2;
constexpr std::size_t waiting_max = 64;              // of one transactional id
// As long as Kafka's brokers try again for a client.
constexpr Duration waiting_time = milliseconds(100);

// Before a version knew that a producer can be fenced, its epoch was wrong.
ErrorCode told(ErrorCode error, std::int16_t version, std::int16_t first_fenced) {
  const bool is_known = error != ErrorCode::producer_fenced || version >= first_fenced;
  return is_known ? error : ErrorCode::invalid_producer_epoch;
}

// Topics and partitions of one request: they are written out, and told one by one in the answer.
constexpr std::size_t items_max = 65'536;

const auto& indexes_of(const auto& topic) {
  if constexpr (requires { topic.partition_indexes; }) return topic.partition_indexes;
  else return topic.partitions;
}

// False: they are more than items_max, counted in `items`.
bool count_items(const auto& topics, std::size_t& items) {
  items += topics.size();
  for (const auto& topic : topics) items += indexes_of(topic).size();
  return items <= items_max;
}

// A name that no topic has is left empty: it may be of any length.
std::vector<NamedPartition> partitions_of(const auto& topics, const ClusterState& state) {
  std::vector<NamedPartition> all;
  for (const auto& topic : topics) {
    const bool is_known = state.find_topic(topic.name) != nullptr;
    const std::string name(is_known ? topic.name : std::string_view{});
    for (const std::int32_t index : indexes_of(topic)) all.push_back({name, index});
  }
  return all;
}

// The answers to topics, whose partitions have errors one after the other.
template <class Told, class Topics>
std::span<Told> told_topics(const Topics& topics, std::span<const ErrorCode>& errors,
                            Arena& arena) {
  using Partition = std::remove_cvref_t<decltype(Told{}.results_by_partition[0])>;
  const std::span<Told> told = arena.allocate<Told>(topics.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    const auto& indexes = topics[i].partitions;
    const std::span<Partition> partitions = arena.allocate<Partition>(indexes.size());
    for (std::size_t k = 0; k < partitions.size(); ++k) {
      partitions[k] = {indexes[k], to_wire(errors[k])};
    }
    errors = errors.subspan(indexes.size());
    told[i] = {topics[i].name, partitions};
  }
  return told;
}

}  // namespace

// ---------------------------------------------------------------- InitProducerId

void TransactionCoordinator::init_producer_id(bus::ControlRequest* request, Now now) {
  const Result<kafka::InitProducerIdRequest> body = decode<kafka::InitProducerIdRequest>(*request);
  if (!body) return close(request);
  const auto refuse = [&](ErrorCode error) { answer_init(request, error, {}); };
  const std::string_view id = body->transactional_id.value;
  const bool has_id = body->producer_id >= 0;
  if (has_id != (body->producer_epoch >= 0)) return refuse(ErrorCode::invalid_request);
  const std::int64_t timeout_max_ms = limits_.transaction_timeout_max.ns / 1'000'000;
  const bool has_timeout =
      body->transaction_timeout_ms > 0 && body->transaction_timeout_ms <= timeout_max_ms;
  if (id.empty()) return refuse(ErrorCode::invalid_request);
  if (!has_timeout) return refuse(ErrorCode::invalid_transaction_timeout);
  std::int32_t partition = -1;
  Entry* entry = nullptr;
  if (const ErrorCode error = find(id, partition, entry); error != ErrorCode::none) {
    return refuse(error);
  }
  if (entry == nullptr) {
    if (is_full()) return refuse(ErrorCode::policy_violation);
    // More ids are on their way.
    if (spare_id() < 0) return refuse(ErrorCode::coordinator_load_in_progress);
    entry = &add_entry(id, partition,
                       Transaction(ids_next_++, body->transaction_timeout_ms, now.wall_ms));
  }
  std::optional<ProducerIdentity> expected;
  if (has_id) expected = {body->producer_id, body->producer_epoch};
  const Transaction::Verdict verdict = entry->transaction.init(
      body->transaction_timeout_ms, expected, spare_id(), now.wall_ms);
  if (!verdict.writes) return refuse(verdict.error);
  const auto made = write(*entry, verdict);
  made->request = request;
  send(*entry, made, now);
}

void TransactionCoordinator::answer_init(bus::ControlRequest* request, ErrorCode error,
                                         const ProducerIdentity& producer) {
  kafka::InitProducerIdResponse response;
  const bool is_good = error == ErrorCode::none;
  response.error_code = to_wire(told(error, request->api_version, init_first_fenced));
  response.producer_id = is_good ? producer.id : -1;
  response.producer_epoch = is_good ? producer.epoch : std::int16_t{-1};
  answer(request, response);
}

// ---------------------------------------------------------------- AddPartitionsToTxn

void TransactionCoordinator::add_partitions(bus::ControlRequest* request, Now now) {
  using Request = kafka::AddPartitionsToTxnRequest;
  const Result<Request> body = decode<Request>(*request);
  if (!body) return close(request);
  std::size_t items = body->transactions.size();
  bool is_small = count_items(body->v3_and_below_topics, items);
  for (const auto& one : body->transactions) is_small &= count_items(one.topics, items);
  if (!is_small) return close(request);
  const auto pending = std::make_shared<Pending>();
  pending->request = request;
  std::vector<Ask> asks;
  const auto ask = [&](std::string_view id, ProducerIdentity producer, bool verify_only,
                       std::int16_t version, const auto& topics) {
    Ask made{.id = std::string(id), .producer = producer, .version = version,
             .verify_only = verify_only, .pending = pending, .first = pending->errors.size(),
             .items = partitions_of(topics, state_)};
    pending->errors.resize(made.first + made.items.size(), ErrorCode::operation_not_attempted);
    made.partitions = {made.items.begin(), made.items.end()};
    asks.push_back(std::move(made));
  };
  if (request->api_version < add_first_batched) {
    ask(body->v3_and_below_transactional_id,
        {body->v3_and_below_producer_id, body->v3_and_below_producer_epoch}, false, 0,
        body->v3_and_below_topics);
  }
  for (const auto& one : body->transactions) {
    ask(one.transactional_id, {one.producer_id, one.producer_epoch}, one.verify_only,
        newest_transaction_version, one.topics);
  }
  pending->left = asks.size() + 1;
  for (Ask& made : asks) {
    bool has_unknown = false;
    for (std::size_t i = 0; i < made.items.size(); ++i) {
      const NamedPartition& one = made.items[i];
      if (state_.find_partition(one.topic, one.partition) != nullptr) continue;
      pending->errors[made.first + i] = ErrorCode::unknown_topic_or_partition;
      has_unknown = true;
    }
    // All of them or none.
    if (has_unknown) finish_item(*pending, now);
    else begin(std::move(made), now);
  }
  finish_item(*pending, now);
}

void TransactionCoordinator::begin(Ask ask, Now now) {
  std::int32_t partition = -1;
  Entry* entry = nullptr;
  ErrorCode error = find(ask.id, partition, entry);
  if (error == ErrorCode::none && entry == nullptr) error = ErrorCode::invalid_producer_id_mapping;
  if (error != ErrorCode::none) return end_ask(ask, error, now);
  Transaction& transaction = entry->transaction;
  if (ask.verify_only) {
    error = transaction.check(ask.producer);
    return error == ErrorCode::none ? end_verify(ask, *entry, now) : end_ask(ask, error, now);
  }
  if (ask.until == never()) ask.until = now.instant + waiting_time;
  const bool is_early = transaction.is_writing() ||
                        (transaction.is_ending() && now.instant < ask.until);
  if (is_early && entry->waiting.size() < waiting_max) {
    entry->waiting.push_back(std::move(ask));
    return settle(*entry, now);
  }
  // Other transactions make room when they end.
  if (memory_bytes_ >= limits_.transaction_bytes_max) {
    return end_ask(ask, ErrorCode::concurrent_transactions, now);
  }
  const Transaction::Verdict verdict =
      transaction.add(ask.producer, ask.partitions, ask.version,
                      limits_.transaction_partitions_max, now.wall_ms);
  if (!verdict.writes) return end_ask(ask, verdict.error, now);
  const auto made = write(*entry, verdict);
  made->ask = std::move(ask);
  send(*entry, made, now);
}

void TransactionCoordinator::end_ask(const Ask& ask, ErrorCode error, Now now) {
  Pending& pending = *ask.pending;
  std::fill_n(pending.errors.begin() + static_cast<std::ptrdiff_t>(ask.first), ask.items.size(),
              error);
  finish_item(pending, now);
}

void TransactionCoordinator::end_verify(const Ask& ask, const Entry& entry, Now now) {
  for (std::size_t i = 0; i < ask.items.size(); ++i) {
    const bool is_in = entry.transaction.contains(ask.items[i]);
    ask.pending->errors[ask.first + i] =
        is_in ? ErrorCode::none : ErrorCode::transaction_abortable;
  }
  finish_item(*ask.pending, now);
}

void TransactionCoordinator::finish_item(Pending& pending, Now now) {
  TR_ASSERT(pending.left > 0);
  if (--pending.left > 0) return;
  bus::ControlRequest* request = pending.request;
  switch (static_cast<ApiKey>(request->api_key)) {
    case ApiKey::add_partitions_to_txn: return answer_add_partitions(pending);
    case ApiKey::add_offsets_to_txn: {
      kafka::AddOffsetsToTxnResponse response;
      response.error_code =
          to_wire(told(pending.errors[0], request->api_version, add_first_fenced));
      return answer(request, response);
    }
    case ApiKey::txn_offset_commit:
      return groups_.commit_offsets(request, pending.errors[0], now);
    case ApiKey::write_txn_markers: return answer_markers(pending);
    default: TR_ASSERT(false);
  }
}

void TransactionCoordinator::answer_add_partitions(const Pending& pending) {
  using Request = kafka::AddPartitionsToTxnRequest;
  using Response = kafka::AddPartitionsToTxnResponse;
  using Result4 = Response::AddPartitionsToTxnResult;
  bus::ControlRequest* request = pending.request;
  const Result<Request> body = decode<Request>(*request);
  TR_ASSERT(body.has_value());  // It was read once before.
  std::vector<ErrorCode> codes = pending.errors;
  for (ErrorCode& code : codes) {
    code = told(code, request->api_version, add_first_fenced);
    const bool is_new = code == ErrorCode::transaction_abortable &&
                        request->api_version < add_first_with_abortable;
    if (is_new) code = ErrorCode::invalid_txn_state;
  }
  std::span<const ErrorCode> errors = codes;
  answer_arena_.reset();
  Response response;
  std::vector<Result4> results;
  if (request->api_version < add_first_batched) {
    response.results_by_topic_v3_and_below =
        told_topics<Response::V3AndBelowTopicResult>(body->v3_and_below_topics, errors,
                                                    answer_arena_);
  }
  for (const auto& one : body->transactions) {
    results.push_back({one.transactional_id,
                       told_topics<Result4::AddPartitionsToTxnTopicResult>(one.topics, errors,
                                                                           answer_arena_)});
  }
  response.results_by_transaction = results;
  answer(request, response);
}

// ---------------------------------------------------------------- offsets

void TransactionCoordinator::add_offsets(bus::ControlRequest* request, Now now) {
  const Result<kafka::AddOffsetsToTxnRequest> body =
      decode<kafka::AddOffsetsToTxnRequest>(*request);
  if (!body) return close(request);
  ask_for_offsets(request, body->group_id,
                  {.id = std::string(body->transactional_id),
                   .producer = {body->producer_id, body->producer_epoch}},
                  now);
}

// From transaction version 2 on the groups' partition is added without being asked for; before,
// it must have been.
void TransactionCoordinator::check_offsets(bus::ControlRequest* request, Now now) {
  const Result<kafka::TxnOffsetCommitRequest> body =
      decode<kafka::TxnOffsetCommitRequest>(*request);
  if (!body) return close(request);
  const bool adds = request->api_version >= commit_first_with_epochs;
  ask_for_offsets(request, body->group_id,
                  {.id = std::string(body->transactional_id),
                   .producer = {body->producer_id, body->producer_epoch},
                   .version = adds ? newest_transaction_version : std::int16_t{0},
                   .verify_only = !adds},
                  now);
}

void TransactionCoordinator::ask_for_offsets(bus::ControlRequest* request, std::string_view group,
                                             Ask ask, Now now) {
  ask.pending = std::make_shared<Pending>();
  ask.pending->request = request;
  ask.pending->errors.resize(1);
  ask.pending->left = 1;
  const Topic* topic = state_.find_topic(offsets_topic_name);
  const std::size_t count = topic == nullptr ? 0 : topic->partitions.size();
  ask.items = {{std::string(offsets_topic_name), count == 0 ? 0 : partition_of_key(group, count)}};
  ask.partitions = {ask.items[0]};
  if (count == 0) return end_ask(ask, ErrorCode::coordinator_not_available, now);
  begin(std::move(ask), now);
}

// ---------------------------------------------------------------- EndTxn

void TransactionCoordinator::end_transaction(bus::ControlRequest* request, Now now) {
  const Result<kafka::EndTxnRequest> body = decode<kafka::EndTxnRequest>(*request);
  if (!body) return close(request);
  std::int32_t partition = -1;
  Entry* entry = nullptr;
  ErrorCode error = find(body->transactional_id, partition, entry);
  if (error == ErrorCode::none && entry == nullptr) error = ErrorCode::invalid_producer_id_mapping;
  if (error != ErrorCode::none) return answer_end(request, error, {});
  const bool has_epochs = request->api_version >= end_first_with_epochs;
  const Transaction::Verdict verdict = entry->transaction.end(
      {body->producer_id, body->producer_epoch}, body->committed,
      has_epochs ? newest_transaction_version : std::int16_t{0}, spare_id(), now.wall_ms);
  if (!verdict.writes) return answer_end(request, verdict.error, entry->transaction.producer());
  const auto made = write(*entry, verdict);
  made->request = request;
  send(*entry, made, now);
}

void TransactionCoordinator::answer_end(bus::ControlRequest* request, ErrorCode error,
                                        const ProducerIdentity& producer) {
  kafka::EndTxnResponse response;
  const bool is_good = error == ErrorCode::none;
  response.error_code = to_wire(told(error, request->api_version, end_first_fenced));
  response.producer_id = is_good ? producer.id : -1;
  response.producer_epoch = is_good ? producer.epoch : std::int16_t{-1};
  answer(request, response);
}

// ---------------------------------------------------------------- WriteTxnMarkers

void TransactionCoordinator::write_markers(bus::ControlRequest* request, Now now) {
  const Result<kafka::WriteTxnMarkersRequest> body =
      decode<kafka::WriteTxnMarkersRequest>(*request);
  if (!body) return close(request);
  std::size_t items = body->markers.size();
  bool is_small = true;
  for (const auto& asked : body->markers) is_small &= count_items(asked.topics, items);
  if (!is_small) return close(request);
  const auto pending = std::make_shared<Pending>();
  pending->request = request;
  std::vector<std::shared_ptr<MarkerJob>> jobs;
  for (const auto& asked : body->markers) {
    auto job = std::make_shared<MarkerJob>();
    job->pending = pending;
    job->first = pending->errors.size();
    job->marker = {.producer = {asked.producer_id, asked.producer_epoch},
                   .is_commit = asked.transaction_result,
                   .coordinator_epoch = asked.coordinator_epoch,
                   .transaction_version = asked.transaction_version};
    job->partitions = partitions_of(asked.topics, state_);
    // What no producer can have begun, nobody can end.
    const bool can_be = asked.producer_id >= 0 && asked.producer_epoch >= 0;
    pending->errors.resize(job->first + job->partitions.size(), ErrorCode::invalid_request);
    if (can_be) jobs.push_back(std::move(job));
  }
  pending->left = jobs.size() + 1;
  for (const auto& job : jobs) markers_.start(job, now);
  finish_item(*pending, now);
}

void TransactionCoordinator::answer_markers(const Pending& pending) {
  using Response = kafka::WriteTxnMarkersResponse;
  using Told = Response::WritableTxnMarkerResult;
  using TopicTold = Told::WritableTxnMarkerTopicResult;
  using PartitionTold = TopicTold::WritableTxnMarkerPartitionResult;
  const Result<kafka::WriteTxnMarkersRequest> body =
      decode<kafka::WriteTxnMarkersRequest>(*pending.request);
  TR_ASSERT(body.has_value());  // It was read once before.
  answer_arena_.reset();
  const std::span<Told> markers = answer_arena_.allocate<Told>(body->markers.size());
  std::size_t item = 0;
  for (std::size_t i = 0; i < markers.size(); ++i) {
    const auto& asked = body->markers[i];
    const std::span<TopicTold> topics = answer_arena_.allocate<TopicTold>(asked.topics.size());
    for (std::size_t k = 0; k < topics.size(); ++k) {
      const auto& indexes = asked.topics[k].partition_indexes;
      const std::span<PartitionTold> partitions =
          answer_arena_.allocate<PartitionTold>(indexes.size());
      for (std::size_t n = 0; n < partitions.size(); ++n) {
        partitions[n] = {indexes[n], to_wire(pending.errors[item++])};
      }
      topics[k] = {asked.topics[k].name, partitions};
    }
    markers[i] = {asked.producer_id, topics};
  }
  Response response;
  response.markers = markers;
  answer(pending.request, response);
}

}  // namespace tailrace::control
