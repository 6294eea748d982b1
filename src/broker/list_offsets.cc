// ListOffsets: the offset for a time, or for one of the special values below zero.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/list_offsets.h"

namespace tailrace::broker {
namespace {

using Body = kafka::ListOffsetsRequest;
using Answer = kafka::ListOffsetsResponse;
using Topic = Answer::ListOffsetsTopicResponse;
using Partition = Topic::ListOffsetsPartitionResponse;

// The version that brought each special value; INT16_MAX for one that there is not.
std::int16_t first_version_of(std::int64_t timestamp) {
  if (timestamp >= -2) return 0;
  if (timestamp == -3) return 7;
  if (timestamp == -4) return 8;
  if (timestamp == -5) return 9;
  if (timestamp == -6) return 11;
  return INT16_MAX;
}

// The partitions that a topic names, in order: those that it names twice stand side by side.
std::span<std::int32_t> sorted_indexes(Core& core, Request& request,
                                       const Body::ListOffsetsTopic& topic) {
  const auto indexes = take_array<std::int32_t>(core, request, topic.partitions.size());
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    indexes[i] = topic.partitions[i].partition_index;
  }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

bool is_named_twice(std::span<const std::int32_t> sorted, std::int32_t index) {
  const auto first = std::lower_bound(sorted.begin(), sorted.end(), index);
  return sorted.end() - first > 1 && first[1] == index;
}

Extent extent_of(const Body& body) {
  Extent extent{.topic_count = body.topics.size()};
  for (const auto& topic : body.topics) {
    extent.item_count += topic.partitions.size();
    extent.name_bytes += topic.name.size();
  }
  return extent;
}

}  // namespace

Started start_list_offsets(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const Started allocated = allocate_state(core, request, extent_of(body));
  if (allocated != Started::yes) return allocated;
  StateBuilder builder(request);
  for (const auto& topic : body.topics) {
    const AskedTopic& asked = builder.add_topic(topic.name, {});
    const bus::TopicImage* image = find_topic(core, asked, false);
    const auto sorted = sorted_indexes(core, request, topic);
    if (request.close_connection) return Started::close;
    for (const auto& partition : topic.partitions) {
      TaskItem& item = builder.add_item(partition.partition_index);
      item.timestamp = partition.timestamp;
      if (is_named_twice(sorted, partition.partition_index)) {
        item.error = kafka::ErrorCode::invalid_request;
      } else if (request.api_version < first_version_of(partition.timestamp)) {
        item.error = kafka::ErrorCode::unsupported_version;
      } else {
        assign(core, request, item, image, false, partition.current_leader_epoch);
      }
    }
  }
  submit_tasks(core, request, TaskKind::list_offsets, now);
  return Started::yes;
}

bool build_list_offsets_answer(Core& core, Request& request) {
  Answer response;
  response.topics = take_array<Topic>(core, request, request.topics.size());
  for (std::size_t i = 0; i < response.topics.size(); ++i) {
    const AskedTopic& asked = request.topics[i];
    response.topics[i].name = asked.name;
    response.topics[i].partitions = take_array<Partition>(core, request, asked.item_count);
    for (std::size_t k = 0; k < response.topics[i].partitions.size(); ++k) {
      const TaskItem& item = request.items[asked.item_first + k];
      Partition& out = response.topics[i].partitions[k];
      out.partition_index = item.partition_index;
      out.error_code = to_wire(item.error);
      out.timestamp = item.answer_timestamp;
      out.offset = item.answer_offset;
      out.leader_epoch = item.answer_epoch;
      if (item.error != kafka::ErrorCode::none) core.counters.error_responses.add();
    }
  }
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
