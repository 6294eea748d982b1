#include "control/group.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "kafka/wire.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// A new member whose client is gone can't be told from one that waits: it gets so long.
constexpr Duration new_member_wait_max = seconds(300);
constexpr Duration static_wait_min = seconds(1);
constexpr std::size_t member_overhead_bytes = 512;

std::uint64_t pending_bytes_of(std::string_view member_id) { return 96 + member_id.size(); }

std::uint64_t bytes_of(const Group::Member& member) {
  std::uint64_t bytes = member_overhead_bytes + 2 * member.id.size() + member.client_id.size() +
                        member.client_host.size() + member.assignment.size();
  for (const GroupProtocol& protocol : member.protocols) {
    bytes += protocol.name.size() + protocol.metadata.size();
  }
  return bytes;
}

}  // namespace

Group::Group(std::string id, const GroupRules& rules) : id_(std::move(id)), rules_(rules) {}

Group::Group(std::string id, const GroupRules& rules, const GroupRecord& record, Now now)
    : id_(std::move(id)), rules_(rules), state_ms_(record.state_ms),
      protocol_type_(record.protocol_type), protocol_(record.protocol),
      generation_(record.generation), leader_(record.leader.value_or("")) {
  for (const MemberRecord& from : record.members) {
    Member member;
    member.id = from.id;
    member.instance_id = from.instance_id;
    member.client_id = from.client_id;
    member.client_host = from.client_host;
    member.session_timeout = milliseconds(from.session_timeout_ms);
    member.rebalance_timeout = milliseconds(from.rebalance_timeout_ms);
    member.protocols.push_back({record.protocol.value_or(""), from.subscription});
    member.assignment = from.assignment;
    member.number = ++member_number_;
    touch(member, now);
    if (from.instance_id) statics_[*from.instance_id] = from.id;
    count_in(member);
    members_.insert_or_assign(from.id, std::move(member));
  }
  state_ = members_.empty() ? State::empty : State::stable;
}

// ---------------------------------------------------------------- joining

void Group::join(JoinAsk ask, const std::string& new_member_id, Now now) {
  const bool is_new = ask.member_id.empty();
  ErrorCode error = ErrorCode::none;
  if (state_ == State::dead) {
    error = ErrorCode::coordinator_not_available;
  } else if (!has_room_for(ask.member_id)) {
    error = ErrorCode::group_max_size_reached;
  } else if (!supports(ask)) {
    error = ErrorCode::inconsistent_group_protocol;
  }
  if (error != ErrorCode::none) return fail_join(ask.ticket, std::move(ask.member_id), error);
  if (is_new) return join_new(std::move(ask), new_member_id, now);
  join_known(std::move(ask), now);
}

void Group::join_new(JoinAsk ask, const std::string& new_member_id, Now now) {
  if (ask.instance_id) {
    const auto known = statics_.find(*ask.instance_id);
    if (known == statics_.end()) return add_member(new_member_id, std::move(ask), now);
    return replace_static(std::string(known->second), std::move(ask), new_member_id, now);
  }
  if (!ask.needs_known_id) return add_member(new_member_id, std::move(ask), now);
  pending_[new_member_id] = now.instant + ask.session_timeout;
  pending_bytes_ += pending_bytes_of(new_member_id);
  fail_join(ask.ticket, new_member_id, ErrorCode::member_id_required);
}

void Group::join_known(JoinAsk ask, Now now) {
  if (!ask.instance_id && erase_pending(ask.member_id)) {
    const std::string member_id = ask.member_id;
    return add_member(member_id, std::move(ask), now);
  }
  const ErrorCode error = check_member(ask.member_id, ask.instance_id);
  if (error != ErrorCode::none) return fail_join(ask.ticket, std::move(ask.member_id), error);
  Member& member = members_.find(ask.member_id)->second;
  join_again(member, std::move(ask), now);
}

void Group::join_again(Member& member, JoinAsk ask, Now now) {
  const bool is_same = member.protocols == ask.protocols;
  bool needs_rebalance = true;
  switch (state_) {
    case State::preparing_rebalance: break;
    // The answer to an earlier join was lost.
    case State::completing_rebalance: needs_rebalance = !is_same; break;
    // Only the leader may ask for a new plan without a change of its own.
    case State::stable: needs_rebalance = !is_same || member.id == leader_; break;
    case State::empty:
    case State::dead:
      return fail_join(ask.ticket, std::move(ask.member_id), ErrorCode::unknown_member_id);
  }
  if (!needs_rebalance) {
    touch(member, now);
    JoinAnswer answer = current_join(member);
    answer.ticket = ask.ticket;
    return effects_.joins.push_back(std::move(answer));
  }
  update(member, ask);
  hold_join(member, ask.ticket);
  rebalance(now);
}

// A static member that comes without its id was restarted: it takes over the place of the one
// before, which is fenced. In a stable group that needs no new generation unless it speaks
// something else.
void Group::replace_static(const std::string& old_id, JoinAsk ask, const std::string& new_id,
                           Now now) {
  const std::string old_leader = leader_;
  auto node = members_.extract(old_id);
  TR_ASSERT(!node.empty());
  Member& old = node.mapped();
  if (old.join != nullptr) {
    fail_join(std::exchange(old.join, nullptr), old_id, ErrorCode::fenced_instance_id);
    --joined_count_;
  }
  if (old.sync != nullptr) {
    fail_sync(std::exchange(old.sync, nullptr), ErrorCode::fenced_instance_id);
  }
  count_out(old);
  old.id = new_id;
  old.is_new = false;
  node.key() = new_id;
  Member& member = members_.insert(std::move(node)).position->second;
  count_in(member);
  statics_[*ask.instance_id] = new_id;
  if (leader_ == old_id) leader_ = new_id;
  if (unsynced_.erase(old_id) > 0) unsynced_.insert(new_id);
  update(member, ask);
  touch(member, now);
  rejoin_static(member, ask, old_leader, now);
}

void Group::rejoin_static(Member& member, const JoinAsk& ask, const std::string& old_leader,
                          Now now) {
  if (state_ != State::stable || select_protocol() != protocol_) {
    hold_join(member, ask.ticket);
    return rebalance(now);
  }
  Store kept{.kind = Store::Kind::static_join, .generation = generation_};
  kept.join = current_join(member);
  kept.join.ticket = ask.ticket;
  if (!ask.can_skip_assignment) {
    // Told that it leads, it would send a plan; told the name of the one before, it does not.
    kept.join.leader = old_leader;
    kept.join.members.clear();
  } else {
    kept.join.skip_assignment = member.id == leader_;
  }
  store(std::move(kept));
}

void Group::add_member(const std::string& member_id, JoinAsk ask, Now now) {
  if (members_.empty()) protocol_type_ = ask.protocol_type;
  Member& member = members_[member_id];
  member.id = member_id;
  member.instance_id = ask.instance_id;
  member.number = ++member_number_;
  member.is_new = true;
  member.deadline = now.instant + new_member_wait_max;
  count_in(member);
  update(member, ask);
  hold_join(member, ask.ticket);
  if (ask.instance_id) statics_[*ask.instance_id] = member_id;
  if (leader_.empty()) leader_ = member_id;
  if (is_initial_) came_in_delay_ = true;
  rebalance(now);
}

void Group::update(Member& member, JoinAsk& ask) {
  count_out(member);
  member.protocols = std::move(ask.protocols);
  member.client_id = std::move(ask.client_id);
  member.client_host = std::move(ask.client_host);
  member.session_timeout = ask.session_timeout;
  member.rebalance_timeout = ask.rebalance_timeout;
  count_in(member);
}

void Group::hold_join(Member& member, Ticket ticket) {
  if (member.join != nullptr) {
    // It asks again: nobody waits for the answer to the first any more.
    fail_join(std::exchange(member.join, nullptr), member.id, ErrorCode::rebalance_in_progress);
    --joined_count_;
  }
  member.join = ticket;
  ++joined_count_;
}

// ---------------------------------------------------------------- leaving

ErrorCode Group::leave(std::string_view member_id, const std::optional<std::string>& instance_id,
                       Now now) {
  if (state_ == State::dead) return ErrorCode::coordinator_not_available;
  if (member_id.empty() && instance_id) {  // An operator removes a static member by its name.
    const auto known = statics_.find(*instance_id);
    if (known == statics_.end()) return ErrorCode::unknown_member_id;
    remove_member(std::string(known->second), now);
    return ErrorCode::none;
  }
  if (erase_pending(member_id)) {
    maybe_complete_join(now);
    return ErrorCode::none;
  }
  const ErrorCode error = check_member(member_id, instance_id);
  if (error == ErrorCode::none) remove_member(std::string(member_id), now);
  return error;
}

void Group::remove_member(const std::string& member_id, Now now) {
  forget(member_id);
  switch (state_) {
    case State::stable:
    case State::completing_rebalance: return prepare_rebalance(now);
    case State::preparing_rebalance: return maybe_complete_join(now);
    case State::empty:
    case State::dead: return;  // Nobody waits for anything.
  }
}

void Group::forget(const std::string& member_id) {
  const auto found = members_.find(member_id);
  TR_ASSERT(found != members_.end());
  Member& member = found->second;
  if (member.join != nullptr) {
    fail_join(std::exchange(member.join, nullptr), member.id, ErrorCode::unknown_member_id);
    --joined_count_;
  }
  if (member.sync != nullptr) {
    fail_sync(std::exchange(member.sync, nullptr), ErrorCode::unknown_member_id);
  }
  count_out(member);
  if (member.instance_id) statics_.erase(*member.instance_id);
  unsynced_.erase(member_id);
  members_.erase(found);
  if (leader_ == member_id) leader_ = members_.empty() ? "" : members_.begin()->first;
}

// Static members keep their place until their session ends.
void Group::remove_unjoined() {
  std::vector<std::string> gone;
  for (const auto& [id, member] : members_) {
    if (member.join == nullptr && !member.instance_id) gone.push_back(id);
  }
  for (const std::string& id : gone) forget(id);
}

// ---------------------------------------------------------------- rebalance

void Group::rebalance(Now now) {
  switch (state_) {
    case State::empty:
    case State::stable:
    case State::completing_rebalance: return prepare_rebalance(now);
    case State::preparing_rebalance: return maybe_complete_join(now);
    case State::dead: return;  // Asked nothing any more.
  }
}

void Group::prepare_rebalance(Now now) {
  if (state_ == State::completing_rebalance) end_syncs(ErrorCode::rebalance_in_progress, now);
  sync_deadline_ = never();
  unsynced_.clear();
  is_initial_ = state_ == State::empty;
  set_state(State::preparing_rebalance, now);
  const Duration wait_max = rebalance_timeout_max();
  if (!is_initial_) {
    join_deadline_ = now.instant + wait_max;
    return maybe_complete_join(now);
  }
  // Members of a new group come one after the other; one generation for all is cheaper.
  const Duration delay = std::min(rules_.initial_delay, wait_max);
  initial_left_ = {wait_max.ns - delay.ns};
  came_in_delay_ = false;
  join_deadline_ = now.instant + delay;
}

void Group::maybe_complete_join(Now now) {
  if (state_ != State::preparing_rebalance || is_initial_) return;
  if (joined_count_ == members_.size() && pending_.empty()) complete_join(now);
}

void Group::complete_join(Now now) {
  TR_ASSERT(state_ == State::preparing_rebalance);
  is_initial_ = false;
  join_deadline_ = never();
  remove_unjoined();
  if (!members_.empty() && !elect_joined_leader()) {
    // Only static members, and none came: their sessions decide.
    join_deadline_ = now.instant + std::max(rebalance_timeout_max(), static_wait_min);
    return;
  }
  ++generation_;
  if (members_.empty()) {
    protocol_.reset();
    leader_.clear();
    set_state(State::empty, now);
    return store({.kind = Store::Kind::left, .generation = generation_});
  }
  protocol_ = select_protocol();
  set_state(State::completing_rebalance, now);
  sync_deadline_ = now.instant + rebalance_timeout_max();
  for (auto& [id, member] : members_) {
    touch(member, now);
    member.is_new = false;
    unsynced_.insert(id);
    if (member.join != nullptr) answer_join(member);
  }
  TR_ASSERT(joined_count_ == 0);
}

bool Group::elect_joined_leader() {
  const auto leader = members_.find(leader_);
  if (leader != members_.end() && leader->second.join != nullptr) return true;
  const Member* first = nullptr;
  for (const auto& [id, member] : members_) {
    if (member.join == nullptr) continue;
    if (first == nullptr || member.number < first->number) first = &member;
  }
  if (first == nullptr) return false;
  leader_ = first->id;
  return true;
}

// Each member votes for the first in its list that all members speak.
std::string Group::select_protocol() const {
  std::map<std::string_view, std::uint32_t> votes;
  std::string_view best;
  for (const auto& [id, member] : members_) {
    for (const GroupProtocol& protocol : member.protocols) {
      if (supported_.at(protocol.name) != members_.size()) continue;
      const std::uint32_t count = ++votes[protocol.name];
      if (best.empty() || count > votes[best]) best = protocol.name;
      break;
    }
  }
  return std::string(best);
}

Duration Group::rebalance_timeout_max() const {
  Duration longest{};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

// ---------------------------------------------------------------- syncing

void Group::sync(SyncAsk ask, Now now) {
  const ErrorCode error = check_sync(ask);
  if (error != ErrorCode::none) return fail_sync(ask.ticket, error);

  Member& member = members_.find(ask.member_id)->second;
  unsynced_.erase(member.id);
  if (unsynced_.empty()) sync_deadline_ = never();
  if (member.sync != nullptr) fail_sync(member.sync, ErrorCode::rebalance_in_progress);
  member.sync = ask.ticket;
  if (state_ == State::stable) return answer_sync(member, now);
  const bool is_under_way = std::any_of(stores_.begin(), stores_.end(), [this](const auto& s) {
    return s.second.kind == Store::Kind::assignments && s.second.generation == generation_;
  });
  if (member.id != leader_ || is_under_way) return;
  store({.kind = Store::Kind::assignments,
         .generation = generation_,
         .assignments = std::move(ask.assignments)});
}

ErrorCode Group::check_sync(const SyncAsk& ask) const {
  if (state_ == State::dead) return ErrorCode::coordinator_not_available;
  const ErrorCode error = check_member(ask.member_id, ask.instance_id);
  if (error != ErrorCode::none) return error;
  if (ask.generation != generation_) return ErrorCode::illegal_generation;
  const bool same_type = !ask.protocol_type || *ask.protocol_type == protocol_type_;
  const bool same_protocol = !ask.protocol || ask.protocol == protocol_;
  if (!same_type || !same_protocol) return ErrorCode::inconsistent_group_protocol;
  if (state_ == State::empty) return ErrorCode::unknown_member_id;
  if (state_ == State::preparing_rebalance) return ErrorCode::rebalance_in_progress;
  return ErrorCode::none;
}

void Group::end_syncs(ErrorCode error, Now now) {
  for (auto& [id, member] : members_) {
    count_out(member);
    member.assignment.clear();
    count_in(member);
    if (member.sync == nullptr) continue;
    fail_sync(std::exchange(member.sync, nullptr), error);
    touch(member, now);
  }
}

void Group::on_stored(std::uint64_t number, ErrorCode error, Now now) {
  const auto found = stores_.find(number);
  TR_ASSERT(found != stores_.end());
  Store done = std::move(found->second);
  stores_.erase(found);
  if (done.kind == Store::Kind::left) return;  // Nobody waits for it.
  if (done.kind == Store::Kind::static_join) {
    if (error != ErrorCode::none) {
      return fail_join(done.join.ticket, done.join.member_id, error);
    }
    return effects_.joins.push_back(std::move(done.join));
  }
  // Who has asked meanwhile, under another generation, waits for another plan.
  if (state_ != State::completing_rebalance || done.generation != generation_) return;
  if (error != ErrorCode::none) {
    end_syncs(error, now);
    return prepare_rebalance(now);
  }
  set_state(State::stable, now);
  for (auto& [id, member] : members_) {
    count_out(member);
    const auto assigned = done.assignments.find(id);
    member.assignment.clear();
    if (assigned != done.assignments.end()) member.assignment = std::move(assigned->second);
    count_in(member);
    if (member.sync != nullptr) answer_sync(member, now);
  }
}

// ---------------------------------------------------------------- heartbeats and commits

ErrorCode Group::heartbeat(std::string_view member_id,
                           const std::optional<std::string>& instance_id,
                           std::int32_t generation, Now now) {
  if (state_ == State::dead) return ErrorCode::coordinator_not_available;
  const ErrorCode error = check_member(member_id, instance_id);
  if (error != ErrorCode::none) return error;
  if (generation != generation_) return ErrorCode::illegal_generation;
  if (state_ == State::empty) return ErrorCode::unknown_member_id;
  touch(members_.find(member_id)->second, now);
  return state_ == State::preparing_rebalance ? ErrorCode::rebalance_in_progress
                                              : ErrorCode::none;
}

ErrorCode Group::check_commit(std::string_view member_id,
                              const std::optional<std::string>& instance_id,
                              std::int32_t generation, Now now) {
  if (state_ == State::dead) return ErrorCode::coordinator_not_available;
  if (generation < 0 && state_ == State::empty) return ErrorCode::none;
  if (generation < 0 && member_id.empty() && !instance_id) return ErrorCode::unknown_member_id;
  const ErrorCode error = check_member(member_id, instance_id);
  if (error != ErrorCode::none) return error;
  if (generation != generation_) return ErrorCode::illegal_generation;
  touch(members_.find(member_id)->second, now);
  return state_ == State::completing_rebalance ? ErrorCode::rebalance_in_progress
                                               : ErrorCode::none;
}

// ---------------------------------------------------------------- time

void Group::step(Now now) {
  if (state_ == State::dead) return;
  const auto is_late = [&](const auto& pending) {
    if (pending.second > now.instant) return false;
    pending_bytes_ -= pending_bytes_of(pending.first);
    return true;
  };
  if (std::erase_if(pending_, is_late) > 0) maybe_complete_join(now);
  expire_members(now);
  if (join_deadline_ <= now.instant) on_join_deadline(now);
  if (sync_deadline_ <= now.instant) on_sync_deadline(now);
}

void Group::expire_members(Now now) {
  std::vector<std::string> gone;
  for (auto& [id, member] : members_) {
    if (member.deadline > now.instant) continue;
    // Who waits for our answer cannot send heartbeats; the answer moves the deadline.
    const bool is_held = member.join != nullptr || member.sync != nullptr;
    if (is_held && !member.is_new) {
      member.deadline = never();
    } else {
      gone.push_back(id);
    }
  }
  for (const std::string& id : gone) {
    // The end of one may complete a join, which touches the others.
    const auto member = members_.find(id);
    if (member != members_.end() && member->second.deadline <= now.instant) remove_member(id, now);
  }
}

void Group::on_join_deadline(Now now) {
  if (state_ != State::preparing_rebalance) {
    join_deadline_ = never();
    return;
  }
  if (is_initial_ && came_in_delay_ && initial_left_.ns > 0) {
    const Duration delay = std::min(rules_.initial_delay, initial_left_);
    initial_left_ = {initial_left_.ns - delay.ns};
    came_in_delay_ = false;
    join_deadline_ = now.instant + delay;
    return;
  }
  complete_join(now);
}

// Members that were told of the generation but never fetched their part.
void Group::on_sync_deadline(Now now) {
  sync_deadline_ = never();
  const bool applies = state_ == State::completing_rebalance || state_ == State::stable;
  if (!applies || unsynced_.empty()) return;
  const std::set<std::string> gone = std::exchange(unsynced_, {});
  for (const std::string& id : gone) {
    if (members_.contains(id)) forget(id);
  }
  prepare_rebalance(now);
}

Instant Group::next_deadline() const {
  if (state_ == State::dead) return never();
  Instant deadline = std::min(join_deadline_, sync_deadline_);
  for (const auto& [id, at] : pending_) deadline = std::min(deadline, at);
  for (const auto& [id, member] : members_) deadline = std::min(deadline, member.deadline);
  return deadline;
}

// ---------------------------------------------------------------- the end

void Group::begin_delete(Now now) {
  TR_ASSERT(state_ == State::empty);
  set_state(State::dead, now);
}

void Group::undo_delete(Now now) {
  TR_ASSERT(state_ == State::dead);
  set_state(State::empty, now);
}

void Group::answer_all(ErrorCode error) {
  for (auto& [id, member] : members_) {
    if (member.join != nullptr) {
      fail_join(std::exchange(member.join, nullptr), id, error);
      --joined_count_;
    }
    if (member.sync != nullptr) fail_sync(std::exchange(member.sync, nullptr), error);
  }
  for (auto& [number, kept] : stores_) {
    Ticket ticket = std::exchange(kept.join.ticket, nullptr);
    if (ticket != nullptr) fail_join(ticket, kept.join.member_id, error);
  }
}

// ---------------------------------------------------------------- helpers

GroupEffects Group::take_effects() { return std::exchange(effects_, {}); }

std::string_view Group::state_name() const {
  switch (state_) {
    case State::empty: return "Empty";
    case State::preparing_rebalance: return "PreparingRebalance";
    case State::completing_rebalance: return "CompletingRebalance";
    case State::stable: return "Stable";
    case State::dead: return "Dead";
  }
  return "";
}

Bytes Group::metadata_of(const Member& member) const {
  for (const GroupProtocol& protocol : member.protocols) {
    if (protocol_ && protocol.name == *protocol_) return protocol.metadata;
  }
  return {};
}

// Of the clients' own format only the front is read: version, topics (KIP-429 and others add
// behind them).
bool Group::is_subscribed(std::string_view topic) const {
  if (members_.empty()) return false;
  if (protocol_type_ != "consumer") return true;
  for (const auto& [id, member] : members_) {
    const Bytes metadata =
        protocol_ ? metadata_of(member) : Bytes(member.protocols.front().metadata);
    kafka::Reader in(metadata);
    in.integer<std::int16_t>();
    for (std::int64_t left = in.array_count(false); left > 0 && !in.failed(); --left) {
      if (in.string(false) == topic && !in.failed()) return true;
    }
    if (in.failed()) return true;
  }
  return false;
}

ErrorCode Group::check_member(std::string_view member_id,
                              const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const auto known = statics_.find(*instance_id);
    if (known == statics_.end()) return ErrorCode::unknown_member_id;
    return known->second == member_id ? ErrorCode::none : ErrorCode::fenced_instance_id;
  }
  return members_.contains(member_id) ? ErrorCode::none : ErrorCode::unknown_member_id;
}

bool Group::has_room_for(std::string_view member_id) const {
  if (members_.contains(member_id) || pending_.contains(member_id)) return true;
  return members_.size() + pending_.size() < rules_.members_max;
}

bool Group::supports(const JoinAsk& ask) const {
  if (ask.protocol_type.empty() || ask.protocols.empty()) return false;
  if (members_.empty()) return true;
  if (ask.protocol_type != protocol_type_) return false;
  return std::any_of(ask.protocols.begin(), ask.protocols.end(), [this](const GroupProtocol& p) {
    const auto found = supported_.find(p.name);
    return found != supported_.end() && found->second == members_.size();
  });
}

bool Group::erase_pending(std::string_view member_id) {
  const auto found = pending_.find(member_id);
  if (found == pending_.end()) return false;
  pending_bytes_ -= pending_bytes_of(member_id);
  pending_.erase(found);
  return true;
}

void Group::count_in(const Member& member) {
  memory_bytes_ += bytes_of(member);
  for (const GroupProtocol& protocol : member.protocols) ++supported_[protocol.name];
}

void Group::count_out(const Member& member) {
  TR_ASSERT(memory_bytes_ >= bytes_of(member));
  memory_bytes_ -= bytes_of(member);
  for (const GroupProtocol& protocol : member.protocols) {
    const auto found = supported_.find(protocol.name);
    TR_ASSERT(found != supported_.end());
    if (--found->second == 0) supported_.erase(found);
  }
}

void Group::fail_join(Ticket ticket, std::string member_id, ErrorCode error) {
  if (ticket == nullptr) return;
  JoinAnswer answer;
  answer.ticket = ticket;
  answer.error = error;
  answer.member_id = std::move(member_id);
  effects_.joins.push_back(std::move(answer));
}

void Group::fail_sync(Ticket ticket, ErrorCode error) {
  effects_.syncs.push_back({.ticket = ticket, .error = error});
}

void Group::answer_join(Member& member) {
  JoinAnswer answer = current_join(member);
  answer.ticket = std::exchange(member.join, nullptr);
  --joined_count_;
  effects_.joins.push_back(std::move(answer));
}

JoinAnswer Group::current_join(const Member& member) const {
  JoinAnswer answer;
  answer.member_id = member.id;
  answer.generation = generation_;
  answer.protocol_type = protocol_type_;
  answer.protocol = protocol_;
  answer.leader = leader_;
  if (member.id != leader_) return answer;
  for (const auto& [id, other] : members_) {
    const Bytes metadata = metadata_of(other);
    answer.members.push_back({id, other.instance_id, {metadata.begin(), metadata.end()}});
  }
  return answer;
}

void Group::answer_sync(Member& member, Now now) {
  touch(member, now);
  effects_.syncs.push_back({.ticket = std::exchange(member.sync, nullptr),
                            .protocol_type = protocol_type_,
                            .protocol = protocol_,
                            .assignment = member.assignment});
}

void Group::store(Store asked) {
  const std::uint64_t number = ++store_number_;
  const bool is_plan = asked.kind == Store::Kind::assignments;
  effects_.stores.push_back({number, record_with(is_plan ? &asked.assignments : nullptr)});
  stores_.emplace(number, std::move(asked));
}

GroupRecord Group::record_with(const std::map<std::string, ByteString>* assignments) const {
  GroupRecord record;
  record.protocol_type = protocol_type_;
  record.generation = generation_;
  record.protocol = protocol_;
  if (!leader_.empty()) record.leader = leader_;
  record.state_ms = state_ms_;
  for (const auto& [id, member] : members_) {
    MemberRecord& to = record.members.emplace_back();
    to.id = id;
    to.instance_id = member.instance_id;
    to.client_id = member.client_id;
    to.client_host = member.client_host;
    to.rebalance_timeout_ms = static_cast<std::int32_t>(member.rebalance_timeout.ns / 1'000'000);
    to.session_timeout_ms = static_cast<std::int32_t>(member.session_timeout.ns / 1'000'000);
    const Bytes metadata = metadata_of(member);
    to.subscription.assign(metadata.begin(), metadata.end());
    if (assignments == nullptr) {
      to.assignment = member.assignment;
    } else if (const auto found = assignments->find(id); found != assignments->end()) {
      to.assignment = found->second;
    }
  }
  return record;
}

void Group::set_state(State state, Now now) {
  state_ = state;
  state_ms_ = now.wall_ms;
}

}  // namespace tailrace::control
