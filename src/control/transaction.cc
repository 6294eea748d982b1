#include "control/transaction.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

constexpr std::int16_t first_with_epochs = 2;  // transaction version
constexpr std::uint64_t partition_overhead_bytes = 96;
constexpr std::uint64_t transaction_overhead_bytes = 384;

}  // namespace

Transaction::Transaction(std::int64_t producer_id, std::int32_t timeout_ms, std::int64_t now_ms) {
  record_.producer_id = producer_id;
  record_.timeout_ms = timeout_ms;
  record_.update_ms = now_ms;
}

Transaction::Verdict Transaction::write(TransactionRecord record, std::int16_t last_epoch) {
  TR_ASSERT(!next_);
  TR_ASSERT(record.producer_epoch >= 0);
  record.previous_producer_id = record_.producer_id;
  next_ = std::move(record);
  next_last_epoch_ = last_epoch;
  return {.error = ErrorCode::none, .writes = true};
}

void Transaction::on_written(bool is_good) {
  TR_ASSERT(next_.has_value());
  if (is_good) {
    record_ = std::move(*next_);
    last_epoch_ = next_last_epoch_;
    has_failed_fence_ = false;
  } else if (fence_epoch_) {
    record_.producer_epoch = *fence_epoch_;
    last_epoch_ = -1;
    has_failed_fence_ = true;
  }
  next_.reset();
  fence_epoch_.reset();
}

// ---------------------------------------------------------------- InitProducerId

Transaction::Verdict Transaction::init(std::int32_t timeout_ms,
                                       const std::optional<ProducerIdentity>& expected,
                                       std::int64_t spare_id, std::int64_t now_ms) {
  if (next_) return {ErrorCode::concurrent_transactions};
  if (expected && !is_known(*expected)) return {ErrorCode::producer_fenced};
  if (is_ending()) return {ErrorCode::concurrent_transactions};
  if (is_ongoing()) {
    // The producer comes again when the transaction of the one before it has ended, and gets one
    // more epoch.
    Verdict verdict = fence(now_ms);
    verdict.error = ErrorCode::concurrent_transactions;
    return verdict;
  }
  TransactionRecord next = record_;
  next.state = State::empty;
  next.timeout_ms = timeout_ms;
  next.partitions.clear();
  next.start_ms = -1;
  next.update_ms = now_ms;
  const bool is_newest = !expected || expected->epoch == record_.producer_epoch;
  if (!is_epoch_exhausted() || !is_newest) return increment_epoch(std::move(next), expected);
  if (spare_id < 0) return {ErrorCode::coordinator_load_in_progress};
  next.producer_id = spare_id;
  next.producer_epoch = 0;
  Verdict verdict = write(std::move(next), expected ? record_.producer_epoch : std::int16_t{-1});
  verdict.used_spare_id = true;
  return verdict;
}

// A producer that names itself is known when it is the newest, when its id was lost here, or when
// it repeats a request that has given it another id.
bool Transaction::is_known(const ProducerIdentity& expected) const {
  return record_.producer_epoch < 0 || expected.id == record_.producer_id ||
         (expected.id == record_.previous_producer_id && expected.epoch >= producer_epoch_max);
}

Transaction::Verdict Transaction::increment_epoch(TransactionRecord next,
                                                  const std::optional<ProducerIdentity>& expected) {
  const std::int16_t epoch = record_.producer_epoch;
  const auto bumped = static_cast<std::int16_t>(epoch + 1);
  if (!expected) {
    next.producer_epoch = bumped;
    return write(std::move(next), -1);
  }
  const bool is_newest = epoch < 0 || expected->epoch == epoch;
  if (is_newest && !is_epoch_exhausted()) {
    next.producer_epoch = bumped;
    return write(std::move(next), epoch);
  }
  // Asked once more by one who has not got the answer.
  if (expected->epoch >= 0 && expected->epoch == last_epoch_) {
    return write(std::move(next), last_epoch_);
  }
  return {ErrorCode::producer_fenced};
}

bool Transaction::is_epoch_exhausted() const {
  return record_.producer_epoch >= producer_epoch_max;
}

// ---------------------------------------------------------------- partitions

ErrorCode Transaction::check(const ProducerIdentity& producer) const {
  if (producer.id != record_.producer_id) return ErrorCode::invalid_producer_id_mapping;
  const bool is_newest = producer.epoch == record_.producer_epoch &&
                         producer.epoch >= 0 && producer.epoch <= producer_epoch_max;
  if (!is_newest) return ErrorCode::producer_fenced;
  return is_ending() ? ErrorCode::concurrent_transactions : ErrorCode::none;
}

// What is under way comes first: the producer may already have the identity that follows.
Transaction::Verdict Transaction::add(const ProducerIdentity& producer,
                                      const std::set<NamedPartition>& partitions,
                                      std::int16_t version, std::size_t partitions_max,
                                      std::int64_t now_ms) {
  if (next_ || is_ending()) return {ErrorCode::concurrent_transactions};
  if (const ErrorCode error = check(producer); error != ErrorCode::none) return {error};
  const bool has_all = std::all_of(partitions.begin(), partitions.end(),
                                   [this](const NamedPartition& one) { return contains(one); });
  if (is_ongoing() && has_all) return {ErrorCode::none};
  TransactionRecord next = record_;
  if (!is_ongoing()) next.start_ms = now_ms;
  next.state = State::ongoing;
  next.partitions.insert(partitions.begin(), partitions.end());
  if (next.partitions.size() > partitions_max) return {ErrorCode::policy_violation};
  next.update_ms = now_ms;
  next.client_version = version;
  return write(std::move(next), last_epoch_);
}

// ---------------------------------------------------------------- the end

Transaction::Verdict Transaction::end(const ProducerIdentity& producer, bool is_commit,
                                      std::int16_t version, std::int64_t spare_id,
                                      std::int64_t now_ms) {
  if (producer.epoch < 0 || producer.epoch > producer_epoch_max) {
    return {ErrorCode::producer_fenced};
  }
  return version < first_with_epochs ? end_v1(producer, is_commit, now_ms)
                                     : end_v2(producer, is_commit, spare_id, now_ms);
}

Transaction::Verdict Transaction::end_v1(const ProducerIdentity& producer, bool is_commit,
                                         std::int64_t now_ms) {
  if (producer.id != record_.producer_id) return {ErrorCode::invalid_producer_id_mapping};
  if (producer.epoch != record_.producer_epoch) return {ErrorCode::producer_fenced};
  if (next_) return {ErrorCode::concurrent_transactions};
  switch (record_.state) {
    case State::ongoing:
      return prepare(is_commit ? State::prepare_commit : State::prepare_abort, 0, -1, now_ms);
    case State::complete_commit:
      return {is_commit ? ErrorCode::none : ErrorCode::invalid_txn_state};
    case State::complete_abort:
      return {is_commit ? ErrorCode::invalid_txn_state : ErrorCode::none};
    case State::prepare_commit:
      return {is_commit ? ErrorCode::concurrent_transactions : ErrorCode::invalid_txn_state};
    case State::prepare_abort:
      return {is_commit ? ErrorCode::invalid_txn_state : ErrorCode::concurrent_transactions};
    case State::empty:
    case State::dead:
    case State::prepare_epoch_fence:
      return {ErrorCode::invalid_txn_state};
  }
  return {ErrorCode::invalid_txn_state};
}

// The same epoch means the next transaction, the one before it a request that is repeated:
//
//                     abort, again | abort, anew | commit, again | commit, anew
//   prepare_...       (see below)  | later       | (see below)   | later
//   empty             fenced       | ends        | fenced        | invalid
//   complete_abort    done         | ends        | invalid       | invalid
//   complete_commit   invalid      | ends        | done          | invalid
Transaction::Verdict Transaction::end_v2(const ProducerIdentity& producer, bool is_commit,
                                         std::int64_t spare_id, std::int64_t now_ms) {
  const std::int16_t epoch = record_.producer_epoch;
  const bool is_same = producer.id == record_.producer_id;
  const bool is_complete =
      record_.state == State::complete_commit || record_.state == State::complete_abort;
  const bool is_again_under_old_id = is_complete && !is_same && epoch == 0 &&
                                     producer.id == record_.previous_producer_id &&
                                     producer.epoch == producer_epoch_max;
  const bool is_again = (is_same && epoch == producer.epoch + 1) || is_again_under_old_id;
  if (!is_same && !is_again_under_old_id) return {ErrorCode::invalid_producer_id_mapping};
  const bool may_be_again = is_complete || is_ending();
  const bool is_anew = is_same && producer.epoch == epoch;
  if (!is_anew && !(may_be_again && is_again)) return {ErrorCode::producer_fenced};
  // The markers of the one before are still being written.
  if (is_anew && is_ending()) return {ErrorCode::concurrent_transactions};
  if (next_) return {ErrorCode::concurrent_transactions};
  const State to = is_commit ? State::prepare_commit : State::prepare_abort;
  switch (record_.state) {
    case State::ongoing:
      return prepare(to, first_with_epochs, spare_id, now_ms);
    case State::prepare_commit:
    case State::prepare_abort:
      return {to == record_.state ? ErrorCode::concurrent_transactions
                                  : ErrorCode::invalid_txn_state};
    case State::complete_commit:
    case State::complete_abort:
      if (is_again && is_commit == (record_.state == State::complete_commit)) return {};
      if (is_again || is_commit) return {ErrorCode::invalid_txn_state};
      return prepare(to, first_with_epochs, spare_id, now_ms);
    case State::empty:
      if (is_commit) return {ErrorCode::invalid_txn_state};
      return prepare(to, first_with_epochs, spare_id, now_ms);
    case State::dead:
    case State::prepare_epoch_fence:
      return {ErrorCode::invalid_txn_state};
  }
  return {ErrorCode::invalid_txn_state};
}

Transaction::Verdict Transaction::prepare(State to, std::int16_t version, std::int64_t spare_id,
                                          std::int64_t now_ms) {
  TransactionRecord next = record_;
  if (!is_ongoing()) next.start_ms = now_ms;
  next.state = to;
  next.update_ms = now_ms;
  next.client_version = version;
  next.next_producer_id = -1;
  if (version < first_with_epochs) return write(std::move(next), last_epoch_);
  const bool needs_id = is_epoch_exhausted();
  if (needs_id && spare_id < 0) return {ErrorCode::coordinator_load_in_progress};
  if (needs_id) next.next_producer_id = spare_id;
  next.producer_epoch = static_cast<std::int16_t>(record_.producer_epoch + 1);
  Verdict verdict = write(std::move(next), record_.producer_epoch);
  verdict.used_spare_id = needs_id;
  return verdict;
}

// Aborts with an epoch that the producer does not have. At the highest one it stays: the next
// producer gets another id.
Transaction::Verdict Transaction::fence(std::int64_t now_ms) {
  if (next_ || !is_ongoing()) return {ErrorCode::concurrent_transactions};
  const auto one_more = [](std::int16_t epoch) {
    return epoch == INT16_MAX ? epoch : static_cast<std::int16_t>(epoch + 1);
  };
  const std::int16_t fencing =
      has_failed_fence_ ? record_.producer_epoch : one_more(record_.producer_epoch);
  TransactionRecord next = record_;
  next.state = State::prepare_abort;
  next.update_ms = now_ms;
  next.client_version = first_with_epochs;
  next.next_producer_id = -1;
  next.producer_epoch = one_more(fencing);
  fence_epoch_ = fencing;
  return write(std::move(next), fencing);
}

Transaction::Verdict Transaction::complete(std::int64_t now_ms) {
  TR_ASSERT(is_ending());
  TransactionRecord next = record_;
  const ProducerIdentity after = producer();
  next.state = record_.state == State::prepare_commit ? State::complete_commit
                                                      : State::complete_abort;
  next.producer_id = after.id;
  next.producer_epoch = after.epoch;
  next.next_producer_id = -1;
  next.partitions.clear();
  next.update_ms = now_ms;
  return write(std::move(next), last_epoch_);
}

ProducerIdentity Transaction::producer() const {
  const bool has_next = is_ending() && record_.client_version >= first_with_epochs &&
                        record_.next_producer_id >= 0;
  if (has_next) return {record_.next_producer_id, 0};
  return {record_.producer_id, record_.producer_epoch};
}

void Transaction::expire() {
  TR_ASSERT(!next_);
  next_ = record_;
  next_->state = State::dead;
}

std::uint64_t Transaction::memory_bytes() const {
  std::uint64_t bytes = transaction_overhead_bytes;
  for (const NamedPartition& one : record_.partitions) {
    bytes += partition_overhead_bytes + one.topic.size();
  }
  return next_ ? 2 * bytes : bytes;
}

}  // namespace tailrace::control
