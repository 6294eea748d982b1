// TransactionTable: the transactions of a partition that have ended, as far as readers have to know
// of them: those whose marker is not durable yet, and those that were aborted.
//
// Readers of committed records get no further than the stable end, which lies before every
// transaction that is open (ProducerTable) or not decided durably. What they get below it they
// filter by the list of aborted transactions, so an entry is kept as long as any of its records. It
// must go before its marker does: whoever is told of it leaves out all that its producer has sent
// from there up to the marker, and without one, what was committed later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tailrace::log {

// Kafka's four numbers.
struct AbortedTransaction {
  std::int64_t producer_id = -1;
  std::int64_t first_offset = -1;
  std::int64_t last_offset = -1;   // of the marker
  // With the marker durable: what begins at or behind it has ended later than this one.
  std::int64_t stable_end = -1;
  friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
};

// What a reader is told of it.
struct AbortedRange {
  std::int64_t producer_id = -1;
  std::int64_t first_offset = -1;
  friend bool operator==(const AbortedRange&, const AbortedRange&) = default;
};

class TransactionTable {
 public:
  // A marker at `ended.last_offset`, behind all others, was staged.
  void on_end(const AbortedTransaction& ended, bool is_commit);
  // Markers before `durable_end` are durable.
  void on_durable(std::int64_t durable_end) {
    if (!undecided_.empty()) decide(durable_end);
  }
  // Where the oldest of those begins whose marker is not; INT64_MAX when all are.
  std::int64_t first_undecided() const { return first_undecided_; }

  // Those that have offsets in [offset, offset_end), in the order of their first offsets; fills
  // `ranges` from the front and returns how many there are, which may be more.
  std::size_t find(std::int64_t offset, std::int64_t offset_end,
                   std::span<AbortedRange> ranges) const;

  // Forgets those that end before `offset`: nothing is left of their records.
  void trim_front(std::int64_t offset);
  // Markers at or behind `end_offset` did not happen. `reopen` is told of each transaction that has
  // records before it: its producer and where it began.
  template <class Reopen>
  void truncate(std::int64_t end_offset, Reopen reopen) {
    while (!undecided_.empty() && undecided_.back().last_offset >= end_offset) {
      const Undecided ended = undecided_.back();
      undecided_.pop_back();
      if (ended.first_offset < end_offset) reopen(ended.producer_id, ended.first_offset);
    }
    find_first_undecided();
    while (!aborted_.empty() && aborted_.back().last_offset >= end_offset) aborted_.pop_back();
  }

  const std::vector<AbortedTransaction>& aborted() const { return aborted_; }
  // From a checkpoint. What contradicts itself is left out.
  void restore(const std::vector<AbortedTransaction>& aborted);

 private:
  struct Undecided {
    std::int64_t producer_id = -1;
    std::int64_t first_offset = -1;
    std::int64_t last_offset = -1;
  };
  void decide(std::int64_t durable_end);
  void find_first_undecided();

  std::vector<Undecided> undecided_;         // by last offset
  std::vector<AbortedTransaction> aborted_;  // by last offset; stable_end does not shrink
  std::int64_t first_undecided_ = INT64_MAX;
};

}  // namespace tailrace::log
