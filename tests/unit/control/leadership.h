// A controller above a state of three nodes, for what one node alone never shows.
#pragma once

#include <gtest/gtest.h>

#include "control/controller.h"
#include "kafka/wire.h"
#include "topic_requests.h"

namespace tailrace::control {

struct ThreeNodes {
  ThreeNodes() {
    for (const bus::NodeId id : {1, 2, 3}) {
      EXPECT_TRUE(state.apply(NodeRecord{id, "", {{"h", 9092}}}));
    }
  }
  void add(std::string_view name, std::uint8_t number, std::vector<PartitionRecord> partitions) {
    Uuid id;
    id.bytes.fill(number);
    EXPECT_TRUE(state.apply(TopicRecord{id, std::string(name), false, std::move(partitions), {}}));
  }
  // Answers, and applies what is to be committed.
  template <class Response, class Request>
  Response ask(const Request& request, std::int16_t version) {
    kafka::Writer size = kafka::Writer::counter();
    request.encode(size, version);
    std::vector<std::byte> body(size.size());
    kafka::Writer out(body);
    request.encode(out, version);
    Outcome outcome = controller.execute(
        {.api_key = Request::api_key, .api_version = version, .body = body}, 1 << 20);
    for (const auto& entry : outcome.entries) {
      const auto records = decode_records(entry);
      for (const Record& record : *records) EXPECT_TRUE(state.apply(record));
    }
    replies.push_back(std::move(outcome.reply));
    kafka::Reader in(replies.back());
    const Result<Response> decoded = Response::decode(in, version, arena);
    EXPECT_TRUE(decoded.has_value());
    return decoded ? *decoded : Response{};
  }
  // "leader 2 epoch 4 of 2,3 in sync 2"
  std::string partition(std::string_view name, std::size_t index) const {
    const PartitionRecord& found = state.find_topic(name)->partitions[index];
    const auto list = [](const std::vector<bus::NodeId>& nodes) {
      std::string text;
      for (const bus::NodeId node : nodes) text += (text.empty() ? "" : ",") + std::to_string(node);
      return text;
    };
    return "leader " + std::to_string(found.leader) + " epoch " +
           std::to_string(found.leader_epoch) + " of " + list(found.replicas) + " in sync " +
           list(found.isr);
  }

  Limits limits;
  ClusterState state;
  Controller controller{limits, 1, state, Prng(1)};
  Arena arena{1U << 20};
  std::deque<std::vector<std::byte>> replies;
};

}  // namespace tailrace::control
