#include "net/neighbours.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"

namespace tailrace::net {
namespace {

constexpr Duration reachable_time = seconds(30);
constexpr Duration question_interval = seconds(1);
constexpr std::uint8_t questions_max = 3;

}  // namespace

Neighbours::Neighbours(std::uint32_t capacity, std::uint64_t hash_key)
    : hash_key_(hash_key), set_count_(std::bit_ceil(std::max(capacity, ways) / ways)) {
  entries_.resize(std::size_t{set_count_} * ways);
  released_.reserve(entries_.size());
}

std::uint32_t Neighbours::set_of(const IpAddress& address) const {
  // What differs between the stations of a network are the last bytes of the address, and those are
  // the highest of the number: they must be brought down before a multiplication, which only
  // carries upwards.
  std::uint64_t hash = (address.high() ^ hash_key_) * 0x9e3779b97f4a7c15U;
  hash ^= (hash >> 32) ^ address.low();
  hash = (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9U;
  return static_cast<std::uint32_t>(hash >> 33) & (set_count_ - 1);
}

Neighbours::Entry* Neighbours::find(const IpAddress& address) {
  Entry* set = &entries_[std::size_t{set_of(address)} * ways];
  for (std::uint32_t i = 0; i < ways; ++i) {
    if (set[i].state != State::free && set[i].address == address) return &set[i];
  }
  return nullptr;
}

// The place of the entry that was not used for longest, and of unanswered ones first.
Neighbours::Entry& Neighbours::claim(const IpAddress& address, Instant now) {
  Entry* set = &entries_[std::size_t{set_of(address)} * ways];
  const auto worth = [](const Entry& entry) {
    const int rank = entry.state == State::free ? 0 : entry.state == State::incomplete ? 1 : 2;
    return std::pair{rank, entry.used_at};
  };
  Entry* chosen = std::min_element(set, set + ways, [&](const Entry& a, const Entry& b) {
    return worth(a) < worth(b);
  });
  if (chosen->state != State::free) forget(*chosen);
  chosen->address = address;
  chosen->used_at = now;
  chosen->questions = 0;
  return *chosen;
}

void Neighbours::forget(Entry& entry) {
  entry.state = State::free;
  ++entry.generation;
  if (entry.waiting != no_frame) released_.push_back(entry.waiting);
  entry.waiting = no_frame;
}

void Neighbours::ask_at(Entry& entry, Instant when) {
  entry.deadline = when;
  next_deadline_ = std::min(next_deadline_, when);
}

NeighbourRef Neighbours::refer(const IpAddress& address, Instant now) {
  Entry* entry = find(address);
  if (entry == nullptr) {
    entry = &claim(address, now);
    entry->state = State::incomplete;
    entry->mac = {};
    ask_at(*entry, now);
  }
  return {static_cast<std::uint32_t>(entry - entries_.data()), entry->generation};
}

const MacAddress* Neighbours::resolve(const IpAddress& address, NeighbourRef& ref, Instant now) {
  if (ref.index >= entries_.size() || entries_[ref.index].generation != ref.generation ||
      entries_[ref.index].address != address) {
    ref = refer(address, now);
  }
  Entry& entry = entries_[ref.index];
  entry.used_at = now;
  switch (entry.state) {
    case State::incomplete:
      return nullptr;
    case State::reachable:
      if (entry.deadline > now) return &entry.mac;
      [[fallthrough]];
    case State::stale:
      // Used all the same while it is asked: most often nothing has changed.
      entry.state = State::probing;
      entry.questions = 0;
      ask_at(entry, now);
      return &entry.mac;
    case State::probing:
      return &entry.mac;
    case State::free:
      break;
  }
  // Given up since; the generation told, so it was made anew above.
  TR_ASSERT(false);
}

void Neighbours::confirm(NeighbourRef ref, Instant now) {
  if (ref.index >= entries_.size()) return;
  Entry& entry = entries_[ref.index];
  if (entry.generation != ref.generation) return;
  if (entry.state == State::free || entry.state == State::incomplete) return;
  entry.state = State::reachable;
  entry.deadline = now + reachable_time;
}

bool Neighbours::learn(const News& news, Instant now) {
  Entry* entry = find(news.address);
  if (entry == nullptr) {
    if (!news.may_add) return false;
    entry = &claim(news.address, now);
    entry->state = State::incomplete;
  }
  const bool was_unknown = entry->state == State::incomplete;
  if (!was_unknown && entry->mac != news.mac) {
    if (!news.may_replace) return false;
    entry->state = State::stale;
  }
  entry->mac = news.mac;
  if (news.is_answer) {
    entry->state = State::reachable;
    entry->deadline = now + reachable_time;
  } else if (was_unknown) {
    entry->state = State::stale;
  }
  if (was_unknown && entry->waiting != no_frame) {
    released_.push_back(entry->waiting);
    entry->waiting = no_frame;
  }
  return was_unknown;
}

std::uint32_t Neighbours::wait_with(NeighbourRef ref, std::uint32_t frame) {
  TR_ASSERT(entries_[ref.index].generation == ref.generation);
  return std::exchange(entries_[ref.index].waiting, frame);
}

std::uint32_t Neighbours::take_waiting() {
  if (released_.empty()) return no_frame;
  const std::uint32_t frame = released_.back();
  released_.pop_back();
  return frame;
}

bool Neighbours::take_question(Instant now, NeighbourQuestion& question) {
  if (now < next_deadline_) return false;
  next_deadline_ = never();
  bool found = false;
  for (Entry& entry : entries_) {
    if (entry.state != State::incomplete && entry.state != State::probing) continue;
    if (entry.deadline <= now && !found) {
      if (entry.questions == questions_max) {
        ++failures_;
        forget(entry);
        continue;
      }
      found = true;
      question = {entry.address, entry.state == State::probing ? entry.mac : MacAddress{}};
      ++entry.questions;
      entry.deadline = now + question_interval;
    }
    next_deadline_ = std::min(next_deadline_, entry.deadline);
  }
  return found;
}

}  // namespace tailrace::net
