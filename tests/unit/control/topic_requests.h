// Requests about topics and their answers as one line of text per topic.
#pragma once

#include <string>
#include <vector>

#include "control_node.h"
#include "kafka/gen/create_partitions.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/delete_topics.h"

namespace tailrace::control {

using CreateTopic = kafka::CreateTopicsRequest::CreatableTopic;
using CreateConfig = CreateTopic::CreatableTopicConfig;
using CreateAssignment = CreateTopic::CreatableReplicaAssignment;

// "ok" or "CODE: message".
inline std::string told(std::int16_t code, const kafka::NullableString& message) {
  if (code == 0) return message.is_null() ? "ok" : "ok, but with a message";
  return std::to_string(code) + ": " + std::string(message.value);
}

inline std::vector<std::string> create(ControlNode& node, std::vector<CreateTopic> topics,
                                       bool validate_only = false, std::int16_t version = 7) {
  kafka::CreateTopicsRequest request;
  request.topics = topics;
  request.validate_only = validate_only;
  std::vector<std::string> lines;
  for (const auto& topic : node.ask<kafka::CreateTopicsResponse>(request, version).topics) {
    lines.push_back(std::string(topic.name) + " " + told(topic.error_code, topic.error_message));
  }
  return lines;
}

inline std::string create_one(ControlNode& node, const CreateTopic& topic) {
  return create(node, {topic}).at(0).substr(topic.name.size() + 1);
}

inline CreateTopic topic(std::string_view name, std::int32_t partitions = 1,
                         std::int16_t replicas = 1) {
  CreateTopic made;
  made.name = name;
  made.num_partitions = partitions;
  made.replication_factor = replicas;
  return made;
}

inline std::vector<std::string> remove(ControlNode& node, std::vector<std::string_view> names) {
  kafka::DeleteTopicsRequest request;
  request.topic_names = names;
  std::vector<std::string> lines;
  for (const auto& topic : node.ask<kafka::DeleteTopicsResponse>(request, 5).responses) {
    lines.push_back(std::string(topic.name.value) + " " +
                    told(topic.error_code, topic.error_message));
  }
  return lines;
}

// "orders/3 payments/1": topics of the newest image with their partition counts.
inline std::string topics(const ControlNode& node) {
  std::string text;
  for (const auto& topic : node.image().topics) {
    text += (text.empty() ? "" : " ") + topic->name + "/" +
            std::to_string(topic->partitions.size());
  }
  return text;
}

// A node that is up, with a disk of its own.
struct ReadyNode {
  explicit ReadyNode(const Limits& limits = {}) : node(disk, limits) {
    node.run();
    EXPECT_TRUE(node.plane().ready()) << node.plane().why();
  }
  test::FakeDisk disk;
  ControlNode node;
};

}  // namespace tailrace::control
