// All messages of the protocol as types, for tests that go over every API and version.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "kafka/apis.h"
#include "kafka/gen/add_offsets_to_txn.h"
#include "kafka/gen/add_partitions_to_txn.h"
#include "kafka/gen/alter_client_quotas.h"
#include "kafka/gen/alter_configs.h"
#include "kafka/gen/alter_partition_reassignments.h"
#include "kafka/gen/alter_replica_log_dirs.h"
#include "kafka/gen/api_versions.h"
#include "kafka/gen/consumer_group_describe.h"
#include "kafka/gen/consumer_group_heartbeat.h"
#include "kafka/gen/create_partitions.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/delete_groups.h"
#include "kafka/gen/delete_records.h"
#include "kafka/gen/delete_topics.h"
#include "kafka/gen/describe_client_quotas.h"
#include "kafka/gen/describe_cluster.h"
#include "kafka/gen/describe_configs.h"
#include "kafka/gen/describe_groups.h"
#include "kafka/gen/describe_log_dirs.h"
#include "kafka/gen/describe_producers.h"
#include "kafka/gen/describe_transactions.h"
#include "kafka/gen/end_txn.h"
#include "kafka/gen/describe_quorum.h"
#include "kafka/gen/describe_topic_partitions.h"
#include "kafka/gen/elect_leaders.h"
#include "kafka/gen/fetch.h"
#include "kafka/gen/find_coordinator.h"
#include "kafka/gen/heartbeat.h"
#include "kafka/gen/incremental_alter_configs.h"
#include "kafka/gen/init_producer_id.h"
#include "kafka/gen/join_group.h"
#include "kafka/gen/leave_group.h"
#include "kafka/gen/list_config_resources.h"
#include "kafka/gen/list_groups.h"
#include "kafka/gen/list_offsets.h"
#include "kafka/gen/list_transactions.h"
#include "kafka/gen/list_partition_reassignments.h"
#include "kafka/gen/metadata.h"
#include "kafka/gen/offset_commit.h"
#include "kafka/gen/offset_delete.h"
#include "kafka/gen/offset_fetch.h"
#include "kafka/gen/offset_for_leader_epoch.h"
#include "kafka/gen/produce.h"
#include "kafka/gen/sync_group.h"
#include "kafka/gen/txn_offset_commit.h"
#include "kafka/gen/write_txn_markers.h"
#include "kafka/gen/unregister_broker.h"
#include "kafka/gen/update_features.h"

namespace tailrace::test {

// Calls `visit` with a null pointer to the message type of the API, to be a tag of it.
template <class Visit>
void visit_message(kafka::ApiKey key, bool is_request, Visit visit) {
  using namespace kafka;
#define TR_MESSAGE(api, Name)                              \
  case ApiKey::api:                                        \
    if (is_request) visit(static_cast<Name##Request*>(nullptr)); \
    else visit(static_cast<Name##Response*>(nullptr));     \
    break;
  switch (key) {
    TR_MESSAGE(produce, Produce)
    TR_MESSAGE(fetch, Fetch)
    TR_MESSAGE(list_offsets, ListOffsets)
    TR_MESSAGE(metadata, Metadata)
    TR_MESSAGE(offset_commit, OffsetCommit)
    TR_MESSAGE(offset_fetch, OffsetFetch)
    TR_MESSAGE(find_coordinator, FindCoordinator)
    TR_MESSAGE(join_group, JoinGroup)
    TR_MESSAGE(heartbeat, Heartbeat)
    TR_MESSAGE(leave_group, LeaveGroup)
    TR_MESSAGE(sync_group, SyncGroup)
    TR_MESSAGE(consumer_group_heartbeat, ConsumerGroupHeartbeat)
    TR_MESSAGE(consumer_group_describe, ConsumerGroupDescribe)
    TR_MESSAGE(describe_groups, DescribeGroups)
    TR_MESSAGE(list_groups, ListGroups)
    TR_MESSAGE(api_versions, ApiVersions)
    TR_MESSAGE(create_topics, CreateTopics)
    TR_MESSAGE(delete_topics, DeleteTopics)
    TR_MESSAGE(delete_records, DeleteRecords)
    TR_MESSAGE(init_producer_id, InitProducerId)
    TR_MESSAGE(offset_for_leader_epoch, OffsetForLeaderEpoch)
    TR_MESSAGE(add_partitions_to_txn, AddPartitionsToTxn)
    TR_MESSAGE(add_offsets_to_txn, AddOffsetsToTxn)
    TR_MESSAGE(end_txn, EndTxn)
    TR_MESSAGE(write_txn_markers, WriteTxnMarkers)
    TR_MESSAGE(txn_offset_commit, TxnOffsetCommit)
    TR_MESSAGE(describe_configs, DescribeConfigs)
    TR_MESSAGE(alter_configs, AlterConfigs)
    TR_MESSAGE(describe_log_dirs, DescribeLogDirs)
    TR_MESSAGE(create_partitions, CreatePartitions)
    TR_MESSAGE(delete_groups, DeleteGroups)
    TR_MESSAGE(incremental_alter_configs, IncrementalAlterConfigs)
    TR_MESSAGE(offset_delete, OffsetDelete)
    TR_MESSAGE(describe_cluster, DescribeCluster)
    TR_MESSAGE(describe_producers, DescribeProducers)
    TR_MESSAGE(describe_transactions, DescribeTransactions)
    TR_MESSAGE(list_transactions, ListTransactions)
    TR_MESSAGE(alter_replica_log_dirs, AlterReplicaLogDirs)
    TR_MESSAGE(elect_leaders, ElectLeaders)
    TR_MESSAGE(alter_partition_reassignments, AlterPartitionReassignments)
    TR_MESSAGE(list_partition_reassignments, ListPartitionReassignments)
    TR_MESSAGE(describe_client_quotas, DescribeClientQuotas)
    TR_MESSAGE(alter_client_quotas, AlterClientQuotas)
    TR_MESSAGE(describe_quorum, DescribeQuorum)
    TR_MESSAGE(update_features, UpdateFeatures)
    TR_MESSAGE(unregister_broker, UnregisterBroker)
    TR_MESSAGE(list_config_resources, ListConfigResources)
    TR_MESSAGE(describe_topic_partitions, DescribeTopicPartitions)
  }
#undef TR_MESSAGE
}

template <class Message>
std::string encoded(const Message& message, std::int16_t version) {
  kafka::Writer counter = kafka::Writer::counter();
  message.encode(counter, version);
  std::string bytes(counter.size(), '\0');
  kafka::Writer out({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
  message.encode(out, version);
  TR_ASSERT(!out.overflowed());
  TR_ASSERT(out.size() == bytes.size());  // The counter and the writer agree.
  return bytes;
}

// A line of what tests/support/kafka_samples.py made.
struct Sample {
  kafka::ApiKey key;
  bool is_request;
  std::int16_t version;
  std::string bytes;
};

inline std::vector<Sample> read_samples(const std::string& path) {
  std::vector<Sample> samples;
  std::ifstream file(path);
  int key = 0;
  int version = 0;
  std::string direction;
  while (file >> key >> direction >> version) {
    file.get();  // One space; an empty message has nothing behind it.
    std::string hex;
    std::getline(file, hex);
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes += static_cast<char>(std::strtol(hex.substr(i, 2).c_str(), nullptr, 16));
    }
    samples.push_back({static_cast<kafka::ApiKey>(key), direction == "request",
                       static_cast<std::int16_t>(version), bytes});
  }
  return samples;
}

}  // namespace tailrace::test
