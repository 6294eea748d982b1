// ListOffsets: the offset for a time, or for one of the special values below zero.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/list_offsets.h"

namespace tailrace::broker {
namespace {

using Body = kafka::ListOffsetsRequest;
using Asked = Body::ListOffsetsTopic;
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
std::span<std::int32_t> sorted_indexes(Core& core, Request& request, const Asked& topic) {
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

}  // namespace

Started start_list_offsets(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const Started allocated = allocate_state(
      core, request, extent_of(body.topics, &Asked::name, &Asked::partitions));
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
  for (Task& task : request.tasks) task.read_committed = body.isolation_level == 1;
  submit_tasks(core, request, TaskKind::list_offsets, now);
  return Started::yes;
}

bool build_list_offsets_answer(Core& core, Request& request) {
  Answer response;
  response.topics = answer_items(
      core, request, &Topic::name, &Topic::partitions, [](const TaskItem& item, Partition& out) {
        out.partition_index = item.partition_index;
        out.error_code = to_wire(item.error);
        out.timestamp = item.answer_timestamp;
        out.offset = item.answer_offset;
        out.leader_epoch = item.answer_epoch;
      });
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
