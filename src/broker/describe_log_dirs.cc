// DescribeLogDirs: how much disk each partition uses, gathered from the cores.
#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/describe_log_dirs.h"

namespace tailrace::broker {
namespace {

using Body = kafka::DescribeLogDirsRequest;
using Answer = kafka::DescribeLogDirsResponse;
using Dir = Answer::DescribeLogDirsResult;
using Topic = Dir::DescribeLogDirsTopic;
using Partition = Topic::DescribeLogDirsPartition;

Extent extent_of(const Core& core, const Body& body) {
  Extent extent;
  if (!body.topics.is_null()) {
    extent.topic_count = body.topics.items.size();
    for (const auto& topic : body.topics.items) {
      extent.item_count += topic.partitions.size();
      extent.name_bytes += topic.topic.size();
    }
    return extent;
  }
  extent.topic_count = core.image->topics.size();
  for (const auto& topic : core.image->topics) {
    extent.item_count += topic->partitions.size();
    extent.name_bytes += topic->name.size();
  }
  return extent;
}

void add_all(Core& core, Request& request) {
  StateBuilder builder(request);
  for (const auto& topic : core.image->topics) {
    builder.add_topic(topic->name, topic->id);
    for (const bus::PartitionImage& partition : topic->partitions) {
      assign(core, request, builder.add_item(partition.index), topic.get(), false, -1);
    }
  }
}

void add_asked(Core& core, Request& request, const Body& body) {
  StateBuilder builder(request);
  for (const auto& topic : body.topics.items) {
    const AskedTopic& asked = builder.add_topic(topic.topic, {});
    const bus::TopicImage* image = find_topic(core, asked, false);
    for (const std::int32_t partition : topic.partitions) {
      assign(core, request, builder.add_item(partition), image, false, -1);
    }
  }
}

// Partitions that are not here are not told.
std::size_t fill_topic(Core& core, Request& request, const AskedTopic& asked, Topic& out) {
  out.name = asked.name;
  const auto partitions = take_array<Partition>(core, request, asked.item_count);
  std::size_t count = 0;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const TaskItem& item = request.items[asked.item_first + i];
    if (item.error != kafka::ErrorCode::none) continue;
    partitions[count++] = {.partition_index = item.partition_index,
                           .partition_size = static_cast<std::int64_t>(item.bytes)};
  }
  out.partitions = partitions.first(count);
  return count;
}

}  // namespace

Started start_describe_log_dirs(Core& core, Call& call, Now now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  const Started allocated = allocate_state(core, call.request, extent_of(core, body));
  if (allocated != Started::yes) return allocated;
  if (body.topics.is_null()) {
    add_all(core, call.request);
  } else {
    add_asked(core, call.request, body);
  }
  submit_tasks(core, call.request, TaskKind::log_size, now);
  return Started::yes;
}

bool build_log_dirs_answer(Core& core, Request& request) {
  Answer response;
  response.results = take_array<Dir>(core, request, 1);
  for (Dir& dir : response.results) {
    dir.log_dir = core.config.log_dir;
    if (core.disk_total_bytes > 0) {
      dir.total_bytes = static_cast<std::int64_t>(core.disk_total_bytes);
      dir.usable_bytes = static_cast<std::int64_t>(core.disk_usable_bytes);
    }
    const auto topics = take_array<Topic>(core, request, request.topics.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < topics.size(); ++i) {
      if (fill_topic(core, request, request.topics[i], topics[count]) > 0) ++count;
    }
    dir.topics = topics.first(count);
  }
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
