// DeleteRecords: moves the start of logs forward; answered when that is durable.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/delete_records.h"

namespace tailrace::broker {
namespace {

using Body = kafka::DeleteRecordsRequest;
using Asked = Body::DeleteRecordsTopic;
using Answer = kafka::DeleteRecordsResponse;
using Topic = Answer::DeleteRecordsTopicResult;
using Partition = Topic::DeleteRecordsPartitionResult;

}  // namespace

Started start_delete_records(Core& core, Call& call, Now now) {
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
  set_deadline(core, request, now.instant + durability_wait(body.timeout_ms));
  submit_tasks(core, request, TaskKind::delete_records, now);
  return Started::yes;
}

bool build_delete_records_answer(Core& core, Request& request) {
  Answer response;
  response.topics = answer_items(
      core, request, &Topic::name, &Topic::partitions, [](const TaskItem& item, Partition& out) {
        out.partition_index = item.partition_index;
        out.error_code = to_wire(item.error);
        out.low_watermark = item.error == kafka::ErrorCode::none ? item.log_start : -1;
      });
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
