// DeleteRecords: moves the start of logs forward; answered when that is durable.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/delete_records.h"

namespace tailrace::broker {
namespace {

using Body = kafka::DeleteRecordsRequest;
using Answer = kafka::DeleteRecordsResponse;
using Topic = Answer::DeleteRecordsTopicResult;
using Partition = Topic::DeleteRecordsPartitionResult;

Extent extent_of(const Body& body) {
  Extent extent{.topic_count = body.topics.size()};
  for (const auto& topic : body.topics) {
    extent.item_count += topic.partitions.size();
    extent.name_bytes += topic.name.size();
  }
  return extent;
}

}  // namespace

Started start_delete_records(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const Started allocated = allocate_state(core, request, extent_of(body));
  if (allocated != Started::yes) return allocated;
  StateBuilder builder(request);
  for (const auto& topic : body.topics) {
    const AskedTopic& asked = builder.add_topic(topic.name, {});
    const bus::TopicImage* image = find_topic(core, asked, false);
    for (const auto& partition : topic.partitions) {
      TaskItem& item = builder.add_item(partition.partition_index);
      item.offset = partition.offset;
      if (image != nullptr && image->is_internal) {
        item.error = kafka::ErrorCode::invalid_topic;
      } else {
        assign(core, request, item, image, false, -1);
      }
    }
  }
  set_deadline(core, request, now.instant + milliseconds(std::max(body.timeout_ms, 0)));
  submit_tasks(core, request, TaskKind::delete_records, now);
  return Started::yes;
}

bool build_delete_records_answer(Core& core, Request& request) {
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
      const bool failed = item.error != kafka::ErrorCode::none;
      out.low_watermark = failed ? -1 : item.log_start;
      if (failed) core.counters.error_responses.add();
    }
  }
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
