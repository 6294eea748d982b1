#include "log/producer_table.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::log {

namespace {

// Sequences wrap from 2^31 - 1 to 0 (KIP-98).
std::int32_t sequence_after(std::int32_t first, std::int64_t count) {
  constexpr std::int64_t sequences = std::int64_t{INT32_MAX} + 1;
  return static_cast<std::int32_t>((first + count) % sequences);
}

}  // namespace

ProducerBatch ProducerTable::unpacked(const Batch& batch) {
  return {batch.first_sequence, sequence_after(batch.first_sequence, batch.last_delta),
          batch.base_offset, batch.base_offset + batch.last_delta, batch.timestamp_ms};
}

Result<ProducerTable::Verdict> ProducerTable::check(const record::BatchHeader& batch,
                                                    bool must_begin) const {
  const bool is_sequenced = batch.base_sequence >= 0;
  const auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) {
    const bool is_later = must_begin ? batch.base_sequence > 0 : overtakes_expected(batch);
    if (is_later) return fail(Errc::out_of_order);
    return Verdict{};
  }
  const Producer& producer = found->second;
  TR_ASSERT(producer.batch_count <= ProducerState::batches_max);

  if (batch.producer_epoch < producer.epoch) return fail(Errc::stale_epoch);
  const bool is_wrong = producer.transaction_start >= 0 && !batch.is_transactional();
  if (!is_sequenced || batch.producer_epoch > producer.epoch) {
    if (is_sequenced && batch.base_sequence != 0) return fail(Errc::out_of_order);
    if (is_wrong) return fail(Errc::wrong_transaction);
    return Verdict{};
  }
  for (std::size_t i = 0; i < producer.batch_count; ++i) {
    const ProducerBatch known = unpacked(producer.batches[i]);
    if (known.first_sequence == batch.base_sequence &&
        known.last_sequence == batch.last_sequence()) {
      return Verdict{true, known};
    }
  }
  // An epoch of which only a control batch was seen begins at 0, as in Kafka.
  const std::int32_t next =
      producer.batch_count == 0
          ? 0
          : sequence_after(unpacked(producer.batches[producer.batch_count - 1U]).last_sequence, 1);
  const bool may_be_any = producer.batch_count == 0 && producer.may_begin_anywhere;
  if (batch.base_sequence != next && !may_be_any) return fail(Errc::out_of_order);
  if (is_wrong) return fail(Errc::wrong_transaction);
  return Verdict{};
}

Result<bool> ProducerTable::check_marker(const record::BatchHeader& batch,
                                         const record::TransactionMarker& marker,
                                         std::int8_t transaction_version) const {
  const auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) return false;
  const Producer& producer = found->second;
  if (batch.producer_epoch < producer.epoch) return fail(Errc::stale_epoch);
  const bool has_own_epoch = transaction_version >= 2;
  if (has_own_epoch && batch.producer_epoch == producer.epoch) {
    // Either the transaction that it ends has ended, or what is open is a later one.
    if (producer.transaction_start >= 0) return fail(Errc::stale_epoch);
    return true;
  }
  if (marker.coordinator_epoch < producer.coordinator_epoch) {
    return fail(Errc::coordinator_fenced);
  }
  return false;
}

void ProducerTable::expect(const record::BatchHeader& batch) {
  if (batch.base_sequence < 0 || producers_.contains(batch.producer_id)) return;
  if (expected_.size() >= expected_max) expected_.clear();
  const Expected now{batch.base_sequence, batch.producer_epoch};
  Expected& known = expected_.try_emplace(batch.producer_id, now).first->second;
  if (known.epoch < now.epoch) known = now;
  if (known.epoch == now.epoch) known.sequence = std::min(known.sequence, now.sequence);
}

bool ProducerTable::overtakes_expected(const record::BatchHeader& batch) const {
  if (expected_.empty()) return false;
  const auto found = expected_.find(batch.producer_id);
  return found != expected_.end() && found->second.epoch == batch.producer_epoch &&
         batch.base_sequence > found->second.sequence;
}

bool ProducerTable::in_transaction(std::int64_t producer_id, std::int16_t epoch) const {
  const auto found = producers_.find(producer_id);
  return found != producers_.end() && found->second.transaction_start >= 0 &&
         found->second.epoch == epoch;
}

bool ProducerTable::has_open(std::int64_t producer_id) const {
  const auto found = producers_.find(producer_id);
  return found != producers_.end() && found->second.transaction_start >= 0;
}

bool ProducerTable::guard_holds(const record::BatchHeader& batch, std::uint64_t guard,
                                bool epoch_per_transaction) const {
  const auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) return marker_forgotten_ <= guard;
  if (epoch_per_transaction) return found->second.epoch <= batch.producer_epoch;
  return found->second.marker <= guard;
}

void ProducerTable::on_batch(const record::BatchHeader& batch, std::int64_t base_offset,
                             std::int64_t wall_ms) {
  TR_ASSERT(batch.has_producer());
  TR_ASSERT(base_offset >= 0);
  if (!expected_.empty()) expected_.erase(batch.producer_id);
  Producer& producer = find_or_add(batch.producer_id);
  set_epoch(producer, batch.producer_epoch);
  producer.last_seen_ms = wall_ms;
  producer.newest_offset = base_offset;
  const bool opens =
      batch.is_transactional() && !batch.is_control() && producer.transaction_start < 0;
  if (opens) open(producer, base_offset);
  if (batch.base_sequence < 0) return;  // A coordinator's batches have none.
  add_batch(producer,
            {base_offset, batch.max_timestamp, batch.base_sequence, batch.last_offset_delta});
}

std::int64_t ProducerTable::on_marker(const record::BatchHeader& batch,
                                      const record::TransactionMarker& marker,
                                      std::int64_t wall_ms) {
  if (!expected_.empty()) expected_.erase(batch.producer_id);
  Producer& producer = find_or_add(batch.producer_id);
  set_epoch(producer, batch.producer_epoch);
  producer.last_seen_ms = wall_ms;
  producer.newest_offset = batch.base_offset;
  producer.coordinator_epoch = marker.coordinator_epoch;
  producer.marker = ++markers_;
  const std::int64_t start = producer.transaction_start;
  if (start >= 0) close(producer);
  return start;
}

void ProducerTable::set_epoch(Producer& producer, std::int16_t epoch) {
  if (producer.epoch == epoch) return;
  producer.epoch = epoch;
  producer.batch_count = 0;
  producer.may_begin_anywhere = false;
}

// Nearly always behind all others: offsets grow.
void ProducerTable::open(Producer& producer, std::int64_t transaction_start) {
  TR_ASSERT(producer.transaction_start < 0);
  TR_ASSERT(transaction_start >= 0);
  Producer* before = last_open_;
  while (before != nullptr && before->transaction_start > transaction_start) {
    before = before->opened_before;
  }
  Producer* const after = before == nullptr ? first_open_ : before->opened_after;
  producer.transaction_start = transaction_start;
  producer.opened_before = before;
  producer.opened_after = after;
  (before == nullptr ? first_open_ : before->opened_after) = &producer;
  (after == nullptr ? last_open_ : after->opened_before) = &producer;
  ++open_count_;
}

void ProducerTable::close(Producer& producer) {
  TR_ASSERT(producer.transaction_start >= 0);
  TR_ASSERT(open_count_ > 0);
  Producer* const before = producer.opened_before;
  Producer* const after = producer.opened_after;
  (before == nullptr ? first_open_ : before->opened_after) = after;
  (after == nullptr ? last_open_ : after->opened_before) = before;
  producer.opened_before = nullptr;
  producer.opened_after = nullptr;
  producer.transaction_start = -1;
  --open_count_;
}

void ProducerTable::add_batch(Producer& producer, const Batch& batch) {
  TR_ASSERT(batch.first_sequence >= 0);
  TR_ASSERT(batch.last_delta >= 0);
  if (producer.batch_count == ProducerState::batches_max) {
    std::move(producer.batches.begin() + 1, producer.batches.end(), producer.batches.begin());
    --producer.batch_count;
  }
  producer.batches[producer.batch_count] = batch;
  ++producer.batch_count;
}

bool ProducerTable::ends_with(const record::BatchHeader& batch) const {
  const auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) return false;
  const Producer& producer = found->second;
  if (producer.epoch != batch.producer_epoch) return false;
  if (producer.batch_count == 0) {
    // A marker ends what was sent without sequences.
    return producer.newest_offset < 0 ? batch.is_control()
                                      : producer.newest_offset == batch.base_offset;
  }
  return producer.batches[producer.batch_count - 1U].base_offset == batch.base_offset;
}

ProducerTable::Producer& ProducerTable::find_or_add(std::int64_t producer_id) {
  const auto [at, is_new] = producers_.try_emplace(producer_id);
  Producer& producer = at->second;
  if (&producer == newest_) return producer;
  if (is_new) {
    producer.producer_id = producer_id;
  } else {
    unlink(producer);
  }
  producer.older = newest_;
  producer.newer = nullptr;
  (newest_ == nullptr ? oldest_ : newest_->newer) = &producer;
  newest_ = &producer;
  return producer;
}

void ProducerTable::unlink(Producer& producer) {
  (producer.newer == nullptr ? newest_ : producer.newer->older) = producer.older;
  (producer.older == nullptr ? oldest_ : producer.older->newer) = producer.newer;
}

void ProducerTable::forget(Producer& producer) {
  TR_ASSERT(producer.transaction_start < 0);
  marker_forgotten_ = std::max(marker_forgotten_, producer.marker);
  unlink(producer);
  const std::size_t erased = producers_.erase(producer.producer_id);
  TR_ASSERT(erased == 1);
}

std::size_t ProducerTable::expire(std::int64_t wall_ms) {
  const std::size_t size_before = producers_.size();
  // All are looked at: the wall clock may have gone back between two batches.
  for (Producer* at = oldest_; at != nullptr;) {
    Producer& producer = *at;
    at = producer.newer;
    if (producer.last_seen_ms < wall_ms && producer.transaction_start < 0) forget(producer);
  }
  return size_before - producers_.size();
}

bool ProducerTable::drop_oldest() {
  for (Producer* at = oldest_; at != nullptr; at = at->newer) {
    if (at->transaction_start >= 0) continue;
    forget(*at);
    return true;
  }
  return false;
}

void ProducerTable::truncate(std::int64_t end_offset) {
  for (Producer* at = oldest_; at != nullptr;) {
    Producer& producer = *at;
    at = producer.newer;
    const std::uint8_t count_before = producer.batch_count;
    if (producer.newest_offset >= end_offset) producer.newest_offset = -1;
    if (producer.transaction_start >= end_offset) close(producer);
    while (producer.batch_count > 0 &&
           producer.batches[producer.batch_count - 1U].base_offset >= end_offset) {
      --producer.batch_count;
    }
    // What it sent before the window is not known any more, so nothing may be demanded of it.
    if (count_before == 0 || producer.batch_count > 0) continue;
    if (producer.transaction_start < 0) {
      forget(producer);
    } else {
      producer.may_begin_anywhere = true;
    }
  }
}

void ProducerTable::reopen(std::int64_t producer_id, std::int64_t transaction_start) {
  const bool is_new = producers_.find(producer_id) == producers_.end();
  Producer& producer = find_or_add(producer_id);
  if (is_new) producer.may_begin_anywhere = true;
  if (producer.transaction_start < 0) open(producer, transaction_start);
}

std::vector<ProducerState> ProducerTable::snapshot() const {
  std::vector<ProducerState> states;
  states.reserve(producers_.size());
  for (const auto& [id, producer] : producers_) {
    ProducerState state;
    state.producer_id = id;
    state.epoch = producer.epoch;
    state.batch_count = producer.batch_count;
    state.last_seen_ms = producer.last_seen_ms;
    state.coordinator_epoch = producer.coordinator_epoch;
    state.transaction_start = producer.transaction_start;
    for (std::size_t i = 0; i < producer.batch_count; ++i) {
      state.batches[i] = unpacked(producer.batches[i]);
    }
    states.push_back(state);
  }
  std::sort(states.begin(), states.end(), [](const ProducerState& a, const ProducerState& b) {
    return a.producer_id < b.producer_id;
  });
  return states;
}

void ProducerTable::restore(const std::vector<ProducerState>& states) {
  producers_.clear();
  expected_.clear();
  newest_ = nullptr;
  oldest_ = nullptr;
  first_open_ = nullptr;
  last_open_ = nullptr;
  open_count_ = 0;
  producers_.reserve(states.size());
  std::vector<const ProducerState*> by_age;
  for (const ProducerState& state : states) by_age.push_back(&state);
  std::stable_sort(by_age.begin(), by_age.end(), [](const auto* a, const auto* b) {
    return a->last_seen_ms < b->last_seen_ms;
  });
  for (const ProducerState* at : by_age) {
    const ProducerState& state = *at;
    Producer& producer = find_or_add(state.producer_id);
    producer.batch_count = 0;
    producer.epoch = state.epoch;
    producer.last_seen_ms = state.last_seen_ms;
    producer.coordinator_epoch = state.coordinator_epoch;
    if (producer.transaction_start >= 0) close(producer);  // It is named twice.
    if (state.transaction_start >= 0) open(producer, state.transaction_start);
    // The counts come from a disk: what contradicts itself is left out.
    const std::size_t count = std::min<std::size_t>(state.batch_count, ProducerState::batches_max);
    for (std::size_t i = 0; i < count; ++i) {
      const ProducerBatch& batch = state.batches[i];
      std::int64_t delta = 0;
      if (__builtin_sub_overflow(batch.last_offset, batch.base_offset, &delta)) continue;
      if (delta < 0 || delta > INT32_MAX || batch.first_sequence < 0) continue;
      add_batch(producer, {batch.base_offset, batch.timestamp_ms, batch.first_sequence,
                           static_cast<std::int32_t>(delta)});
    }
  }
}

}  // namespace tailrace::log
