// The coordinators of transactions and of groups, joined as the control plane joins them, with
// partitions that the test plays: request in, answer out; what they write lies in batches that
// later ones read, and that the test can look at.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/group_coordinator.h"
#include "control/internal_topics.h"
#include "control/transaction_coordinator.h"
#include "kafka/gen/add_offsets_to_txn.h"
#include "kafka/gen/add_partitions_to_txn.h"
#include "kafka/gen/delete_groups.h"
#include "kafka/gen/describe_transactions.h"
#include "kafka/gen/end_txn.h"
#include "kafka/gen/init_producer_id.h"
#include "kafka/gen/list_transactions.h"
#include "kafka/gen/offset_commit.h"
#include "kafka/gen/offset_fetch.h"
#include "kafka/gen/txn_offset_commit.h"
#include "kafka/gen/write_txn_markers.h"

namespace tailrace::control {

inline Limits small_transaction_limits() {
  Limits limits;
  limits.batch_bytes_max = 64U << 10;
  limits.offsets_partitions = 3;
  limits.transaction_partitions = 3;
  limits.transactional_ids_max = 3;
  limits.transaction_partitions_max = 4;
  limits.group_loads_max = 2;
  return limits;
}

// The logs of all partitions: they outlive coordinators.
struct AllLogs {
  struct Log {
    std::vector<ByteString> batches;
    std::int64_t end = 0;  // one offset per record
  };
  std::map<NamedPartition, Log> logs;

  void append(const NamedPartition& at, Bytes batch) {
    Log& log = logs[at];
    ByteString& kept = log.batches.emplace_back(batch.begin(), batch.end());
    record::set_base_offset(kept, log.end);
    log.end += record::parse_header(kept)->record_count;
  }
  // "commit 5/1" of every marker, in order.
  std::string markers(const NamedPartition& at) const {
    std::string line;
    const auto found = logs.find(at);
    if (found == logs.end()) return line;
    for (const ByteString& bytes : found->second.batches) {
      const auto batch = record::parse_batch(bytes);
      if (!batch->header.is_control()) continue;
      if (!line.empty()) line += ", ";
      line += record::marker_of(*batch)->is_commit ? "commit " : "abort ";
      line += std::to_string(batch->header.producer_id) + "/" +
              std::to_string(batch->header.producer_epoch);
    }
    return line;
  }
};

class TransactionRig : TransactionCoordinator::Groups {
 public:
  TransactionRig(AllLogs& logs, ClusterState& state,
                 const Limits& limits = small_transaction_limits())
      : logs_(logs), state_(state), groups(limits, 1, 2, state, Prng(1, "groups")),
        coordinator(limits, 1, 2, state, *this) {}

  // What the controller does at the first FindCoordinator, and topics for records.
  static void make_topics(ClusterState& state) {
    const Limits limits = small_transaction_limits();
    Prng prng(3, "topics");
    ASSERT_TRUE(state.apply(NodeRecord{.id = 1}).has_value());
    ASSERT_TRUE(state.apply(new_offsets_topic(limits, state, prng)).has_value());
    ASSERT_TRUE(state.apply(new_transactions_topic(limits, state, prng)).has_value());
    for (const char* name : {"orders", "other"}) {
      TopicRecord topic{.id = random_uuid(prng), .name = name};
      topic.partitions.resize(3, {.leader = 1, .replicas = {1}, .isr = {1}});
      ASSERT_TRUE(state.apply(topic).has_value());
    }
  }

  void start() {
    coordinator.adopt(now);
    groups.adopt(now);
    run();
  }
  // Log tasks are carried out, until nothing is under way; requests that can be are answered.
  void run() {
    do {
      take();
      while (!tasks.empty() && (!held || !held(where(*tasks.front())))) {
        bus::LogTask* task = tasks.front();
        tasks.pop_front();
        perform(*task);
        if (!coordinator.on_log_done(task, now)) groups.on_log_done(task, now);
        take();
      }
      if (coordinator.wants_ids() && gives_ids) {
        coordinator.give_ids(next_id, next_id + 1000);
        next_id += 1000;
      }
      coordinator.step(now);
      groups.step(now);
      take();
    } while (!tasks.empty() && (!held || !held(where(*tasks.front()))));
  }
  void pass(Duration duration) {
    const Instant end = now.instant + duration;
    while (coordinator.next_deadline() <= end) {
      const Instant next = std::max(coordinator.next_deadline(), now.instant);
      now.wall_ms += (next - now.instant).ns / 1'000'000;
      now.instant = next;
      run();
    }
    now.wall_ms += (end - now.instant).ns / 1'000'000;
    now.instant = end;
  }

  struct Sent {
    bus::ControlRequest request;
    ByteString body;
    ByteString reply;
    bool answered = false;
  };
  template <class Request>
  Sent& send(const Request& request, std::int16_t version) {
    Sent& sent = sent_.emplace_back();
    kafka::Writer size = kafka::Writer::counter();
    request.encode(size, version);
    sent.body.resize(size.size());
    kafka::Writer out(sent.body);
    request.encode(out, version);
    sent.request = {.api_key = Request::api_key, .api_version = version, .client_id = "client",
                    .body = sent.body};
    if (TransactionCoordinator::takes(sent.request)) coordinator.on_request(&sent.request, now);
    else groups.on_request(&sent.request, now);
    take();
    return sent;
  }
  template <class Response>
  Response read(const Sent& sent) {
    EXPECT_TRUE(sent.answered);
    kafka::Reader in(sent.reply);
    const Result<Response> decoded = Response::decode(in, sent.request.api_version, arena_);
    EXPECT_TRUE(decoded.has_value());
    EXPECT_TRUE(in.rest().empty());
    return decoded ? *decoded : Response{};
  }
  template <class Response, class Request>
  Response ask(const Request& request, std::int16_t version) {
    Sent& sent = send(request, version);
    run();
    return read<Response>(sent);
  }

  // --- short forms. "5/0", or "error N".
  std::string init(std::string_view id, std::int32_t timeout_ms = 60'000,
                   ProducerIdentity expected = {}, std::int16_t version = 5) {
    kafka::InitProducerIdRequest request;
    request.transactional_id = id;
    request.transaction_timeout_ms = timeout_ms;
    request.producer_id = expected.id;
    request.producer_epoch = expected.epoch;
    const auto told = ask<kafka::InitProducerIdResponse>(request, version);
    return text(told.error_code, told.producer_id, told.producer_epoch);
  }
  Sent& send_end(std::string_view id, ProducerIdentity producer, bool commit,
                 std::int16_t version = 5) {
    kafka::EndTxnRequest request;
    request.transactional_id = id;
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.committed = commit;
    return send(request, version);
  }
  std::string end_text(const Sent& sent) {
    const auto told = read<kafka::EndTxnResponse>(sent);
    return text(told.error_code, told.producer_id, told.producer_epoch);
  }
  std::string end(std::string_view id, ProducerIdentity producer, bool commit,
                  std::int16_t version = 5) {
    Sent& sent = send_end(id, producer, commit, version);
    run();
    return end_text(sent);
  }
  Sent& send_add(std::string_view id, ProducerIdentity producer, std::string_view topic,
                 std::int32_t partition, std::int16_t version = 4, bool verify_only = false) {
    using Request = kafka::AddPartitionsToTxnRequest;
    using One = Request::AddPartitionsToTxnTransaction;
    Request request;
    One::AddPartitionsToTxnTopic batched{topic, {&partition, 1}};
    Request::V3AndBelowTopic single{topic, {&partition, 1}};
    One one{id, producer.id, producer.epoch, verify_only, {&batched, 1}};
    if (version >= 4) {
      request.transactions = {&one, 1};
    } else {
      request.v3_and_below_transactional_id = id;
      request.v3_and_below_producer_id = producer.id;
      request.v3_and_below_producer_epoch = producer.epoch;
      request.v3_and_below_topics = {&single, 1};
    }
    return send(request, version);
  }
  std::int16_t add_code(const Sent& sent) {
    const auto told = read<kafka::AddPartitionsToTxnResponse>(sent);
    if (sent.request.api_version < 4) {
      return told.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
    }
    return told.results_by_transaction[0].topic_results[0].results_by_partition[0]
        .partition_error_code;
  }
  std::int16_t add(std::string_view id, ProducerIdentity producer, std::string_view topic,
                   std::int32_t partition, std::int16_t version = 4, bool verify_only = false) {
    Sent& sent = send_add(id, producer, topic, partition, version, verify_only);
    run();
    return add_code(sent);
  }
  std::int16_t add_offsets(std::string_view id, ProducerIdentity producer,
                           std::string_view group) {
    kafka::AddOffsetsToTxnRequest request;
    request.transactional_id = id;
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.group_id = group;
    return ask<kafka::AddOffsetsToTxnResponse>(request, 3).error_code;
  }
  // Of partition 0 of "orders".
  Sent& send_offset(std::string_view id, ProducerIdentity producer, std::string_view group,
                    std::int64_t offset, std::int16_t version = 5) {
    using Asked = kafka::TxnOffsetCommitRequest::TxnOffsetCommitRequestTopic;
    kafka::TxnOffsetCommitRequest request;
    request.transactional_id = id;
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.group_id = group;
    Asked::TxnOffsetCommitRequestPartition at{.partition_index = 0, .committed_offset = offset};
    Asked topic{"orders", {&at, 1}};
    request.topics = {&topic, 1};
    return send(request, version);
  }
  std::int16_t offset_code(const Sent& sent) {
    return read<kafka::TxnOffsetCommitResponse>(sent).topics[0].partitions[0].error_code;
  }
  std::int16_t send_offset_now(std::string_view id, ProducerIdentity producer,
                               std::string_view group, std::int64_t offset,
                               std::int16_t version = 5) {
    Sent& sent = send_offset(id, producer, group, offset, version);
    run();
    return offset_code(sent);
  }
  // "5", "-1" when there is none, "error N".
  std::string committed(std::string_view group, bool require_stable = false) {
    kafka::OffsetFetchRequest request;
    std::int32_t partition = 0;
    kafka::OffsetFetchRequest::OffsetFetchRequestGroup::OffsetFetchRequestTopics of{
        .name = "orders", .partition_indexes = {&partition, 1}};
    kafka::OffsetFetchRequest::OffsetFetchRequestGroup one;
    one.group_id = group;
    one.topics = std::span(&of, 1);
    request.groups = {&one, 1};
    request.require_stable = require_stable;
    const auto response = ask<kafka::OffsetFetchResponse>(request, 9);
    const auto& told = response.groups[0].topics[0].partitions[0];
    if (told.error_code != 0) return "error " + std::to_string(told.error_code);
    return std::to_string(told.committed_offset);
  }
  std::int16_t commit(std::string_view group, std::int64_t offset) {
    using Asked = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    Asked::OffsetCommitRequestPartition at{.partition_index = 0, .committed_offset = offset};
    Asked of{.name = "orders", .partitions = {&at, 1}};
    request.topics = {&of, 1};
    return ask<kafka::OffsetCommitResponse>(request, 9).topics[0].partitions[0].error_code;
  }
  // "State id/epoch", or "error N".
  std::string describe(std::string_view id) {
    kafka::DescribeTransactionsRequest request;
    request.transactional_ids = {&id, 1};
    const auto told = ask<kafka::DescribeTransactionsResponse>(request, 0).transaction_states[0];
    if (told.error_code != 0) return "error " + std::to_string(told.error_code);
    return std::string(told.transaction_state) + " " +
           text(0, told.producer_id, told.producer_epoch);
  }

  static std::string text(std::int16_t error, std::int64_t id, std::int16_t epoch) {
    if (error != 0) return "error " + std::to_string(error);
    return std::to_string(id) + "/" + std::to_string(epoch);
  }
  NamedPartition where(const bus::LogTask& task) const {
    return {state_.find_topic(task.topic)->name, task.partition};
  }

 private:
  void commit_offsets(bus::ControlRequest* request, kafka::ErrorCode error, Now at) override {
    groups.commit_transactional(request, error, at);
  }
  void on_marker(std::int32_t partition, std::int64_t producer_id, bool is_commit,
                 Now at) override {
    groups.on_marker(partition, producer_id, is_commit, at);
  }
  void take() {
    for (auto& made : coordinator.take_answers()) finish(made.request, made.reply);
    for (auto& made : groups.take_answers()) finish(made.request, made.reply);
    for (bus::LogTask* task : groups.take_log_tasks()) tasks.push_back(task);
    for (bus::LogTask* task : coordinator.take_log_tasks()) tasks.push_back(task);
  }
  void finish(const bus::ControlRequest* request, ByteString& reply) {
    for (Sent& sent : sent_) {
      if (&sent.request != request) continue;
      EXPECT_FALSE(sent.answered) << "answered twice";
      EXPECT_FALSE(reply.empty());
      sent.answered = true;
      sent.reply = std::move(reply);
      return;
    }
    ADD_FAILURE() << "an answer to nothing";
  }
  void perform(bus::LogTask& task) {
    const NamedPartition at = where(task);
    const auto failing = errors.find(at.topic);
    task.error = failing == errors.end() ? std::int16_t{0} : to_wire(failing->second);
    if (task.error != 0) return;
    EXPECT_EQ(task.owner, bus::owner_core(task.topic, task.partition, 2));
    if (task.kind == bus::LogTask::Kind::append) {
      EXPECT_TRUE(record::crc_matches(task.records));
      return logs_.append(at, task.records);
    }
    task.bytes = 0;
    task.end_offset = logs_.logs[at].end;
    for (const ByteString& batch : logs_.logs[at].batches) {
      if (record::parse_header(batch)->last_offset() < task.offset) continue;
      std::memcpy(task.room.data() + task.bytes, batch.data(), batch.size());
      task.bytes += batch.size();
    }
  }

  AllLogs& logs_;
  ClusterState& state_;
  std::deque<Sent> sent_;
  Arena arena_{4U << 20};

 public:
  GroupCoordinator groups;
  TransactionCoordinator coordinator;
  std::deque<bus::LogTask*> tasks;                          // not carried out yet
  std::function<bool(const NamedPartition&)> held;          // run() stops before such a task
  std::map<std::string, kafka::ErrorCode, std::less<>> errors;  // by topic
  bool gives_ids = true;
  std::int64_t next_id = 1000;
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
};

// Coordinators that have read their empty partitions.
struct ReadyTransactions {
  ReadyTransactions() : rig(logs, (TransactionRig::make_topics(state), state)) { rig.start(); }
  AllLogs logs;
  ClusterState state;
  TransactionRig rig;
};

}  // namespace tailrace::control
