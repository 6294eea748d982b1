#include "raft/raft.h"

#include <utility>

#include "base/assert.h"

namespace tailrace::raft {

Raft::Raft(NodeId self, Recovered recovered)
    : self_(self),
      hard_state_(recovered.hard_state),
      entries_(recovered.snapshot.index, recovered.snapshot.term,
               recovered.snapshot.configuration),
      committed_(recovered.snapshot.index) {
  for (Entry& entry : recovered.entries) {
    if (!entries_.append(std::move(entry))) valid_ = false;
  }
  // An entry of a term that was never voted in: the two do not belong together.
  if (entries_.last_term() > hard_state_.term) valid_ = false;
  durable_ = entries_.last();
}

bool Raft::is_alone() const {
  const Configuration& configuration = entries_.configuration_at(entries_.last());
  return configuration.voters.size() == 1 && configuration.voters.front() == self_;
}

bool Raft::has_committed_own_term() const {
  return role_ == Role::leader && entries_.term_at(committed_) == hard_state_.term;
}

Update Raft::step(Event event, Instant) {
  TR_ASSERT(valid_);
  Update update;
  switch (event.kind) {
    case Event::Kind::tick:
      if (wants_election()) elect(update);
      break;
    case Event::Kind::propose:
      if (role_ == Role::leader) append(EntryKind::data, std::move(event.bytes), update);
      break;
    case Event::Kind::persisted:
      on_persisted(event.index, event.term);
      break;
    case Event::Kind::compacted:
      TR_ASSERT(event.index <= committed_);
      entries_.compact(event.index);
      break;
  }
  update.committed = committed_;
  TR_ASSERT(committed_ <= durable_);
  TR_ASSERT(durable_ <= entries_.last());
  return update;
}

void Raft::elect(Update& update) {
  hard_state_ = {hard_state_.term + 1, self_};
  update.hard_state = hard_state_;
  role_ = Role::leader;
  // Entries of older terms are committed only together with one of this term (Raft 5.4.2).
  append(EntryKind::no_op, {}, update);
}

void Raft::append(EntryKind kind, std::vector<std::byte> bytes, Update& update) {
  Entry entry{entries_.last() + 1, hard_state_.term, kind, std::move(bytes)};
  TR_ASSERT(entries_.append(entry));
  update.entries.push_back(std::move(entry));
}

// The report may be about entries that were cut since: it counts only if the log still has that
// entry. The own copy counts no earlier than this, although it was the first to be made.
void Raft::on_persisted(Index index, Term term) {
  if (index > entries_.last() || index < entries_.snapshot_index()) return;
  if (entries_.term_at(index) != term) return;
  if (index > durable_) durable_ = index;
  const bool own_term = entries_.term_at(durable_) == hard_state_.term;
  if (role_ == Role::leader && own_term && durable_ > committed_) committed_ = durable_;
}

}  // namespace tailrace::raft
