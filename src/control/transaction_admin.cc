// TransactionCoordinator: what operators ask: DescribeTransactions, ListTransactions.
#include <algorithm>
#include <deque>

#include "control/topic_pattern.h"
#include "control/transaction_coordinator.h"
#include "kafka/gen/describe_transactions.h"
#include "kafka/gen/list_transactions.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

}  // namespace

void TransactionCoordinator::describe(bus::ControlRequest* request) {
  using Told = kafka::DescribeTransactionsResponse::TransactionState;
  const Result<kafka::DescribeTransactionsRequest> body =
      decode<kafka::DescribeTransactionsRequest>(*request);
  if (!body) return close(request);
  std::vector<Told> all;
  std::deque<std::vector<Told::TopicData>> topic_rooms;
  std::deque<std::vector<std::int32_t>> index_rooms;
  ReplyRoom room(2 * limits_.transaction_bytes_max);  // Every one fits, once.
  for (const std::string_view id : body->transactional_ids) {
    Told& made = all.emplace_back();
    made.transactional_id = id;
    made.producer_id = -1;
    std::int32_t partition = -1;
    Entry* entry = nullptr;
    ErrorCode error = find(id, partition, entry);
    if (error == ErrorCode::none && entry == nullptr) error = ErrorCode::transactional_id_not_found;
    if (error == ErrorCode::none && !room.take(entry->counted_bytes)) {
      error = ErrorCode::invalid_request;
    }
    made.error_code = to_wire(error);
    if (error != ErrorCode::none) continue;
    const TransactionRecord& record = entry->transaction.record();
    made.transaction_state = to_text(record.state);
    made.transaction_timeout_ms = record.timeout_ms;
    made.transaction_start_time_ms = record.start_ms;
    made.producer_id = record.producer_id;
    made.producer_epoch = record.producer_epoch;
    std::vector<Told::TopicData>& topics = topic_rooms.emplace_back();
    for (const NamedPartition& one : record.partitions) {
      if (topics.empty() || topics.back().topic != one.topic) {
        topics.push_back({one.topic, {}});
        index_rooms.emplace_back();
      }
      index_rooms.back().push_back(one.partition);
      topics.back().partitions = index_rooms.back();
    }
    made.topics = topics;
  }
  kafka::DescribeTransactionsResponse response;
  response.transaction_states = all;
  answer(request, response);
}

void TransactionCoordinator::list(bus::ControlRequest* request, Now now) {
  using Told = kafka::ListTransactionsResponse::TransactionState;
  const Result<kafka::ListTransactionsRequest> body =
      decode<kafka::ListTransactionsRequest>(*request);
  if (!body) return close(request);
  kafka::ListTransactionsResponse response;
  std::vector<std::string_view> unknown;
  std::vector<TransactionState> states;
  for (const std::string_view text : body->state_filters) {
    if (const auto state = transaction_state_of(text)) states.push_back(*state);
    else unknown.push_back(text);
  }
  const std::string_view pattern_text = body->transactional_id_pattern.value;
  const NamePattern pattern(pattern_text);
  ErrorCode error = is_loading() ? ErrorCode::coordinator_load_in_progress : ErrorCode::none;
  if (!pattern.is_valid()) error = ErrorCode::invalid_regular_expression;
  std::vector<Told> all;
  for (const auto& [name, entry] : entries_) {
    if (error != ErrorCode::none) break;
    const TransactionRecord& record = entry->transaction.record();
    const auto has = [](const auto& filter, const auto& value) {
      return std::find(filter.begin(), filter.end(), value) != filter.end();
    };
    const bool has_state_filter = !body->state_filters.empty();
    if (has_state_filter && !has(states, record.state)) continue;
    if (!body->producer_id_filters.empty() &&
        !has(body->producer_id_filters, record.producer_id)) {
      continue;
    }
    const bool has_begun = record.start_ms >= 0;
    if (body->duration_filter >= 0 &&
        (!has_begun || now.wall_ms - record.start_ms <= body->duration_filter)) {
      continue;
    }
    if (!pattern_text.empty() && !pattern.matches(name)) continue;
    all.push_back({name, record.producer_id, to_text(record.state)});
  }
  response.error_code = to_wire(error);
  response.unknown_state_filters = unknown;
  response.transaction_states = all;
  answer(request, response);
}

}  // namespace tailrace::control
