// The setting of the stories about transactions: a client that writes in them, and a control thread
// that the test plays: the coordinator, which is asked, and which sends markers.
#pragma once

#include "bus/log_task.h"
#include "kafka/errors.h"
#include "kafka/gen/add_partitions_to_txn.h"
#include "record/control_record.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {

class TransactionStory : public testing::Test {
 protected:
  static constexpr std::int64_t alice = 1001;
  static constexpr std::int64_t bob = 1002;

  explicit TransactionStory(std::uint16_t core_count = 1) : node(small_limits(core_count)) {
    node.images.add_topic("orders", 1, 3, core_count);
    node.publish();
  }

  struct Batch {
    std::int64_t producer = alice;
    std::int32_t sequence = 0;
    std::int16_t epoch = 0;
    std::int32_t partition = 0;
    std::int16_t version = 11;
    std::string value = "v";
    std::int16_t acks = -1;
  };
  // The request of one batch; kept alive until the next.
  kafka::ProduceRequest& request_of(const Batch& batch) {
    bytes_.push_back(test::build_batch({{"k", batch.value, node.now.wall_ms}},
                                       {.base_timestamp = node.now.wall_ms,
                                        .producer_id = batch.producer,
                                        .producer_epoch = batch.epoch,
                                        .base_sequence = batch.sequence,
                                        .attributes = record::transactional_bit}));
    auto& request = make_({.partition = batch.partition, .acks = batch.acks}, bytes_.back());
    request.transactional_id = batch.producer == alice ? "alice" : "bob";
    return request;
  }
  void send(Client& client, const Batch& batch) {
    client.send(request_of(batch), batch.version);
    node.settle();
  }
  // The error of the next answer; -2: there is none.
  int take_error(Client& client, std::int16_t version = 11) {
    auto frame = client.take_frame();
    if (!frame) return -2;
    return only(test::parse_response<kafka::ProduceResponse>(*frame, version).response).error_code;
  }

  // What control was asked: "alice verify orders 0 1".
  std::string question() {
    if (node.control_inbox.empty()) return "nothing";
    const bus::ControlRequest& asked = *node.control_inbox.front();
    EXPECT_TRUE(asked.on_behalf);
    EXPECT_EQ(asked.api_key, 24);
    kafka::Reader in(asked.body);
    Arena arena(16384);
    const auto body =
        kafka::AddPartitionsToTxnRequest::decode(in, asked.api_version, arena);
    if (!body || body->transactions.size() != 1) return "unreadable";
    const auto& transaction = body->transactions[0];
    std::string text(transaction.transactional_id);
    text += transaction.verify_only ? " verify" : " add";
    for (const auto& topic : transaction.topics) {
      text += " " + std::string(topic.name);
      for (const std::int32_t partition : topic.partitions) text += " " + std::to_string(partition);
    }
    return text;
  }
  // Answers every partition of the question with `error`; `errors` by partition go before.
  void answer(kafka::ErrorCode error, std::map<std::int32_t, kafka::ErrorCode> errors = {}) {
    const bus::ControlRequest& asked = *node.control_inbox.front();
    kafka::Reader in(asked.body);
    Arena arena(16384);
    const auto body = kafka::AddPartitionsToTxnRequest::decode(in, asked.api_version, arena);
    using Result = kafka::AddPartitionsToTxnResponse::AddPartitionsToTxnResult;
    using Topic = Result::AddPartitionsToTxnTopicResult;
    std::vector<std::vector<Topic::AddPartitionsToTxnPartitionResult>> partitions;
    std::vector<Topic> topics;
    for (const auto& topic : body->transactions[0].topics) {
      auto& results = partitions.emplace_back();
      for (const std::int32_t index : topic.partitions) {
        const auto own = errors.find(index);
        results.push_back({index, to_wire(own == errors.end() ? error : own->second)});
      }
      std::reverse(results.begin(), results.end());  // Any order will do.
    }
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      topics.push_back({body->transactions[0].topics[i].name, partitions[i]});
    }
    Result result{body->transactions[0].transactional_id, topics};
    replies_.push_back(test::Buffer(4096));
    kafka::Writer out(replies_.back());
    kafka::AddPartitionsToTxnResponse{.results_by_transaction = {&result, 1}}.encode(out, 5);
    node.reply_to_control(out.written());
    node.settle();
  }

  // The coordinator's marker; its error.
  int end(std::int64_t producer, bool is_commit, std::int32_t partition = 0,
          std::int16_t epoch = 0, std::int8_t transaction_version = 1) {
    bus::LogTask& task = *tasks_.emplace_back(std::make_unique<bus::LogTask>());
    auto& batch = markers_.emplace_back();
    record::store_marker_batch(batch, {.producer_id = producer,
                                       .producer_epoch = epoch,
                                       .timestamp_ms = node.now.wall_ms,
                                       .marker = {.is_commit = is_commit}});
    task.owner = static_cast<bus::CoreId>(static_cast<std::size_t>(partition) %
                                          node.brokers.size());
    task.topic = topic_id(1);
    task.partition = partition;
    task.leader_epoch = 3;
    task.records = batch;
    task.transaction_version = transaction_version;
    const std::size_t before = node.log_tasks_done.size();
    node.post(task.owner, {.kind = bus::MessageKind::log_task, .from = bus::control_core,
                           .object = &task});
    node.settle();
    EXPECT_EQ(node.log_tasks_done.size(), before + 1);
    return task.error;
  }
  log::PartitionLog& log_of(std::int32_t partition = 0) {
    return *node.partition(1, partition,
                           static_cast<std::size_t>(partition) % node.brokers.size());
  }

  Node node;

 private:
  ProduceMaker make_;
  std::deque<test::Buffer> bytes_;
  std::deque<test::Buffer> replies_;
  std::deque<std::array<std::byte, record::marker_batch_bytes>> markers_;
  std::vector<std::unique_ptr<bus::LogTask>> tasks_;
};

}  // namespace tailrace::broker
