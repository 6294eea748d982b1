// OffsetForLeaderEpoch: where an epoch ended, for clients that look for truncation (KIP-320).
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/offset_for_leader_epoch.h"

namespace tailrace::broker {
namespace {

using Body = kafka::OffsetForLeaderEpochRequest;
using Answer = kafka::OffsetForLeaderEpochResponse;
using Topic = Answer::OffsetForLeaderTopicResult;
using Partition = Topic::EpochEndOffset;

Extent extent_of(const Body& body) {
  Extent extent{.topic_count = body.topics.size()};
  for (const auto& topic : body.topics) {
    extent.item_count += topic.partitions.size();
    extent.name_bytes += topic.topic.size();
  }
  return extent;
}

}  // namespace

Started start_offset_for_leader_epoch(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const Started allocated = allocate_state(core, request, extent_of(body));
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
  response.topics = take_array<Topic>(core, request, request.topics.size());
  for (std::size_t i = 0; i < response.topics.size(); ++i) {
    const AskedTopic& asked = request.topics[i];
    response.topics[i].topic = asked.name;
    response.topics[i].partitions = take_array<Partition>(core, request, asked.item_count);
    for (std::size_t k = 0; k < response.topics[i].partitions.size(); ++k) {
      const TaskItem& item = request.items[asked.item_first + k];
      Partition& out = response.topics[i].partitions[k];
      out.partition = item.partition_index;
      out.error_code = to_wire(item.error);
      out.leader_epoch = item.answer_epoch;
      out.end_offset = item.answer_offset;
      if (item.error != kafka::ErrorCode::none) core.counters.error_responses.add();
    }
  }
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
