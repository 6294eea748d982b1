// ConsumerGroup: members that speak the classic protocol, and the way from it and back. A rolling
// upgrade has both kinds in one group; the last one of the newer kind turns it back.
#include <algorithm>
#include <set>

#include "control/consumer_group.h"
#include "control/consumer_protocol.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Kind = RecordKey::Kind;

constexpr std::string_view consumer_type = "consumer";

ClassicMember classic_of(const JoinAsk& ask) {
  ClassicMember classic;
  classic.session_timeout_ms = static_cast<std::int32_t>(ask.session_timeout.ns / 1'000'000);
  for (const GroupProtocol& protocol : ask.protocols) {
    classic.protocols.push_back({protocol.name, protocol.metadata});
  }
  return classic;
}

bool knows(const ClassicMember& member, std::string_view protocol) {
  return std::any_of(member.protocols.begin(), member.protocols.end(),
                     [&](const auto& one) { return one.name == protocol; });
}

Bytes metadata_of(const ClassicMember& member, std::string_view protocol) {
  for (const auto& one : member.protocols) {
    if (one.name == protocol) return one.metadata;
  }
  return {};
}

}  // namespace

// ---------------------------------------------------------------- requests

JoinAnswer ConsumerGroup::join_classic(const JoinAsk& ask, const std::string& new_member_id,
                                       const ClusterState& state, Now now) {
  JoinAnswer answer;
  answer.ticket = ask.ticket;
  answer.member_id = ask.member_id;
  const ClassicMember classic = classic_of(ask);
  const std::string protocol = classic_protocol(&classic);
  const Result<Subscription> wanted = parse_subscription(metadata_of(classic, protocol));
  if (ask.protocol_type != consumer_type || protocol.empty() || !wanted) {
    answer.error = ErrorCode::inconsistent_group_protocol;
    return answer;
  }
  bool is_new = false;
  Member* member = find_classic(ask, new_member_id, answer, is_new);
  if (member == nullptr) return answer;
  ConsumerAsk asked;
  asked.member_id = member->id;
  asked.instance_id = ask.instance_id;
  asked.rack_id = wanted->rack_id;
  asked.rebalance_timeout_ms = static_cast<std::int32_t>(ask.rebalance_timeout.ns / 1'000'000);
  asked.topics = wanted->topics;
  asked.owned = to_ids(wanted->owned, state);
  asked.client_id = ask.client_id;
  asked.client_host = ask.client_host;
  asked.classic = classic;
  advance(*member, asked, is_new, state, now);
  answer.member_id = member->id;
  answer.generation = member->current.epoch;
  answer.protocol_type = std::string(consumer_type);
  answer.protocol = protocol;
  // Nobody leads: the plan is made here.
  answer.leader = "";
  return answer;
}

ConsumerGroup::Member* ConsumerGroup::find_classic(const JoinAsk& ask,
                                                   const std::string& new_member_id,
                                                   JoinAnswer& answer, bool& is_new) {
  const auto refuse = [&answer](ErrorCode error) {
    answer.error = error;
    return nullptr;
  };
  if (ask.instance_id) {
    const auto known = statics_.find(*ask.instance_id);
    if (known != statics_.end()) {
      Member& member = members_.find(known->second)->second;
      if (ask.member_id.empty()) return &replace_static(member, new_member_id);
      if (member.id != ask.member_id) return refuse(ErrorCode::fenced_instance_id);
      return &member;
    }
  }
  const auto known = members_.find(ask.member_id);
  if (known != members_.end()) return &known->second;
  if (members_.size() >= rules_.members_max) return refuse(ErrorCode::group_max_size_reached);
  if (ask.member_id.empty() && ask.needs_known_id && !ask.instance_id) {
    answer.member_id = new_member_id;
    return refuse(ErrorCode::member_id_required);
  }
  is_new = true;
  return &add(ask.member_id.empty() ? new_member_id : ask.member_id);
}

SyncAnswer ConsumerGroup::sync_classic(const SyncAsk& ask, const ClusterState& state, Now now) {
  SyncAnswer answer{.ticket = ask.ticket};
  Member* member = nullptr;
  answer.error = check_classic(ask.member_id, ask.instance_id, ask.generation, member);
  if (answer.error != ErrorCode::none) return answer;
  const std::string protocol = classic_protocol(nullptr);
  const bool is_same = (!ask.protocol_type || *ask.protocol_type == consumer_type) &&
                       (!ask.protocol || *ask.protocol == protocol);
  if (!is_same) {
    answer.error = ErrorCode::inconsistent_group_protocol;
    return answer;
  }
  touch(*member, now);
  // Who gives something up learns of it by this answer first, and joins again then.
  if (epoch_ > member->current.epoch && member->current.state != MemberState::unrevoked) {
    answer.error = ErrorCode::rebalance_in_progress;
    return answer;
  }
  const auto metadata = parse_subscription(metadata_of(*member->about.classic, protocol));
  answer.protocol_type = std::string(consumer_type);
  answer.protocol = protocol;
  answer.assignment = encode_client_assignment(metadata ? metadata->version : 0,
                                               to_names(member->current.assigned, state));
  return answer;
}

ErrorCode ConsumerGroup::heartbeat_classic(std::string_view member_id,
                                           const std::optional<std::string>& instance_id,
                                           std::int32_t generation, Now now) {
  Member* member = nullptr;
  const ErrorCode error = check_classic(member_id, instance_id, generation, member);
  if (error != ErrorCode::none) return error;
  touch(*member, now);
  if (!must_join_again(*member)) return ErrorCode::none;
  if (member->rebalance_deadline == never()) {
    member->rebalance_deadline =
        now.instant + milliseconds(std::max(member->about.rebalance_timeout_ms, 0));
  }
  return ErrorCode::rebalance_in_progress;
}

// The group has moved on, it has to give something up, or what it waits for is free.
bool ConsumerGroup::must_join_again(const Member& member) const {
  if (member.current.epoch < epoch_) return true;
  switch (member.current.state) {
    case MemberState::stable: return false;
    case MemberState::unrevoked: return true;
    case MemberState::unreleased: break;
  }
  const Assignment wanted = difference(member.target, member.current.assigned);
  return std::all_of(wanted.begin(), wanted.end(), [&](const TopicPartition& at) {
    return is_free_for(member, at);
  });
}

ErrorCode ConsumerGroup::check_classic(std::string_view member_id,
                                       const std::optional<std::string>& instance_id,
                                       std::int32_t generation, Member*& member) {
  if (instance_id) {
    const auto known = statics_.find(*instance_id);
    if (known == statics_.end()) return ErrorCode::unknown_member_id;
    if (known->second != member_id) return ErrorCode::fenced_instance_id;
  }
  const auto found = members_.find(member_id);
  if (found == members_.end() || !found->second.about.classic) {
    return ErrorCode::unknown_member_id;
  }
  member = &found->second;
  return generation == member->current.epoch ? ErrorCode::none : ErrorCode::illegal_generation;
}

std::string ConsumerGroup::classic_protocol(const ClassicMember* joining) const {
  const ClassicMember* first = joining;
  for (const auto& [id, member] : members_) {
    if (first == nullptr && member.about.classic) first = &*member.about.classic;
  }
  if (first == nullptr) return {};
  for (const auto& protocol : first->protocols) {
    const bool known_to_all = std::all_of(members_.begin(), members_.end(), [&](const auto& one) {
      const auto& classic = one.second.about.classic;
      return !classic || knows(*classic, protocol.name);
    });
    if (known_to_all) return protocol.name;
  }
  return {};
}

// ---------------------------------------------------------------- from the classic protocol

std::optional<ConsumerGroup> ConsumerGroup::from_classic(const Group& group,
                                                         const ConsumerGroupRules& rules,
                                                         const ClusterState& state, Now now) {
  if (group.protocol_type() != consumer_type) return std::nullopt;
  ConsumerGroup made(group.id(), rules);
  made.epoch_ = std::max(group.generation(), 1);
  made.assignment_epoch_ = made.epoch_;
  for (const auto& [id, from] : group.members()) {
    Bytes metadata = group.metadata_of(from);
    if (metadata.empty() && !from.protocols.empty()) metadata = from.protocols.front().metadata;
    const Result<Subscription> wanted = parse_subscription(metadata);
    const Result<NamedPartitions> given = parse_client_assignment(from.assignment);
    if (!wanted || !given) return std::nullopt;
    Member& member = made.add(id);
    ConsumerMemberRecord& about = member.about;
    about.instance_id = from.instance_id;
    about.rack_id = wanted->rack_id;
    about.client_id = from.client_id;
    about.client_host = from.client_host;
    about.topics = sorted_topics(wanted->topics);
    about.rebalance_timeout_ms = static_cast<std::int32_t>(from.rebalance_timeout.ns / 1'000'000);
    about.classic.emplace();
    about.classic->session_timeout_ms =
        static_cast<std::int32_t>(from.session_timeout.ns / 1'000'000);
    for (const GroupProtocol& protocol : from.protocols) {
      about.classic->protocols.push_back({protocol.name, protocol.metadata});
    }
    // In the middle of a rebalance it may still have what it said when it joined.
    CurrentAssignmentRecord current{.epoch = made.epoch_, .previous_epoch = made.epoch_};
    for (const TopicPartition& at : sum(to_ids(*given, state), to_ids(wanted->owned, state))) {
      if (!made.owners_.contains(at)) current.assigned.push_back(at);
    }
    member.target = current.assigned;
    if (about.instance_id) made.statics_[*about.instance_id] = id;
    made.write(Kind::consumer_member, id, encode_value(about));
    made.write(Kind::target, id, encode_target(member.target));
    made.set_current(member, std::move(current));
    made.touch(member, now);
  }
  made.resolve(state);
  made.write(Kind::consumer_group, {},
             encode_value(ConsumerGroupRecord{made.epoch_, made.metadata_hash_}));
  made.write(Kind::target_epoch, {}, encode_target_epoch(made.assignment_epoch_));
  return made;
}

// ---------------------------------------------------------------- and back

bool ConsumerGroup::wants_classic() const {
  return !members_.empty() && std::all_of(members_.begin(), members_.end(), [](const auto& one) {
    return one.second.about.classic.has_value();
  });
}

GroupRecord ConsumerGroup::to_classic(const ClusterState& state) const {
  GroupRecord record;
  record.protocol_type = std::string(consumer_type);
  const std::string protocol = classic_protocol(nullptr);
  if (!protocol.empty()) record.protocol = protocol;
  for (const auto& [id, from] : members_) {
    if (!record.leader) record.leader = id;
    // Theirs, and not the group's, which may have moved on since: a member whose generation is not
    // the group's takes its partitions for lost, and cannot commit what it has read.
    record.generation = std::max(record.generation, from.current.epoch);
    const ClassicMember& classic = *from.about.classic;
    MemberRecord& to = record.members.emplace_back();
    to.id = id;
    to.instance_id = from.about.instance_id;
    to.client_id = from.about.client_id;
    to.client_host = from.about.client_host;
    to.rebalance_timeout_ms = from.about.rebalance_timeout_ms;
    to.session_timeout_ms = classic.session_timeout_ms;
    const Bytes metadata = metadata_of(classic, protocol);
    to.subscription.assign(metadata.begin(), metadata.end());
    const auto wanted = parse_subscription(metadata);
    to.assignment = encode_client_assignment(wanted ? wanted->version : 0,
                                             to_names(from.current.assigned, state));
  }
  return record;
}

}  // namespace tailrace::control
