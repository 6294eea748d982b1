// AlterReplicaLogDirs: moves a replica to another directory of its node. There is one directory,
// so a replica is where it is to go, or the directory is not one of ours.
#include "broker/answer.h"
#include "kafka/gen/alter_replica_log_dirs.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using Body = kafka::AlterReplicaLogDirsRequest;
using Answer = kafka::AlterReplicaLogDirsResponse;
using Topic = Answer::AlterReplicaLogDirTopicResult;
using Partition = Topic::AlterReplicaLogDirPartitionResult;

bool has_replica(const Core& core, const bus::TopicImage* topic, std::int32_t index) {
  if (topic == nullptr || index < 0) return false;
  if (static_cast<std::size_t>(index) >= topic->partitions.size()) return false;
  const auto& replicas = topic->partitions[static_cast<std::size_t>(index)].replicas;
  return std::find(replicas.begin(), replicas.end(), core.image->node_id) != replicas.end();
}

ErrorCode error_of(const Core& core, std::string_view path, const bus::TopicImage* topic,
                   std::int32_t index) {
  if (path != core.config.log_dir) return ErrorCode::log_dir_not_found;
  return has_replica(core, topic, index) ? ErrorCode::none : ErrorCode::replica_not_available;
}

}  // namespace

Started start_alter_replica_log_dirs(Core& core, Call& call, Now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  std::size_t topic_count = 0;
  for (const auto& dir : body.dirs) topic_count += dir.topics.size();
  const auto results = take_array<Topic>(core, call.request, topic_count);
  std::size_t at = 0;
  for (const auto& dir : body.dirs) {
    for (const auto& asked : dir.topics) {
      if (at == results.size()) break;
      Topic& out = results[at++];
      out.topic_name = asked.name;
      out.partitions = take_array<Partition>(core, call.request, asked.partitions.size());
      const bus::TopicImage* topic = core.image->find_topic(asked.name);
      for (std::size_t i = 0; i < out.partitions.size(); ++i) {
        const ErrorCode error = error_of(core, dir.path, topic, asked.partitions[i]);
        out.partitions[i] = {asked.partitions[i], to_wire(error)};
      }
    }
  }
  Answer response;
  response.results = results;
  return answer_now(core, call, response);
}

}  // namespace tailrace::broker
