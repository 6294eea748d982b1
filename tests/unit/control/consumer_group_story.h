// A group of the consumer protocol and clients that behave as consumers do: what they are told not
// to have any more they give up, and say so in their next heartbeat.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "control/consumer_group.h"

namespace tailrace::control {

class ConsumerStory {
 public:
  struct Client {
    std::string id;
    std::int32_t epoch = 0;
    Assignment owned;
    std::vector<std::string> topics{"orders"};
    std::string instance_id;
    std::string assignor;
    std::string regex;
    bool has_news = true;      // tells everything in its next heartbeat
  };

  explicit ConsumerStory(std::int32_t partitions = 4) {
    EXPECT_TRUE(state.apply(NodeRecord{.id = 1}));
    add_topic("orders", partitions);
  }
  void add_topic(std::string name, std::int32_t partitions) {
    TopicRecord topic{.id = {}, .name = std::move(name)};
    topic.id.bytes[0] = ++topic_number_;
    topic.partitions.resize(static_cast<std::size_t>(partitions),
                            {.leader = 1, .replicas = {1}, .isr = {1}});
    EXPECT_TRUE(state.apply(topic));
    group.on_new_image();
  }
  void grow(const std::string& name, std::size_t count) {
    PartitionsAddedRecord more{.topic = state.find_topic(name)->id};
    more.partitions.resize(count, {.leader = 1, .replicas = {1}, .isr = {1}});
    EXPECT_TRUE(state.apply(more));
    group.on_new_image();
  }

  Client& client(const std::string& id) {
    Client& made = clients[id];
    made.id = id;
    return made;
  }
  ConsumerAsk ask(const Client& from) const {
    ConsumerAsk made;
    made.member_id = from.id;
    made.epoch = from.epoch;
    if (!from.instance_id.empty()) made.instance_id = from.instance_id;
    made.owned = from.owned;
    if (!from.has_news) return made;
    made.rebalance_timeout_ms = 60'000;
    made.topics = from.topics;
    if (!from.regex.empty()) made.regex = from.regex;
    if (!from.assignor.empty()) made.assignor = from.assignor;
    return made;
  }
  // A heartbeat; gives the error, or the client's epoch and partitions: "2: orders-0 orders-1".
  std::string beat(const std::string& id) {
    Client& from = client(id);
    const ConsumerAnswer answer = group.heartbeat(ask(from), state, now);
    if (answer.error != kafka::ErrorCode::none) {
      return "error " + std::to_string(to_wire(answer.error));
    }
    from.has_news = false;
    from.epoch = answer.epoch;
    if (answer.assigned) from.owned = *answer.assigned;
    return text(from);
  }
  std::string text(const Client& from) const {
    std::string line = std::to_string(from.epoch) + ":";
    for (const TopicPartition& at : from.owned) {
      line += " " + state.find_topic(at.topic)->name + "-" + std::to_string(at.partition);
    }
    return line;
  }
  std::string leave(const std::string& id, std::int32_t epoch = epoch_leave) {
    Client& from = client(id);
    ConsumerAsk made = ask(from);
    made.epoch = epoch;
    const ConsumerAnswer answer = group.heartbeat(made, state, now);
    clients.erase(id);
    return std::to_string(to_wire(answer.error)) + "/" + std::to_string(answer.epoch);
  }
  // Heartbeats of all, until nothing changes any more.
  void settle() {
    for (int round = 0; round < 20; ++round) {
      for (auto& [id, one] : clients) {
        beat(id);
        expect_one_owner();
      }
    }
  }
  void expect_one_owner() const {
    std::map<TopicPartition, std::string> owners;
    for (const auto& [id, one] : clients) {
      for (const TopicPartition& at : one.owned) {
        const auto [known, is_new] = owners.emplace(at, id);
        EXPECT_TRUE(is_new) << known->second << " and " << id << " have " << at.partition;
      }
    }
  }
  void pass(Duration time) {
    now.instant = now.instant + time;
    group.step(state, now);
  }
  // The same from its records.
  void restart() {
    for (LogAppender::Record& record : group.take_records()) {
      std::string key(as_text(record.key));
      if (record.is_tombstone) log.erase(key);
      else log[key] = record.value;
    }
    group = ConsumerGroup("g", rules);
    for (const auto& [bytes, value] : log) {
      const auto key = parse_record_key(as_bytes(bytes));
      ASSERT_TRUE(key);
      switch (key->kind) {
        case RecordKey::Kind::consumer_group: group.load(*parse_consumer_group(value)); break;
        case RecordKey::Kind::consumer_member: {
          const auto member = parse_consumer_member(value);
          group.load_member(key->member, &*member);
          break;
        }
        case RecordKey::Kind::target_epoch:
          group.load_target_epoch(*parse_target_epoch(value));
          break;
        case RecordKey::Kind::target: {
          const auto target = parse_target(value);
          group.load_target(key->member, &*target);
          break;
        }
        case RecordKey::Kind::current_assignment: {
          const auto current = parse_current_assignment(value);
          group.load_current(key->member, &*current);
          break;
        }
        case RecordKey::Kind::offset:
        case RecordKey::Kind::group:
        case RecordKey::Kind::other: FAIL() << "not of this group";
      }
    }
    group.finish_load(state, now);
  }

  ConsumerGroupRules rules{.members_max = 4, .session_timeout = seconds(45)};
  ClusterState state;
  ConsumerGroup group{"g", rules};
  std::map<std::string, Client> clients;
  std::map<std::string, ByteString> log;
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};

 private:
  std::uint8_t topic_number_ = 0;
};

}  // namespace tailrace::control
