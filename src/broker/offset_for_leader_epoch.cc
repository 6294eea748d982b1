// OffsetForLeaderEpoch: where an epoch ended, for clients that look for truncation (KIP-320).
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/offset_for_leader_epoch.h"

namespace tailrace::broker {
namespace {

using Body = kafka::OffsetForLeaderEpochRequest;
using Asked = Body::OffsetForLeaderTopic;
using Answer = kafka::OffsetForLeaderEpochResponse;
using Topic = Answer::OffsetForLeaderTopicResult;
using Partition = Topic::EpochEndOffset;

}  // namespace

Started start_offset_for_leader_epoch(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const Started allocated = allocate_state(
      core, request, extent_of(body.topics, &Asked::topic, &Asked::partitions));
  if (allocated != Started::yes) return allocated;
  StateBuilder builder(request);
  for (const auto& topic : body.topics) {
    const AskedTopic& asked = builder.add_topic(topic.topic, {});
    const bus::TopicImage* image = find_topic(core, asked, false);
    for (const auto& partition : topic.partitions) {
      TaskItem& item = builder.add_item(partition.partition);
      item.epoch = partition.leader_epoch;
      assign(core, request, item, image, false, partition.current_leader_epoch);
    }
  }
  submit_tasks(core, request, TaskKind::epoch_end, now);
  return Started::yes;
}

bool build_epoch_answer(Core& core, Request& request) {
  Answer response;
  response.topics = answer_items(
      core, request, &Topic::topic, &Topic::partitions, [](const TaskItem& item, Partition& out) {
        out.partition = item.partition_index;
        out.error_code = to_wire(item.error);
        out.leader_epoch = item.answer_epoch;
        out.end_offset = item.answer_offset;
      });
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
