#include "checkers/transactions.h"

#include <charconv>

namespace tailrace::sim {
namespace {

constexpr std::string_view front = "ledger ";

}  // namespace

std::uint32_t TransactionCheckers::begin(std::uint32_t owner) {
  transactions_.push_back({.owner = owner, .records = {}});
  return static_cast<std::uint32_t>(transactions_.size() - 1);
}

std::uint32_t TransactionCheckers::add_record(std::uint32_t transaction, std::int32_t partition) {
  const auto number = static_cast<std::uint32_t>(records_.size());
  records_.push_back({.transaction = transaction, .partition = partition});
  transactions_[transaction].records.push_back(number);
  return number;
}

std::string TransactionCheckers::value_of(std::uint32_t record) {
  return std::string(front) + std::to_string(record);
}

void TransactionCheckers::on_read(std::int32_t partition, std::int64_t offset,
                                  std::string_view value, bool at_last) {
  std::uint32_t number = UINT32_MAX;
  if (value.starts_with(front)) {
    std::from_chars(value.data() + front.size(), value.data() + value.size(), number);
  }
  if (number >= records_.size() || records_[number].partition != partition) {
    return verdicts_.broken("committed_once", "ledger-{} at {}: '{}' was never sent", partition,
                            offset, value);
  }
  TransactionRecord& record = records_[number];
  const SentTransaction& transaction = transactions_[record.transaction];
  if (!transaction.commit_asked) {
    verdicts_.broken("aborted_reads", "ledger-{} at {}: record {} of transaction {}, which nobody "
                     "asked to commit", partition, offset, number, record.transaction);
  }
  if (record.offset >= 0 && record.offset != offset) {
    verdicts_.broken("committed_once", "ledger-{}: record {} is at {} and at {}", partition,
                     number, record.offset, offset);
  }
  record.offset = offset;
  record.seen_at_last = record.seen_at_last || at_last;
  auto& order = order_[{partition, transaction.owner}];
  const auto at = order.insert_or_assign(offset, number).first;
  const bool behind = at != order.begin() && std::prev(at)->second > number;
  const bool before = std::next(at) != order.end() && std::next(at)->second < number;
  if (behind || before) {
    verdicts_.broken("committed_once", "ledger-{} at {}: record {} is out of its order", partition,
                     offset, number);
  }
}

bool TransactionCheckers::is_seen(const SentTransaction& transaction) const {
  return !transaction.records.empty() && records_[transaction.records.front()].seen_at_last;
}

void TransactionCheckers::on_offset(std::uint32_t owner, std::int64_t offset) {
  std::int64_t newest = -1;
  for (std::size_t i = 0; i < transactions_.size(); ++i) {
    const SentTransaction& transaction = transactions_[i];
    const bool counts = transaction.owner == owner && transaction.has_offset;
    if (counts && is_seen(transaction)) newest = static_cast<std::int64_t>(i);
  }
  if (offset == newest) return;
  verdicts_.broken("offsets_with_records",
                   "group of {}: offset {}, but the newest transaction that is seen is {}", owner,
                   offset, newest);
}

void TransactionCheckers::on_final() {
  for (std::size_t i = 0; i < transactions_.size(); ++i) {
    const SentTransaction& transaction = transactions_[i];
    std::size_t seen = 0;
    for (const std::uint32_t record : transaction.records) {
      seen += records_[record].seen_at_last ? 1 : 0;
      if (records_[record].offset < 0 || records_[record].seen_at_last) continue;
      verdicts_.broken("lost_transactions", "record {} was read at {} and is gone", record,
                       records_[record].offset);
    }
    const std::size_t all = transaction.records.size();
    if (transaction.committed && seen < all) {
      verdicts_.broken("lost_transactions", "transaction {}: committed, {} of {} records are there",
                       i, seen, all);
    } else if (seen > 0 && seen < all) {
      verdicts_.broken("torn_transactions", "transaction {}: {} of {} records are there", i, seen,
                       all);
    }
  }
}

}  // namespace tailrace::sim
