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

Result<ProducerTable::Verdict> ProducerTable::check(const record::BatchHeader& batch) const {
  const auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) return Verdict{};
  const Producer& producer = found->second;
  TR_ASSERT(producer.batch_count <= ProducerState::batches_max);

  if (batch.producer_epoch < producer.epoch) return fail(Errc::stale_epoch);
  if (batch.producer_epoch > producer.epoch) {
    if (batch.base_sequence != 0) return fail(Errc::out_of_order);
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
  if (batch.base_sequence != next) return fail(Errc::out_of_order);
  return Verdict{};
}

void ProducerTable::on_batch(const record::BatchHeader& batch, std::int64_t base_offset,
                             std::int64_t wall_ms) {
  TR_ASSERT(batch.has_producer());
  TR_ASSERT(base_offset >= 0);
  Producer& producer = find_or_add(batch.producer_id);
  if (producer.epoch != batch.producer_epoch) {
    producer.epoch = batch.producer_epoch;
    producer.batch_count = 0;
  }
  producer.last_seen_ms = wall_ms;
  if (batch.base_sequence < 0) return;  // Control batches have none.
  add_batch(producer,
            {base_offset, batch.max_timestamp, batch.base_sequence, batch.last_offset_delta});
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
  return producer.epoch == batch.producer_epoch && producer.batch_count > 0 &&
         producer.batches[producer.batch_count - 1U].base_offset == batch.base_offset;
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
    if (producer.last_seen_ms < wall_ms) forget(producer);
  }
  return size_before - producers_.size();
}

void ProducerTable::drop_oldest() {
  if (oldest_ != nullptr) forget(*oldest_);
}

void ProducerTable::truncate(std::int64_t end_offset) {
  for (Producer* at = oldest_; at != nullptr;) {
    Producer& producer = *at;
    at = producer.newer;
    const std::uint8_t count_before = producer.batch_count;
    while (producer.batch_count > 0 &&
           producer.batches[producer.batch_count - 1U].base_offset >= end_offset) {
      --producer.batch_count;
    }
    // What it sent before the window is not known any more, so nothing may be demanded of it.
    if (count_before > 0 && producer.batch_count == 0) forget(producer);
  }
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
  newest_ = nullptr;
  oldest_ = nullptr;
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
