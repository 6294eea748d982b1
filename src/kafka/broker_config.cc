#include "kafka/broker_config.h"

#include <algorithm>

namespace tailrace::kafka {
namespace {

using T = ConfigType;

constexpr BrokerConfigDef own[] = {
    {{"advertised.listeners", T::string, "", "", 0, 0, "", "What clients are told."}},
    {{"auto.create.topics.enable", T::boolean, "true", "", 0, 0, "",
      "May a client make a topic by asking for it."}, false},
    {{"broker.id", T::int32, "0", "", 0, INT32_MAX, "", "The number of this node."}},
    {{"connections.max.idle.ms", T::int64, "600000", "", 0, INT64_MAX, "",
      "How long a silent connection is kept."}},
    {{"default.replication.factor", T::int32, "1", "", 1, INT32_MAX, "",
      "Replicas of a topic made without saying how many."}},
    {{"delete.topic.enable", T::boolean, "true", "", 0, 0, "", "May topics be deleted."}},
    {{"fetch.max.bytes", T::int32, "57671680", "", 1024, INT32_MAX, "",
      "The largest answer to a fetch."}},
    {{"group.consumer.heartbeat.interval.ms", T::int32, "5000", "", 1, INT32_MAX, "",
      "How often members of the consumer protocol are to send heartbeats."}},
    {{"group.consumer.max.heartbeat.interval.ms", T::int32, "15000", "", 1, INT32_MAX, "",
      "The longest such interval that may be set for a group."}},
    {{"group.consumer.max.session.timeout.ms", T::int32, "60000", "", 1, INT32_MAX, "",
      "The longest session that may be set for a group."}},
    {{"group.consumer.min.heartbeat.interval.ms", T::int32, "5000", "", 1, INT32_MAX, "",
      "The shortest such interval that may be set for a group."}},
    {{"group.consumer.min.session.timeout.ms", T::int32, "45000", "", 1, INT32_MAX, "",
      "The shortest session that may be set for a group."}},
    {{"group.consumer.session.timeout.ms", T::int32, "45000", "", 1, INT32_MAX, "",
      "How long a member of the consumer protocol may be silent."}},
    {{"group.initial.rebalance.delay.ms", T::int32, "3000", "", 0, INT32_MAX, "",
      "How long a new group waits for more members."}},
    {{"group.max.session.timeout.ms", T::int32, "1800000", "", 0, INT32_MAX, "",
      "The longest session a member may ask for."}},
    {{"group.max.size", T::int32, "1000", "", 1, INT32_MAX, "", "Members of one group."}},
    {{"group.min.session.timeout.ms", T::int32, "6000", "", 0, INT32_MAX, "",
      "The shortest session a member may ask for."}},
    {{"listeners", T::string, "", "", 0, 0, "", "Where clients connect."}},
    {{"log.dir", T::string, "", "", 0, 0, "", "The data directory."}},
    {{"log.dirs", T::string, "", "", 0, 0, "", "The data directory."}},
    {{"log.retention.hours", T::int32, "168", "", -1, INT32_MAX, "",
      "How long records are kept, when neither minutes nor ms are set."}},
    {{"node.id", T::int32, "0", "", 0, INT32_MAX, "", "The number of this node."}},
    {{"num.partitions", T::int32, "1", "", 1, INT32_MAX, "",
      "Partitions of a topic made without saying how many."}, false},
    {{"offset.metadata.max.bytes", T::int32, "4096", "", 0, INT32_MAX, "",
      "The longest text stored with an offset."}},
    {{"offsets.retention.check.interval.ms", T::int64, "600000", "", 1, INT64_MAX, "",
      "How often it is looked for offsets that are too old."}},
    {{"offsets.retention.minutes", T::int32, "10080", "", 1, INT32_MAX, "",
      "How long offsets of groups without members are kept."}},
    {{"offsets.topic.num.partitions", T::int32, "50", "", 1, INT32_MAX, "",
      "Partitions of the offsets topic when it is made."}},
    {{"offsets.topic.replication.factor", T::int16, "1", "", 1, INT16_MAX, "",
      "Replicas of the offsets topic."}},
    {{"process.roles", T::list, "broker,controller", "", 0, 0, "", "What this node does."}},
    {{"socket.request.max.bytes", T::int32, "104857600", "", 1, INT32_MAX, "",
      "The largest request."}},
};

std::vector<BrokerConfigDef> make_all() {
  std::vector<BrokerConfigDef> all(std::begin(own), std::end(own));
  for (const ConfigDef& topic : topic_config_defs()) {
    if (topic.broker_synonym.empty()) continue;
    ConfigDef def = topic;
    def.name = topic.broker_synonym;
    def.broker_synonym = {};
    all.push_back({def, false});
  }
  std::sort(all.begin(), all.end(), [](const BrokerConfigDef& a, const BrokerConfigDef& b) {
    return a.def.name < b.def.name;
  });
  return all;
}

}  // namespace

const std::vector<BrokerConfigDef>& broker_config_defs() {
  static const std::vector<BrokerConfigDef> all = make_all();
  return all;
}

const BrokerConfigDef* find_broker_config(std::string_view name) {
  for (const BrokerConfigDef& config : broker_config_defs()) {
    if (config.def.name == name) return &config;
  }
  return nullptr;
}

}  // namespace tailrace::kafka
