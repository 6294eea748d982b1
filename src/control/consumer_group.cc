#include "control/consumer_group.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/assert.h"
#include "control/topic_pattern.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Kind = RecordKey::Kind;

constexpr std::size_t member_overhead_bytes = 768;

void hash_bytes(std::uint64_t& hash, Bytes bytes) {
  for (const std::byte byte : bytes) {
    hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3;  // FNV-1a
  }
}

// Is all of `part` in `whole`?
bool is_within(const Assignment& part, const Assignment& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

}  // namespace

ConsumerGroup::ConsumerGroup(std::string id, const ConsumerGroupRules& rules)
    : id_(std::move(id)), rules_(rules) {}

// ---------------------------------------------------------------- heartbeats

ConsumerAnswer ConsumerGroup::heartbeat(const ConsumerAsk& ask, const ClusterState& state,
                                        Now now) {
  if (ask.epoch < 0) return leave(ask, state);
  const Found found = find(ask);
  if (found.error != ErrorCode::none) {
    return {.error = found.error, .message = found.message, .member_id = ask.member_id};
  }
  Member& member = *found.member;
  if (ask.epoch == epoch_join && !found.is_new) rejoin(member);
  const Assignment before = member.current.assigned;
  const bool missed_answer = ask.epoch != member.current.epoch;
  advance(member, ask, found.is_new, state, now);
  // Told when it may be news: it joins, it told everything anew, or it has changed.
  const bool is_full = ask.epoch == epoch_join || missed_answer ||
                       (ask.owned && (ask.topics || ask.regex) && ask.rebalance_timeout_ms >= 0);
  ConsumerAnswer answer{.member_id = member.id, .epoch = member.current.epoch};
  if (is_full || before != member.current.assigned) answer.assigned = member.current.assigned;
  return answer;
}

void ConsumerGroup::advance(Member& member, const ConsumerAsk& ask, bool is_new,
                            const ClusterState& state, Now now) {
  const bool is_changed = update(member, ask);
  refresh(is_new || is_changed, state);
  if (assignment_epoch_ < epoch_) update_target(state);
  reconcile(member, ask.owned, now);
  touch(member, now);
}

// Who joins again has nothing. Until it is given something, which is now, it keeps others out.
void ConsumerGroup::rejoin(Member& member) {
  CurrentAssignmentRecord& current = member.current;
  current.revoking = sum(current.assigned, current.revoking);
  current.assigned.clear();
  current.epoch = epoch_join;
  current.state = MemberState::unrevoked;
}

ConsumerGroup::Found ConsumerGroup::find(const ConsumerAsk& ask) {
  if (ask.instance_id) return find_static(ask);
  const auto known = members_.find(ask.member_id);
  if (known == members_.end()) {
    if (ask.epoch != epoch_join) return {.error = ErrorCode::unknown_member_id};
    if (members_.size() >= rules_.members_max) return {.error = ErrorCode::group_max_size_reached};
    return {.member = &add(ask.member_id), .is_new = true};
  }
  if (!is_epoch_good(known->second, ask)) return {.error = ErrorCode::fenced_member_epoch};
  return {.member = &known->second};
}

// A static member that comes again takes the place of the one before, which must have left it.
ConsumerGroup::Found ConsumerGroup::find_static(const ConsumerAsk& ask) {
  const auto known = statics_.find(*ask.instance_id);
  if (known == statics_.end()) {
    if (ask.epoch != epoch_join) return {.error = ErrorCode::unknown_member_id};
    if (members_.size() >= rules_.members_max) return {.error = ErrorCode::group_max_size_reached};
    const auto same_id = members_.find(ask.member_id);
    if (same_id != members_.end()) return {.error = ErrorCode::fenced_instance_id};
    return {.member = &add(ask.member_id), .is_new = true};
  }
  Member& member = members_.find(known->second)->second;
  const bool has_left = member.current.epoch == epoch_leave_static;
  if (ask.epoch == epoch_join && has_left) {
    return {.member = &replace_static(member, ask.member_id)};
  }
  if (member.id != ask.member_id) {
    if (ask.epoch != epoch_join) return {.error = ErrorCode::fenced_instance_id};
    return {.error = ErrorCode::unreleased_instance_id,
            .message = "Another member of this instance id has not left yet."};
  }
  if (!is_epoch_good(member, ask)) return {.error = ErrorCode::fenced_member_epoch};
  return {.member = &member};
}

// Joining again is always good. So is the epoch before: the answer with the new one may have been
// lost. Then the member owns nothing beyond what it was given.
bool ConsumerGroup::is_epoch_good(const Member& member, const ConsumerAsk& ask) {
  if (ask.epoch == member.current.epoch || ask.epoch == epoch_join) return true;
  if (ask.epoch > member.current.epoch || ask.epoch != member.current.previous_epoch) return false;
  return ask.owned && is_within(*ask.owned, member.current.assigned);
}

ConsumerGroup::Member& ConsumerGroup::add(const std::string& id) {
  Member& member = members_[id];
  member.id = id;
  member.number = ++member_number_;
  return member;
}

ConsumerGroup::Member& ConsumerGroup::replace_static(Member& old, const std::string& id) {
  auto node = members_.extract(old.id);
  const std::string old_id = node.key();
  if (old_id != id) {
    for (const Kind kind : {Kind::current_assignment, Kind::target, Kind::consumer_member}) {
      erase(kind, old_id);
    }
  }
  node.key() = id;
  Member& member = members_.insert(std::move(node)).position->second;
  member.id = id;
  statics_[*member.about.instance_id] = id;
  write(Kind::consumer_member, id, encode_value(member.about));
  write(Kind::target, id, encode_target(member.target));
  CurrentAssignmentRecord current = member.current;
  current.epoch = epoch_join;
  current.previous_epoch = epoch_join;
  set_current(member, std::move(current));
  return member;
}

std::vector<std::string> sorted_topics(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool ConsumerGroup::update(Member& member, const ConsumerAsk& ask) {
  ConsumerMemberRecord about = member.about;
  if (ask.instance_id) about.instance_id = ask.instance_id;
  if (ask.rack_id) about.rack_id = ask.rack_id;
  if (ask.rebalance_timeout_ms >= 0) about.rebalance_timeout_ms = ask.rebalance_timeout_ms;
  if (ask.topics) about.topics = sorted_topics(*ask.topics);
  if (ask.regex) about.regex = ask.regex->empty() ? std::nullopt : ask.regex;
  if (ask.assignor) about.assignor = ask.assignor;
  about.client_id = ask.client_id;
  about.client_host = ask.client_host;
  about.classic = ask.classic;
  if (about == member.about) return false;
  const bool is_changed = about.topics != member.about.topics || about.regex != member.about.regex;
  member.about = std::move(about);
  if (member.about.instance_id) statics_[*member.about.instance_id] = member.id;
  write(Kind::consumer_member, member.id, encode_value(member.about));
  return is_changed;
}

ConsumerAnswer ConsumerGroup::leave(const ConsumerAsk& ask, const ClusterState& state) {
  ConsumerAnswer answer{.member_id = ask.member_id, .epoch = ask.epoch};
  const auto known = members_.find(ask.member_id);
  const bool is_known = known != members_.end();
  if (ask.instance_id) {
    const auto instance = statics_.find(*ask.instance_id);
    if (instance != statics_.end() && instance->second != ask.member_id) {
      answer.error = ErrorCode::fenced_instance_id;
      return answer;
    }
  }
  if (!is_known) {
    answer.error = ErrorCode::unknown_member_id;
    return answer;
  }
  Member& member = known->second;
  if (ask.epoch != epoch_leave_static || !member.about.instance_id) {
    remove(member, state);
    return answer;
  }
  // It keeps its partitions until its session ends.
  CurrentAssignmentRecord current = member.current;
  current.previous_epoch = current.epoch;
  current.epoch = epoch_leave_static;
  current.revoking.clear();
  current.state = MemberState::stable;
  member.rebalance_deadline = never();
  set_current(member, std::move(current));
  return answer;
}

ErrorCode ConsumerGroup::remove(std::string_view member_id,
                                const std::optional<std::string>& instance_id,
                                const ClusterState& state) {
  std::string id(member_id);
  if (instance_id) {
    const auto known = statics_.find(*instance_id);
    if (known == statics_.end()) return ErrorCode::unknown_member_id;
    if (!id.empty() && known->second != id) return ErrorCode::fenced_instance_id;
    id = known->second;
  }
  const auto found = members_.find(id);
  if (found == members_.end()) return ErrorCode::unknown_member_id;
  remove(found->second, state);
  return ErrorCode::none;
}

void ConsumerGroup::remove(Member& member, const ClusterState& state) {
  release(member);
  if (member.about.instance_id) statics_.erase(*member.about.instance_id);
  for (const Kind kind : {Kind::current_assignment, Kind::target, Kind::consumer_member}) {
    erase(kind, member.id);
  }
  members_.erase(members_.find(member.id));
  resolve(state);
  bump();
}

void ConsumerGroup::touch(Member& member, Now now) {
  const Duration timeout = member.about.classic
                               ? milliseconds(member.about.classic->session_timeout_ms)
                               : rules_.session_timeout;
  member.session_deadline = now.instant + timeout;
}

// ---------------------------------------------------------------- the target

void ConsumerGroup::resolve(const ClusterState& state) {
  is_measured_ = false;
  std::set<std::string_view> names;
  std::map<std::string, std::vector<std::string>, std::less<>> patterns;
  const std::vector<std::string>* last = nullptr;  // mostly all read the same
  for (const auto& [id, member] : members_) {
    const bool is_same = last != nullptr && *last == member.about.topics;
    if (!is_same) names.insert(member.about.topics.begin(), member.about.topics.end());
    last = &member.about.topics;
    if (!member.about.regex || patterns.contains(*member.about.regex)) continue;
    const auto known = regex_topics_.find(*member.about.regex);
    const bool is_good = !is_stale_ && known != regex_topics_.end();
    patterns[*member.about.regex] =
        is_good ? known->second : matching_topics(*member.about.regex, state);
  }
  regex_topics_ = std::move(patterns);
  for (const auto& [regex, topics] : regex_topics_) names.insert(topics.begin(), topics.end());
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::string_view name : names) {
    const Topic* topic = state.find_topic(name);
    if (topic == nullptr) continue;
    hash_bytes(hash, as_bytes(name));
    hash_bytes(hash, std::as_bytes(std::span(topic->id.bytes)));
    const auto count = static_cast<std::uint32_t>(topic->partitions.size());
    hash_bytes(hash, std::as_bytes(std::span(&count, 1)));
  }
  is_stale_ = false;
  metadata_hash_ = hash;
}

void ConsumerGroup::refresh(bool has_changed, const ClusterState& state) {
  const std::uint64_t before = metadata_hash_;
  if (has_changed || is_stale_) resolve(state);
  if (has_changed || metadata_hash_ != before) bump();
}

void ConsumerGroup::bump() {
  ++epoch_;
  write(Kind::consumer_group, {}, encode_value(ConsumerGroupRecord{epoch_, metadata_hash_}));
}

std::vector<std::string_view> ConsumerGroup::topics_of(const Member& member) const {
  std::vector<std::string_view> names(member.about.topics.begin(), member.about.topics.end());
  if (!member.about.regex) return names;
  const auto matched = regex_topics_.find(*member.about.regex);
  if (matched == regex_topics_.end()) return names;
  names.insert(names.end(), matched->second.begin(), matched->second.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void ConsumerGroup::update_target(const ClusterState& state) {
  AssignorInput input;
  const ConsumerMemberRecord* last = nullptr;  // mostly all read the same
  for (const auto& [id, member] : members_) {
    AssignorMember& to = input.members.emplace_back();
    to.id = id;
    if (member.about.instance_id) to.instance_id = *member.about.instance_id;
    to.owned = &member.target;
    const bool is_same = last != nullptr && last->topics == member.about.topics &&
                         last->regex == member.about.regex;
    last = &member.about;
    if (is_same) {
      to.topics = input.members[input.members.size() - 2].topics;
      continue;
    }
    for (const std::string_view name : topics_of(member)) {
      const Topic* topic = state.find_topic(name);
      if (topic == nullptr) continue;
      to.topics.push_back(topic->id);
      input.topics[topic->id] = static_cast<std::int32_t>(topic->partitions.size());
    }
  }
  const Assignor assign = find_assignor(assignor());
  TR_ASSERT(assign != nullptr);
  Plan plan = assign(input);
  std::size_t i = 0;
  for (auto& [id, member] : members_) {
    Assignment& target = plan[i++];
    if (target == member.target && member.current.epoch != epoch_join) continue;
    member.target = std::move(target);
    write(Kind::target, id, encode_target(member.target));
  }
  assignment_epoch_ = epoch_;
  write(Kind::target_epoch, {}, encode_target_epoch(assignment_epoch_));
}

// What most members ask for; those that do not say take the default.
std::string_view ConsumerGroup::assignor() const {
  std::map<std::string_view, std::size_t> votes;
  std::string_view best = default_assignor;
  for (const auto& [id, member] : members_) {
    if (!member.about.assignor || find_assignor(*member.about.assignor) == nullptr) continue;
    const std::size_t count = ++votes[*member.about.assignor];
    if (count > votes[best]) best = *member.about.assignor;
  }
  return best;
}

// ---------------------------------------------------------------- a member's way to it

void ConsumerGroup::reconcile(Member& member, const std::optional<Assignment>& owned, Now now) {
  CurrentAssignmentRecord next = next_current(member, owned);
  const bool gives_up = next.state == MemberState::unrevoked;
  if (!gives_up) {
    member.rebalance_deadline = never();
  } else if (next != member.current || member.rebalance_deadline == never()) {
    const auto timeout_ms = std::max(member.about.rebalance_timeout_ms, 0);
    member.rebalance_deadline = now.instant + milliseconds(timeout_ms);
  }
  set_current(member, std::move(next));
}

CurrentAssignmentRecord ConsumerGroup::next_current(
    const Member& member, const std::optional<Assignment>& owned) const {
  const CurrentAssignmentRecord& current = member.current;
  switch (current.state) {
    case MemberState::stable:
      if (current.epoch == assignment_epoch_) return current;
      return towards_target(member, current.epoch, owned);
    case MemberState::unrevoked:
      // Until it says that it owns none of them.
      if (!owned || !intersection(*owned, current.revoking).empty()) return current;
      return towards_target(member, current.epoch + 1, owned);
    case MemberState::unreleased: return towards_target(member, current.epoch, owned);
  }
  return current;
}

CurrentAssignmentRecord ConsumerGroup::towards_target(
    const Member& member, std::int32_t epoch, const std::optional<Assignment>& owned) const {
  const Assignment kept = intersection(member.current.assigned, member.target);
  const Assignment given_up = difference(member.current.assigned, member.target);
  const Assignment wanted = difference(member.target, member.current.assigned);
  Assignment free;
  for (const TopicPartition& at : wanted) {
    // What it has just given up is its own until this is done.
    if (is_free_for(member, at)) free.push_back(at);
  }
  CurrentAssignmentRecord next;
  next.previous_epoch = member.current.epoch;
  const bool still_owns = !owned || !intersection(*owned, given_up).empty();
  if (!given_up.empty() && still_owns) {
    next.state = MemberState::unrevoked;
    next.epoch = epoch;
    next.assigned = kept;
    next.revoking = given_up;
    if (epoch == member.current.epoch) next.previous_epoch = member.current.previous_epoch;
    return next;
  }
  next.state = free.size() < wanted.size() ? MemberState::unreleased : MemberState::stable;
  next.epoch = assignment_epoch_;
  next.assigned = sum(kept, free);
  if (next.epoch == member.current.epoch) next.previous_epoch = member.current.previous_epoch;
  return next;
}

void ConsumerGroup::set_current(Member& member, CurrentAssignmentRecord next) {
  if (next == member.current) return;
  release(member);
  member.current = std::move(next);
  for (const Assignment* held : {&member.current.assigned, &member.current.revoking}) {
    for (const TopicPartition& at : *held) owners_[at] = member.number;
  }
  write(Kind::current_assignment, member.id, encode_value(member.current));
}

void ConsumerGroup::release(const Member& member) {
  for (const Assignment* held : {&member.current.assigned, &member.current.revoking}) {
    for (const TopicPartition& at : *held) {
      const auto found = owners_.find(at);
      if (found != owners_.end() && found->second == member.number) owners_.erase(found);
    }
  }
}

bool ConsumerGroup::is_free_for(const Member& member, const TopicPartition& at) const {
  const auto found = owners_.find(at);
  return found == owners_.end() || found->second == member.number;
}

// ---------------------------------------------------------------- time

void ConsumerGroup::step(const ClusterState& state, Now now) {
  std::vector<std::string> gone;
  for (const auto& [id, member] : members_) {
    const bool is_late = member.session_deadline <= now.instant ||
                         member.rebalance_deadline <= now.instant;
    if (is_late) gone.push_back(id);
  }
  for (const std::string& id : gone) remove(members_.find(id)->second, state);
}

Instant ConsumerGroup::next_deadline() const {
  Instant deadline = never();
  for (const auto& [id, member] : members_) {
    deadline = std::min({deadline, member.session_deadline, member.rebalance_deadline});
  }
  return deadline;
}

// ---------------------------------------------------------------- as it was written

void ConsumerGroup::load(const ConsumerGroupRecord& record) {
  epoch_ = record.epoch;
  metadata_hash_ = record.metadata_hash;
}

void ConsumerGroup::load_member(std::string_view id, const ConsumerMemberRecord* record) {
  const auto found = members_.find(id);
  if (record == nullptr) {
    if (found != members_.end()) members_.erase(found);
    return;
  }
  Member& member = found != members_.end() ? found->second : add(std::string(id));
  member.about = *record;
  member.about.topics = sorted_topics(std::move(member.about.topics));
  member.is_loaded = true;
}

void ConsumerGroup::load_target(std::string_view id, const Assignment* target) {
  const auto found = members_.find(id);
  if (found == members_.end() && target == nullptr) return;
  Member& member = found != members_.end() ? found->second : add(std::string(id));
  member.target = target == nullptr ? Assignment{} : *target;
}

void ConsumerGroup::load_current(std::string_view id, const CurrentAssignmentRecord* record) {
  const auto found = members_.find(id);
  if (found == members_.end() && record == nullptr) return;
  Member& member = found != members_.end() ? found->second : add(std::string(id));
  member.current = record == nullptr ? CurrentAssignmentRecord{} : *record;
}

// Sessions begin anew. Whoever is known by half only, because the record of it was taken back or
// never kept, is nobody.
void ConsumerGroup::finish_load(const ClusterState& state, Now now) {
  std::erase_if(members_, [](const auto& one) { return !one.second.is_loaded; });
  for (auto& [id, member] : members_) {
    touch(member, now);
    if (member.about.instance_id) statics_[*member.about.instance_id] = id;
    for (const Assignment* held : {&member.current.assigned, &member.current.revoking}) {
      for (const TopicPartition& at : *held) owners_[at] = member.number;
    }
    if (member.current.state == MemberState::unrevoked) {
      member.rebalance_deadline =
          now.instant + milliseconds(std::max(member.about.rebalance_timeout_ms, 0));
    }
  }
  const std::uint64_t written = metadata_hash_;
  resolve(state);
  // Topics changed while nobody looked: the next heartbeat finds that out.
  if (metadata_hash_ != written) {
    metadata_hash_ = written;
    is_stale_ = true;
  }
}

// ---------------------------------------------------------------- helpers

ErrorCode ConsumerGroup::check_commit(std::string_view member_id, std::int32_t epoch) const {
  // An operator commits for a group that nobody is in.
  if (epoch < 0 && members_.empty()) return ErrorCode::none;
  const auto found = members_.find(member_id);
  if (found == members_.end()) return ErrorCode::unknown_member_id;
  const Member& member = found->second;
  if (epoch == member.current.epoch) return ErrorCode::none;
  return member.about.classic ? ErrorCode::illegal_generation : ErrorCode::stale_member_epoch;
}

ConsumerGroup::State ConsumerGroup::state() const {
  if (members_.empty()) return State::empty;
  if (epoch_ > assignment_epoch_) return State::assigning;
  for (const auto& [id, member] : members_) {
    const bool has_arrived = member.current.state == MemberState::stable &&
                             member.current.epoch == assignment_epoch_;
    if (!has_arrived) return State::reconciling;
  }
  return State::stable;
}

std::string_view ConsumerGroup::state_name() const {
  switch (state()) {
    case State::empty: return "Empty";
    case State::assigning: return "Assigning";
    case State::reconciling: return "Reconciling";
    case State::stable: return "Stable";
  }
  return "";
}

bool ConsumerGroup::is_subscribed(std::string_view topic) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& one) {
    const std::vector<std::string_view> names = topics_of(one.second);
    return std::find(names.begin(), names.end(), topic) != names.end();
  });
}

std::uint64_t ConsumerGroup::memory_bytes() const {
  if (!is_measured_) memory_bytes_ = measure();
  is_measured_ = true;
  return memory_bytes_;
}

std::uint64_t ConsumerGroup::measure() const {
  std::uint64_t bytes = sizeof *this;
  for (const auto& [id, member] : members_) {
    bytes += member_overhead_bytes + 3 * id.size() + member.about.client_id.size();
    for (const std::string& topic : member.about.topics) bytes += sizeof topic + topic.size();
    const std::size_t partitions = member.target.size() + 4 * member.current.assigned.size() +
                                   4 * member.current.revoking.size();
    bytes += partitions * sizeof(TopicPartition);
    if (!member.about.classic) continue;
    for (const auto& protocol : member.about.classic->protocols) {
      bytes += protocol.name.size() + protocol.metadata.size() + sizeof protocol;
    }
  }
  for (const auto& [regex, topics] : regex_topics_) {
    bytes += regex.size();
    for (const std::string& topic : topics) bytes += sizeof topic + topic.size();
  }
  return bytes;
}

void ConsumerGroup::write(Kind kind, std::string_view member, ByteString value) {
  is_measured_ = false;
  records_.push_back({encode_consumer_key(kind, id_, member), std::move(value), false});
}

void ConsumerGroup::erase(Kind kind, std::string_view member) {
  is_measured_ = false;
  records_.push_back({encode_consumer_key(kind, id_, member), {}, true});
}

void ConsumerGroup::erase_records() {
  for (const auto& [id, member] : members_) {
    for (const Kind kind : {Kind::current_assignment, Kind::target, Kind::consumer_member}) {
      erase(kind, id);
    }
  }
  erase(Kind::target_epoch);
  erase(Kind::consumer_group);
}

}  // namespace tailrace::control
