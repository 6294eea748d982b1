// What transactions promise a reader at READ_COMMITTED:
//   aborted_reads           it sees no record of a transaction that nobody asked to commit
//   lost_transactions       it sees every record of one whose commit was acknowledged
//   torn_transactions       it sees all records of one, or none
//   committed_once          each record once, at one offset, in the order of its transactional id
//   offsets_with_records    a group's offset is that of the newest transaction that is seen
//   no_hanging_transaction  when nobody writes any more, everything is decided
//
// Producers of one transactional id fence each other, so its transactions have one order, whoever
// made them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkers/verdicts.h"

namespace tailrace::sim {

struct SentTransaction {
  std::uint32_t owner = 0;            // index of its transactional id
  bool has_offset = false;            // commits an offset of the owner's group: its own number
  bool commit_asked = false;
  bool committed = false;             // and acknowledged
  std::vector<std::uint32_t> records;
};

struct TransactionRecord {
  std::uint32_t transaction = 0;
  std::int32_t partition = 0;
  std::int64_t offset = -1;           // where it was seen
  bool seen_at_last = false;          // by the reader that came when all was over
};

class TransactionCheckers {
 public:
  explicit TransactionCheckers(Verdicts& verdicts) : verdicts_(verdicts) {}

  // --- what producers do
  std::uint32_t begin(std::uint32_t owner);
  std::uint32_t add_record(std::uint32_t transaction, std::int32_t partition);
  SentTransaction& transaction(std::uint32_t number) { return transactions_[number]; }
  std::size_t transaction_count() const { return transactions_.size(); }

  // --- what readers see
  static std::string value_of(std::uint32_t record);
  // A record that READ_COMMITTED let through. `at_last`: by the reader at the end.
  void on_read(std::int32_t partition, std::int64_t offset, std::string_view value, bool at_last);
  // The offset of an owner's group; -1: none.
  void on_offset(std::uint32_t owner, std::int64_t offset);
  // The reader at the end has seen everything.
  void on_final();

 private:
  bool is_seen(const SentTransaction& transaction) const;

  Verdicts& verdicts_;
  std::vector<SentTransaction> transactions_;
  std::vector<TransactionRecord> records_;
  // What was read before a record in its partition, of the same owner.
  std::map<std::pair<std::int32_t, std::uint32_t>, std::map<std::int64_t, std::uint32_t>> order_;
};

}  // namespace tailrace::sim
