// Neighbours: which link address an IP address of our own network has (RFC 826; RFC 4861, 7.3).
//
//              first use                 answer
//   (unknown) -----------> [incomplete] --------> [reachable] <------------------+
//                            |                      | 30 s without a sign of life | answer, or
//              3 questions   |                      v                             | TCP goes on
//              unanswered    v                   [stale] -- use --> [probing] ----+
//                         (unknown) <------------------------ 3 questions unanswered
//
// A connection keeps the number of its neighbour (and a generation), so that the table is searched
// once, not per packet. The table is made of sets of eight: what an attacker on our own network can
// push out is one set. It remembers, it never sends: questions that are due are taken from it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/time.h"
#include "net/address.h"

namespace tailrace::net {

struct NeighbourRef {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
};

struct NeighbourQuestion {
  IpAddress address;
  MacAddress mac;  // zero: unknown, ask all
};

class Neighbours {
 public:
  static constexpr std::uint32_t no_frame = UINT32_MAX;

  Neighbours(std::uint32_t capacity, std::uint64_t hash_key);

  // Finds or makes the entry of `address`.
  NeighbourRef refer(const IpAddress& address, Instant now);
  // The link address, or null while it is unknown. `ref` is made anew when it is stale. Counts as
  // a use: it may make a question due.
  const MacAddress* resolve(const IpAddress& address, NeighbourRef& ref, Instant now);
  // TCP got something acknowledged by way of this neighbour (RFC 4861, 7.3.1).
  void confirm(NeighbourRef ref, Instant now);

  // What a message told. A new entry is made only if `may_add`; a known link address is replaced
  // only if `may_replace`. True when an address became known, so that what waited can go.
  struct News {
    IpAddress address;
    MacAddress mac;
    bool is_answer = false;   // to a question of ours: the neighbour lives
    bool may_add = false;
    bool may_replace = true;
  };
  bool learn(const News& news, Instant now);

  // One frame may wait for each unknown neighbour (RFC 1122, 2.3.2.2). Returns the frame that
  // waited before, or no_frame.
  std::uint32_t wait_with(NeighbourRef ref, std::uint32_t frame);
  // Of the entry last learned or given up.
  std::uint32_t take_waiting();

  // The next question that is due; false when there is none.
  bool take_question(Instant now, NeighbourQuestion& question);
  Instant next_deadline() const { return next_deadline_; }
  // Neighbours that did not answer, since the last call.
  std::uint32_t take_failures() { return std::exchange(failures_, 0); }

 private:
  enum class State : std::uint8_t { free, incomplete, reachable, stale, probing };
  struct Entry {
    IpAddress address;
    MacAddress mac;
    State state = State::free;
    std::uint8_t questions = 0;
    std::uint32_t generation = 0;
    std::uint32_t waiting = no_frame;
    Instant deadline{};       // reachable: until when; incomplete, probing: the next question
    Instant used_at{};
  };
  static constexpr std::uint32_t ways = 8;

  Entry* find(const IpAddress& address);
  std::uint32_t set_of(const IpAddress& address) const;
  Entry& claim(const IpAddress& address, Instant now);
  void forget(Entry& entry);
  void ask_at(Entry& entry, Instant when);

  std::vector<Entry> entries_;
  std::uint64_t hash_key_;
  std::uint32_t set_count_;
  Instant next_deadline_ = never();
  std::vector<std::uint32_t> released_;  // frames that waited for entries that changed
  std::uint32_t failures_ = 0;
};

}  // namespace tailrace::net
