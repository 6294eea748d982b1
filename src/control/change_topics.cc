// DeleteTopics and CreatePartitions.
#include <fmt/format.h>

#include <map>
#include <set>

#include "control/internal_topics.h"
#include "control/placement.h"
#include "control/request_context.h"
#include "control/topic_rules.h"
#include "kafka/gen/create_partitions.h"
#include "kafka/gen/delete_topics.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// The first versions with THROTTLING_QUOTA_EXCEEDED.
constexpr std::int16_t delete_strict_from = 5;
constexpr std::int16_t grow_strict_from = 3;

// ---------------------------------------------------------------- DeleteTopics

using DeleteRequest = kafka::DeleteTopicsRequest;
using DeleteResponse = kafka::DeleteTopicsResponse;

class Deleter {
 public:
  explicit Deleter(RequestContext& context) : context_(context) {}

  Outcome run(const DeleteRequest& request) {
    // Version 6 names topics by name or id; before there are only names.
    for (const auto& topic : request.topics) count(topic.name, topic.topic_id);
    for (const std::string_view name : request.topic_names) count(name, Uuid{});
    std::vector<DeleteResponse::DeletableTopicResult> results;
    for (const auto& topic : request.topics) results.push_back(remove(topic.name, topic.topic_id));
    for (const std::string_view name : request.topic_names) results.push_back(remove(name, Uuid{}));
    DeleteResponse response;
    response.responses = results;
    return context_.answer(response);
  }

 private:
  void count(const kafka::NullableString& name, const Uuid& id) {
    if (!name.is_null()) ++names_[name.value];
    if (!id.is_zero()) ++ids_[id];
  }

  DeleteResponse::DeletableTopicResult remove(const kafka::NullableString& name, const Uuid& id) {
    DeleteResponse::DeletableTopicResult result;
    result.name = name;
    result.topic_id = id;
    const Topic* topic = nullptr;
    Refusal refusal = context_.refuse_all;
    if (!refusal.refused()) refusal = find(name, id, topic);
    if (!refusal.refused()) {
      result.name = std::string_view(topic->name);
      result.topic_id = topic->id;
      refusal = context_.count_mutations(topic->partitions.size(), delete_strict_from);
    }
    if (!refusal.refused()) {
      refusal = context_.commit(TopicDeletedRecord{topic->id}, false);
    }
    // Only version 6 may leave the name out.
    if (result.name.is_null() && context_.request.api_version < 6) result.name = "";
    result.error_code = refusal.wire_code();
    result.error_message = context_.text(std::move(refusal.message));
    return result;
  }

  Refusal find(const kafka::NullableString& name, const Uuid& id, const Topic*& topic) {
    if (!name.is_null() && !id.is_zero()) {
      return {ErrorCode::invalid_request, "You may not specify both topic name and topic id."};
    }
    if (name.is_null() && id.is_zero()) {
      return {ErrorCode::invalid_request, "Neither topic name nor id were specified."};
    }
    if (!name.is_null() && names_[name.value] > 1) {
      return {ErrorCode::invalid_request, "Duplicate topic name."};
    }
    if (name.is_null() && ids_[id] > 1) return {ErrorCode::invalid_request, "Duplicate topic id."};
    topic = name.is_null() ? context_.state.find_topic(id)
                           : context_.state.find_topic(name.value);
    if (topic == nullptr && name.is_null()) {
      return {ErrorCode::unknown_topic_id, "This server does not host this topic ID."};
    }
    if (topic == nullptr) {
      return {ErrorCode::unknown_topic_or_partition,
              "This server does not host this topic-partition."};
    }
    if (!deleted_.insert(topic->id).second) {
      return {ErrorCode::invalid_request,
              "The provided topic name maps to an ID that was already supplied."};
    }
    return {};
  }

  RequestContext& context_;
  std::map<std::string_view, int> names_;
  std::map<Uuid, int> ids_;
  std::set<Uuid> deleted_;
};

// ---------------------------------------------------------------- CreatePartitions

using GrowRequest = kafka::CreatePartitionsRequest;
using GrowResponse = kafka::CreatePartitionsResponse;
using Wanted = GrowRequest::CreatePartitionsTopic;

class Grower {
 public:
  explicit Grower(RequestContext& context) : context_(context) {}

  Outcome run(const GrowRequest& request) {
    std::map<std::string_view, int> counts;
    for (const Wanted& wanted : request.topics) ++counts[wanted.name];
    std::vector<GrowResponse::CreatePartitionsTopicResult> results;
    for (const Wanted& wanted : request.topics) {
      Refusal refusal = context_.refuse_all;
      if (!refusal.refused() && counts[wanted.name] > 1) {
        refusal = {ErrorCode::invalid_request, "Duplicate topic name."};
      }
      if (!refusal.refused()) refusal = grow(wanted, request.validate_only);
      auto& result = results.emplace_back();
      result.name = wanted.name;
      result.error_code = refusal.wire_code();
      result.error_message = context_.text(std::move(refusal.message));
    }
    GrowResponse response;
    response.results = results;
    return context_.answer(response);
  }

 private:
  Refusal grow(const Wanted& wanted, bool validate_only) {
    const Topic* topic = context_.state.find_topic(wanted.name);
    if (topic == nullptr) {
      return {ErrorCode::unknown_topic_or_partition,
              "This server does not host this topic-partition."};
    }
    if (topic->name == offsets_topic_name) {
      // A group's partition follows from their number: with another one it would not be found.
      return {ErrorCode::invalid_partitions,
              "The number of partitions for the offsets topic cannot be changed."};
    }
    const auto now = static_cast<std::int64_t>(topic->partitions.size());
    if (wanted.count == now) {
      return {ErrorCode::invalid_partitions,
              fmt::format("Topic already has {} partition(s).", now)};
    }
    if (wanted.count < now) {
      return {ErrorCode::invalid_partitions,
              fmt::format("The topic {} currently has {} partition(s); {} would not be an "
                          "increase.", wanted.name, now, wanted.count)};
    }
    const auto added = static_cast<std::size_t>(wanted.count - now);
    if (Refusal full = check_partition_total(context_, planned_, added); full.refused()) {
      return full;
    }
    PartitionsAddedRecord record{topic->id, {}};
    Refusal refusal = wanted.assignments.is_null() ? place(*topic, added, record)
                                                   : assign(wanted, *topic, added, record);
    if (refusal.refused() || validate_only) return refusal;
    refusal = context_.count_mutations(added, grow_strict_from);
    if (refusal.refused()) return refusal;
    planned_ += added;
    return context_.commit(record, true);
  }

  // Goes on with as many replicas as the topic has.
  Refusal place(const Topic& topic, std::size_t added, PartitionsAddedRecord& record) {
    const std::vector<bus::NodeId> nodes = node_ids(context_.state);
    const std::size_t replicas = topic.partitions.front().replicas.size();
    if (replicas > nodes.size()) {
      return {ErrorCode::invalid_replication_factor,
              fmt::format("Unable to replicate the partition {} time(s): The target replication "
                          "factor of {} cannot be reached because only {} broker(s) are "
                          "registered.", replicas, replicas, nodes.size())};
    }
    for (auto& placed : place_partitions(nodes, added, replicas, topic.partitions.size())) {
      record.partitions.push_back(new_partition(std::move(placed)));
    }
    return {};
  }

  Refusal assign(const Wanted& wanted, const Topic& topic, std::size_t added,
                 PartitionsAddedRecord& record) {
    const auto assignments = wanted.assignments.items;
    if (assignments.size() != added) {
      return {ErrorCode::invalid_replica_assignment,
              fmt::format("Attempted to add {} additional partition(s), but only {} assignment(s) "
                          "were specified.", added, assignments.size())};
    }
    for (const auto& assignment : assignments) {
      Refusal refusal = check_replicas(context_.state, assignment.broker_ids,
                                       topic.partitions.front().replicas.size());
      if (refusal.refused()) return refusal;
      record.partitions.push_back(
          new_partition({assignment.broker_ids.begin(), assignment.broker_ids.end()}));
    }
    return {};
  }

  RequestContext& context_;
  std::uint64_t planned_ = 0;
};

}  // namespace

Outcome delete_topics(RequestContext& context) {
  const Result<DeleteRequest> request = context.decode<DeleteRequest>();
  if (!request) return context.cannot_decode();
  return Deleter(context).run(*request);
}

Outcome create_partitions(RequestContext& context) {
  const Result<GrowRequest> request = context.decode<GrowRequest>();
  if (!request) return context.cannot_decode();
  return Grower(context).run(*request);
}

}  // namespace tailrace::control
