// DescribeProducers: who writes to a partition, and whose transactions are open in it.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/describe_producers.h"

namespace tailrace::broker {
namespace {

using Body = kafka::DescribeProducersRequest;
using Asked = Body::TopicRequest;
using Answer = kafka::DescribeProducersResponse;
using Topic = Answer::TopicResponse;
using Partition = Topic::PartitionResponse;

void fill_partition(Core& core, Request& request, const TaskItem& item, Partition& out) {
  out.partition_index = item.partition_index;
  out.error_code = to_wire(item.error);
  const auto producers =
      take_array<Partition::ProducerState>(core, request, item.producers.size());
  for (std::size_t i = 0; i < producers.size(); ++i) {
    const ActiveProducer& producer = item.producers[i];
    producers[i] = {.producer_id = producer.producer_id,
                    .producer_epoch = producer.epoch,
                    .last_sequence = producer.last_sequence,
                    .last_timestamp = producer.last_timestamp,
                    .coordinator_epoch = producer.coordinator_epoch,
                    .current_txn_start_offset = producer.transaction_start};
  }
  out.active_producers = producers;
}

}  // namespace

Started start_describe_producers(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const Started allocated = allocate_state(
      core, request, extent_of(body.topics, &Asked::name, &Asked::partition_indexes));
  if (allocated != Started::yes) return allocated;
  StateBuilder builder(request);
  for (const auto& topic : body.topics) {
    const AskedTopic& asked = builder.add_topic(topic.name, {});
    const bus::TopicImage* image = find_topic(core, asked, false);
    for (const std::int32_t partition : topic.partition_indexes) {
      assign(core, request, builder.add_item(partition), image, false, -1);
    }
  }
  submit_tasks(core, request, TaskKind::describe_producers, now);
  return Started::yes;
}

bool build_producers_answer(Core& core, Request& request) {
  Answer response;
  response.topics = answer_items(
      core, request, &Topic::name, &Topic::partitions,
      [&](const TaskItem& item, Partition& out) { fill_partition(core, request, item, out); });
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
