#include "log/producer_table.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "base/prng.h"

namespace tailrace::log {
namespace {

record::BatchHeader batch(std::int64_t producer, std::int16_t epoch, std::int32_t sequence,
                          std::int32_t count) {
  record::BatchHeader header;
  header.producer_id = producer;
  header.producer_epoch = epoch;
  header.base_sequence = sequence;
  header.last_offset_delta = count - 1;
  header.record_count = count;
  header.max_timestamp = std::int64_t{500} + sequence;
  return header;
}

class ProducerTableTest : public testing::Test {
 protected:
  // Checks and, when it is new, appends.
  std::string send(const record::BatchHeader& header) {
    const auto verdict = table_.check(header);
    if (!verdict) return to_string(verdict.error().code);
    if (verdict->duplicate) return "duplicate of " + std::to_string(verdict->original.base_offset);
    table_.on_batch(header, offset_, wall_ms_);
    const std::string text = "at " + std::to_string(offset_);
    offset_ += header.record_count;
    return text;
  }
  ProducerTable table_;
  std::int64_t offset_ = 0;
  std::int64_t wall_ms_ = 1000;
};

TEST_F(ProducerTableTest, batches_in_sequence_are_new) {
  EXPECT_EQ(send(batch(7, 0, 0, 10)), "at 0");
  EXPECT_EQ(send(batch(7, 0, 10, 1)), "at 10");
  EXPECT_EQ(send(batch(7, 0, 11, 5)), "at 11");
}

TEST_F(ProducerTableTest, the_last_five_are_recognised_and_no_more) {
  for (int i = 0; i < 6; ++i) send(batch(7, 0, i * 10, 10));
  EXPECT_EQ(send(batch(7, 0, 0, 10)), "out_of_order");
  EXPECT_EQ(send(batch(7, 0, 10, 10)), "duplicate of 10");
  EXPECT_EQ(send(batch(7, 0, 50, 10)), "duplicate of 50");
  EXPECT_EQ(send(batch(7, 0, 60, 10)), "at 60");
}

TEST_F(ProducerTableTest, the_original_comes_with_the_verdict) {
  send(batch(7, 0, 0, 3));
  send(batch(7, 0, 3, 4));
  const auto verdict = table_.check(batch(7, 0, 3, 4));
  ASSERT_TRUE(verdict && verdict->duplicate);
  EXPECT_EQ(verdict->original.first_sequence, 3);
  EXPECT_EQ(verdict->original.last_sequence, 6);
  EXPECT_EQ(verdict->original.base_offset, 3);
  EXPECT_EQ(verdict->original.last_offset, 6);
  EXPECT_EQ(verdict->original.timestamp_ms, 503);
}

TEST_F(ProducerTableTest, the_newest_batch_of_a_producer_is_known) {
  record::BatchHeader first = batch(7, 0, 0, 2);
  record::BatchHeader second = batch(7, 0, 2, 2);
  send(first);
  send(second);
  second.base_offset = 2;
  EXPECT_FALSE(table_.ends_with(first));
  EXPECT_TRUE(table_.ends_with(second));
  second.producer_epoch = 1;
  EXPECT_FALSE(table_.ends_with(second));
  second.producer_id = 8;
  EXPECT_FALSE(table_.ends_with(second));
}

// An epoch of which only a marker was seen ends with that.
TEST_F(ProducerTableTest, without_sequences_the_newest_marker_is_the_end) {
  record::BatchHeader marker{.attributes = record::transactional_bit | record::control_bit,
                             .producer_id = 7, .producer_epoch = 1};
  send(batch(7, 0, 0, 2));
  marker.base_offset = 2;
  table_.on_marker(marker, {.is_commit = true}, 0);
  record::BatchHeader newer = marker;
  newer.base_offset = 5;
  EXPECT_TRUE(table_.ends_with(marker));
  table_.on_marker(newer, {.is_commit = true}, 0);
  EXPECT_FALSE(table_.ends_with(marker));
  EXPECT_TRUE(table_.ends_with(newer));
  // A restart does not bring back which one it was.
  table_.restore(table_.snapshot());
  EXPECT_TRUE(table_.ends_with(marker));
  EXPECT_TRUE(table_.ends_with(newer));
  newer.producer_epoch = 0;
  EXPECT_FALSE(table_.ends_with(newer));
}

TEST_F(ProducerTableTest, gaps_and_overlaps_are_refused) {
  send(batch(7, 0, 0, 10));
  EXPECT_EQ(send(batch(7, 0, 11, 1)), "out_of_order");
  EXPECT_EQ(send(batch(7, 0, 0, 9)), "out_of_order");
  EXPECT_EQ(send(batch(7, 0, 5, 10)), "out_of_order");
  EXPECT_EQ(send(batch(7, 0, 10, 10)), "at 10");
}

TEST_F(ProducerTableTest, a_new_epoch_begins_at_zero_and_fences_the_old_one) {
  send(batch(7, 3, 0, 10));
  EXPECT_EQ(send(batch(7, 4, 10, 1)), "out_of_order");
  EXPECT_EQ(send(batch(7, 4, 0, 1)), "at 10");
  EXPECT_EQ(send(batch(7, 3, 10, 1)), "stale_epoch");
  EXPECT_EQ(send(batch(7, 3, 0, 10)), "stale_epoch");
  EXPECT_EQ(send(batch(7, 4, 0, 1)), "duplicate of 10");
}

TEST_F(ProducerTableTest, an_unknown_producer_begins_anywhere) {
  EXPECT_EQ(send(batch(7, 2, 77, 10)), "at 0");
  EXPECT_EQ(send(batch(7, 2, 87, 1)), "at 10");
}

TEST_F(ProducerTableTest, after_the_largest_sequence_comes_zero) {
  send(batch(7, 0, INT32_MAX - 4, 5));
  EXPECT_EQ(send(batch(7, 0, 0, 5)), "at 5");
  EXPECT_EQ(send(batch(7, 0, INT32_MAX - 4, 5)), "duplicate of 0");
}

TEST_F(ProducerTableTest, a_batch_may_wrap_inside) {
  send(batch(7, 0, INT32_MAX - 1, 5));  // MAX - 1, MAX, 0, 1, 2
  EXPECT_EQ(send(batch(7, 0, INT32_MAX - 1, 5)), "duplicate of 0");
  EXPECT_EQ(send(batch(7, 0, 3, 1)), "at 5");
}

TEST_F(ProducerTableTest, replay_counts_what_a_check_would_refuse) {
  table_.on_batch(batch(7, 5, 40, 2), 100, 1);
  table_.on_batch(batch(7, 5, 90, 2), 102, 1);
  EXPECT_EQ(send(batch(7, 5, 90, 2)), "duplicate of 102");
  table_.on_batch(batch(7, 4, 10, 2), 104, 1);  // As the leader had it.
  EXPECT_EQ(send(batch(7, 4, 10, 2)), "duplicate of 104");
}

TEST_F(ProducerTableTest, the_silent_are_forgotten) {
  wall_ms_ = 100;
  send(batch(1, 0, 0, 1));
  wall_ms_ = 200;
  send(batch(2, 0, 0, 1));
  EXPECT_EQ(table_.expire(100), 0U);
  EXPECT_EQ(table_.expire(101), 1U);
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(send(batch(1, 0, 55, 1)), "at 2");
  wall_ms_ = 300;
  send(batch(2, 0, 1, 1));
  table_.drop_oldest();
  ASSERT_EQ(table_.size(), 1U);
  EXPECT_EQ(table_.snapshot()[0].producer_id, 2);
  table_.drop_oldest();
  table_.drop_oldest();
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(ProducerTableTest, who_sent_last_is_forgotten_last_also_after_a_restart) {
  for (const std::int64_t id : {3, 1, 2}) {
    wall_ms_ += 10;
    send(batch(id, 0, 0, 1));
  }
  wall_ms_ += 10;
  send(batch(3, 0, 1, 1));
  const std::vector<ProducerState> states = table_.snapshot();
  table_.restore(states);
  for (const std::int64_t id : {2, 3}) {
    table_.drop_oldest();
    EXPECT_EQ(table_.snapshot()[0].producer_id, id);
  }
}

TEST_F(ProducerTableTest, truncated_batches_did_not_happen) {
  send(batch(7, 0, 0, 10));
  send(batch(7, 0, 10, 10));
  send(batch(8, 0, 0, 1));
  table_.truncate(10);
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(send(batch(7, 0, 20, 1)), "out_of_order");
  EXPECT_EQ(send(batch(7, 0, 10, 10)), "at 21");
}

TEST_F(ProducerTableTest, a_snapshot_brings_everything_back) {
  for (int i = 0; i < 7; ++i) send(batch(9, 1, i * 10, 10));
  send(batch(2, 0, INT32_MAX, 3));
  const std::vector<ProducerState> states = table_.snapshot();
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0].producer_id, 2);
  EXPECT_EQ(states[0].batches[0].last_sequence, 1);
  EXPECT_EQ(states[1].batch_count, 5);

  table_.restore({});
  EXPECT_EQ(table_.size(), 0U);
  table_.restore(states);
  EXPECT_EQ(send(batch(9, 1, 30, 10)), "duplicate of 30");
  EXPECT_EQ(send(batch(9, 1, 10, 10)), "out_of_order");
  EXPECT_EQ(send(batch(2, 0, 2, 1)), "at 73");
}

TEST_F(ProducerTableTest, nonsense_in_a_snapshot_is_left_out) {
  ProducerState state{.producer_id = 7, .epoch = 0, .batch_count = 200};
  state.batches[0] = {0, 0, 10, 5, 0};
  state.batches[1] = {-3, 0, 10, 12, 0};
  state.batches[2] = {0, 1, INT64_MIN, INT64_MAX, 0};
  state.batches[3] = {5, 7, 10, 12, 0};
  table_.restore({state});
  EXPECT_EQ(table_.snapshot()[0].batch_count, 1);
  EXPECT_EQ(send(batch(7, 0, 8, 1)), "at 0");
}

// The rules once more, as plainly as possible: for each producer all batches of its epoch.
struct Model {
  struct Producer {
    std::int16_t epoch;
    std::deque<std::pair<record::BatchHeader, std::int64_t>> last_five;
  };
  std::string send(const record::BatchHeader& header, std::int64_t& offset) {
    const auto found = producers.find(header.producer_id);
    if (found != producers.end()) {
      const Producer& known = found->second;
      if (header.producer_epoch < known.epoch) return "stale_epoch";
      if (header.producer_epoch > known.epoch && header.base_sequence != 0) return "out_of_order";
      if (header.producer_epoch == known.epoch) {
        for (const auto& [old, at] : known.last_five) {
          if (old.base_sequence == header.base_sequence &&
              old.record_count == header.record_count) {
            return "duplicate of " + std::to_string(at);
          }
        }
        std::uint32_t next = static_cast<std::uint32_t>(known.last_five.back().first.base_sequence);
        next += static_cast<std::uint32_t>(known.last_five.back().first.record_count);
        if (static_cast<std::uint32_t>(header.base_sequence) != (next & 0x7fff'ffffU)) {
          return "out_of_order";
        }
      }
    }
    Producer& producer = producers[header.producer_id];
    if (producer.last_five.empty() || producer.epoch != header.producer_epoch) {
      producer = {header.producer_epoch, {}};
    }
    producer.last_five.emplace_back(header, offset);
    if (producer.last_five.size() > 5) producer.last_five.pop_front();
    offset += header.record_count;
    return "at " + std::to_string(offset - header.record_count);
  }
  void truncate(std::int64_t end) {
    for (auto& [id, producer] : producers) {
      while (!producer.last_five.empty() && producer.last_five.back().second >= end) {
        producer.last_five.pop_back();
      }
    }
    std::erase_if(producers, [](const auto& entry) { return entry.second.last_five.empty(); });
  }
  std::map<std::int64_t, Producer> producers;
};

TEST_F(ProducerTableTest, random_clients_get_the_answers_of_the_plain_model) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed, "producers");
    Model model;
    table_.restore({});
    offset_ = 0;
    std::map<std::int64_t, std::uint32_t> next;  // what a well-behaved client would send
    std::vector<record::BatchHeader> sent;       // to be repeated
    int appended_count = 0;
    int duplicate_count = 0;
    for (int i = 0; i < 3000; ++i) {
      const auto id = static_cast<std::int64_t>(prng.below(4));
      const auto count = static_cast<std::int32_t>(prng.between(1, 3));
      if (prng.chance(1, 50)) next[id] = static_cast<std::uint32_t>(INT32_MAX) - 3;
      auto sequence = static_cast<std::uint32_t>(next[id]);
      if (prng.chance(1, 3)) sequence -= static_cast<std::uint32_t>(prng.below(16));
      if (prng.chance(1, 20)) sequence = 0;
      const auto epoch = static_cast<std::int16_t>(i / 500 + (prng.chance(1, 30) ? -1 : 0));
      auto header = batch(id, epoch, static_cast<std::int32_t>(sequence & 0x7fff'ffffU), count);
      if (!sent.empty() && prng.chance(1, 5)) {
        header = sent[sent.size() - 1 - prng.below(std::min<std::size_t>(sent.size(), 30))];
      }
      std::int64_t model_offset = offset_;
      const std::string wanted = model.send(header, model_offset);
      ASSERT_EQ(send(header), wanted) << "step " << i;
      ASSERT_EQ(offset_, model_offset);
      duplicate_count += wanted.starts_with("duplicate") ? 1 : 0;
      if (wanted.starts_with("at")) {
        ++appended_count;
        sent.push_back(header);
        next[header.producer_id] = static_cast<std::uint32_t>(header.base_sequence) +
                                   static_cast<std::uint32_t>(header.record_count);
      }
      if (prng.chance(1, 100)) {
        const auto appended = static_cast<std::uint64_t>(offset_);
        offset_ -= static_cast<std::int64_t>(prng.below(appended + 1) / 8);
        model.truncate(offset_);
        table_.truncate(offset_);
      }
      if (prng.chance(1, 100)) {
        const auto states = table_.snapshot();
        table_.restore(states);
      }
    }
    EXPECT_GT(appended_count, 500);  // The clients do get somewhere,
    EXPECT_GT(duplicate_count, 100);  // and do repeat themselves.
  }
}

// ---- transactions

record::BatchHeader in_transaction(record::BatchHeader header) {
  header.attributes = record::transactional_bit;
  return header;
}

record::BatchHeader marker_header(std::int64_t producer, std::int16_t epoch) {
  record::BatchHeader header = batch(producer, epoch, -1, 1);
  header.attributes = record::transactional_bit | record::control_bit;
  return header;
}

class ProducerTransactions : public ProducerTableTest {
 protected:
  std::string end(std::int64_t producer, std::int16_t epoch, std::int8_t version = 1,
                  std::int32_t coordinator_epoch = 0) {
    const record::BatchHeader header = marker_header(producer, epoch);
    const record::TransactionMarker marker{.coordinator_epoch = coordinator_epoch};
    const auto repeats = table_.check_marker(header, marker, version);
    if (!repeats) return to_string(repeats.error().code);
    if (*repeats) return "repeated";
    const std::int64_t start = table_.on_marker(header, marker, wall_ms_);
    ++offset_;
    return start < 0 ? "nothing was open" : "ends what began at " + std::to_string(start);
  }
};

TEST_F(ProducerTransactions, begin_with_a_batch_and_end_with_a_marker) {
  EXPECT_EQ(table_.first_open(), INT64_MAX);
  EXPECT_EQ(send(in_transaction(batch(7, 0, 0, 2))), "at 0");
  EXPECT_TRUE(table_.in_transaction(7, 0));
  EXPECT_FALSE(table_.in_transaction(7, 1));
  EXPECT_EQ(send(in_transaction(batch(8, 0, 0, 1))), "at 2");
  EXPECT_EQ(send(in_transaction(batch(7, 0, 2, 2))), "at 3");
  EXPECT_EQ(table_.first_open(), 0);
  EXPECT_EQ(table_.open_count(), 2U);
  EXPECT_EQ(end(7, 0), "ends what began at 0");
  EXPECT_EQ(table_.first_open(), 2);
  EXPECT_FALSE(table_.in_transaction(7, 0));
  EXPECT_EQ(end(8, 0), "ends what began at 2");
  EXPECT_EQ(table_.first_open(), INT64_MAX);
  EXPECT_EQ(table_.open_count(), 0U);
}

TEST_F(ProducerTransactions, sequences_go_on_in_the_same_epoch_and_begin_anew_in_the_next) {
  send(in_transaction(batch(7, 0, 0, 2)));
  end(7, 0);
  EXPECT_EQ(send(in_transaction(batch(7, 0, 0, 1))), "out_of_order");
  EXPECT_EQ(send(in_transaction(batch(7, 0, 2, 1))), "at 3");
  EXPECT_EQ(end(7, 1, 2), "ends what began at 3");
  EXPECT_EQ(send(in_transaction(batch(7, 1, 3, 1))), "out_of_order");
  EXPECT_EQ(send(in_transaction(batch(7, 1, 0, 1))), "at 5");
}

TEST_F(ProducerTransactions, a_batch_outside_of_the_open_transaction_is_refused) {
  send(in_transaction(batch(7, 0, 0, 2)));
  EXPECT_EQ(send(batch(7, 0, 2, 1)), "wrong_transaction");
  EXPECT_EQ(send(batch(7, 1, 0, 1)), "wrong_transaction");
  EXPECT_EQ(send(in_transaction(batch(7, 0, 0, 2))), "duplicate of 0");
  end(7, 0);
  EXPECT_EQ(send(batch(7, 0, 2, 1)), "at 3");
}

TEST_F(ProducerTransactions, a_marker_without_data_changes_only_the_epoch) {
  EXPECT_EQ(end(7, 3), "nothing was open");
  EXPECT_EQ(table_.first_open(), INT64_MAX);
  EXPECT_EQ(send(batch(7, 2, 0, 1)), "stale_epoch");
  EXPECT_EQ(send(batch(7, 3, 0, 1)), "at 1");
}

TEST_F(ProducerTransactions, markers_of_version_1_may_come_again) {
  send(in_transaction(batch(7, 4, 0, 2)));
  EXPECT_EQ(end(7, 3), "stale_epoch");
  EXPECT_EQ(end(7, 4), "ends what began at 0");
  EXPECT_EQ(end(7, 4), "nothing was open");
  send(in_transaction(batch(7, 4, 2, 2)));
  EXPECT_EQ(end(7, 5), "ends what began at 4");  // The coordinator fences it.
}

TEST_F(ProducerTransactions, markers_of_version_2_have_an_epoch_of_their_own) {
  send(in_transaction(batch(7, 4, 0, 2)));
  EXPECT_EQ(end(7, 4, 2), "stale_epoch");
  EXPECT_EQ(table_.first_open(), 0);
  EXPECT_EQ(end(7, 5, 2), "ends what began at 0");
  EXPECT_EQ(end(7, 5, 2), "repeated");
  EXPECT_EQ(end(7, 4, 2), "stale_epoch");
  send(in_transaction(batch(7, 5, 0, 1)));
  EXPECT_EQ(end(7, 5, 2), "stale_epoch");  // It must not end the next one.
}

TEST_F(ProducerTransactions, an_older_coordinator_is_fenced) {
  send(in_transaction(batch(7, 0, 0, 2)));
  EXPECT_EQ(end(7, 0, 1, 5), "ends what began at 0");
  send(in_transaction(batch(7, 0, 2, 2)));
  EXPECT_EQ(end(7, 0, 1, 4), "coordinator_fenced");
  EXPECT_EQ(end(7, 1, 2, 4), "coordinator_fenced");
  EXPECT_EQ(end(7, 0, 1, 5), "ends what began at 3");
}

TEST_F(ProducerTransactions, batches_of_a_coordinator_have_no_sequences) {
  EXPECT_EQ(send(in_transaction(batch(7, 2, -1, 3))), "at 0");
  EXPECT_EQ(send(in_transaction(batch(7, 2, -1, 1))), "at 3");
  EXPECT_EQ(send(in_transaction(batch(7, 1, -1, 1))), "stale_epoch");
  EXPECT_EQ(end(7, 2), "ends what began at 0");
  EXPECT_EQ(send(in_transaction(batch(7, 3, -1, 1))), "at 5");
  EXPECT_EQ(table_.first_open(), 5);
}

TEST_F(ProducerTransactions, who_must_begin_begins_at_0) {
  EXPECT_EQ(table_.check(batch(7, 0, 5, 1), true).error().code, Errc::out_of_order);
  EXPECT_TRUE(table_.check(batch(7, 0, 0, 1), true));
  EXPECT_TRUE(table_.check(batch(7, 0, -1, 1), true));
}

TEST_F(ProducerTransactions, what_is_expected_is_not_overtaken) {
  table_.expect(batch(7, 0, 10, 5));
  table_.expect(batch(7, 0, 15, 5));
  EXPECT_EQ(send(in_transaction(batch(7, 0, 15, 5))), "out_of_order");
  EXPECT_EQ(send(in_transaction(batch(7, 1, 15, 5))), "at 0");
  table_.expect(batch(8, 0, 10, 5));
  EXPECT_EQ(send(in_transaction(batch(8, 0, 10, 5))), "at 5");
  EXPECT_EQ(send(in_transaction(batch(8, 0, 15, 5))), "at 10");
}

TEST_F(ProducerTransactions, a_marker_ends_what_is_expected) {
  table_.expect(batch(7, 0, 10, 5));
  EXPECT_EQ(send(batch(7, 0, 15, 5)), "out_of_order");
  end(7, 0);
  EXPECT_EQ(send(batch(7, 0, 15, 5)), "out_of_order");  // It is known now, and begins at 0.
  EXPECT_EQ(send(batch(7, 0, 0, 5)), "at 1");
}

TEST_F(ProducerTransactions, only_so_many_are_expected) {
  for (int i = 0; i < 5000; ++i) table_.expect(batch(100 + i, 0, 10, 5));
  EXPECT_EQ(send(batch(5099, 0, 15, 5)), "out_of_order");
  EXPECT_EQ(send(batch(100, 0, 15, 5)), "at 0");
}

TEST_F(ProducerTransactions, a_guard_holds_until_a_marker_of_the_producer) {
  const std::uint64_t guard = table_.guard();
  EXPECT_TRUE(table_.guard_holds(batch(7, 0, 0, 1), guard, false));
  end(8, 0);
  EXPECT_TRUE(table_.guard_holds(batch(7, 0, 0, 1), guard, false));
  end(7, 0);
  EXPECT_FALSE(table_.guard_holds(batch(7, 0, 0, 1), guard, false));
  EXPECT_TRUE(table_.guard_holds(batch(7, 0, 0, 1), table_.guard(), false));
}

TEST_F(ProducerTransactions, a_guard_is_broken_even_if_the_producer_was_forgotten_since) {
  const std::uint64_t guard = table_.guard();
  end(7, 0);
  EXPECT_TRUE(table_.drop_oldest());
  EXPECT_FALSE(table_.guard_holds(batch(7, 0, 0, 1), guard, false));
  EXPECT_TRUE(table_.guard_holds(batch(7, 0, 0, 1), table_.guard(), false));
}

// Each transaction has its epoch, and the markers of the one before may come late.
TEST_F(ProducerTransactions, a_guard_holds_over_markers_of_earlier_transactions) {
  const std::uint64_t guard = table_.guard();
  end(7, 3);
  EXPECT_TRUE(table_.guard_holds(batch(7, 3, 0, 1), guard, true));
  end(7, 4);
  EXPECT_FALSE(table_.guard_holds(batch(7, 3, 0, 1), guard, true));
  EXPECT_TRUE(table_.drop_oldest());
  EXPECT_FALSE(table_.guard_holds(batch(7, 4, 0, 1), guard, true)) << "nothing is known of it";
}

TEST_F(ProducerTransactions, open_ones_are_neither_expired_nor_dropped) {
  send(in_transaction(batch(7, 0, 0, 1)));
  send(batch(8, 0, 0, 1));
  wall_ms_ = 9000;
  EXPECT_EQ(table_.expire(8000), 1U);
  EXPECT_TRUE(table_.in_transaction(7, 0));
  EXPECT_FALSE(table_.drop_oldest());
  send(batch(9, 0, 0, 1));
  EXPECT_TRUE(table_.drop_oldest());
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_TRUE(table_.in_transaction(7, 0));
}

TEST_F(ProducerTransactions, truncation_takes_back_what_began_and_opens_what_had_ended) {
  send(in_transaction(batch(7, 0, 0, 5)));
  send(in_transaction(batch(8, 0, 0, 5)));
  end(7, 0);
  table_.truncate(4);
  EXPECT_EQ(table_.open_count(), 0U);
  table_.reopen(7, 0);
  EXPECT_EQ(table_.first_open(), 0);
  EXPECT_EQ(table_.open_count(), 1U);
  table_.truncate(0);
  EXPECT_EQ(table_.open_count(), 0U);
}

TEST_F(ProducerTransactions, an_open_one_whose_batches_are_truncated_may_go_on_anywhere) {
  send(in_transaction(batch(7, 0, 0, 1)));
  for (int i = 1; i <= 6; ++i) send(in_transaction(batch(7, 0, i, 1)));
  table_.truncate(2);  // All five that were remembered are gone; the first one is not.
  EXPECT_TRUE(table_.in_transaction(7, 0));
  EXPECT_EQ(send(in_transaction(batch(7, 0, 2, 1))), "at 7");
  EXPECT_EQ(send(in_transaction(batch(7, 0, 9, 1))), "out_of_order");
}

TEST_F(ProducerTransactions, come_back_from_a_checkpoint) {
  send(in_transaction(batch(9, 0, 0, 1)));
  send(in_transaction(batch(7, 0, 0, 1)));
  end(8, 2, 1, 6);
  ProducerTable again;
  again.restore(table_.snapshot());
  EXPECT_EQ(again.first_open(), 0);
  EXPECT_EQ(again.open_count(), 2U);
  EXPECT_TRUE(again.in_transaction(7, 0));
  const auto old = again.check_marker(marker_header(8, 2), {.coordinator_epoch = 5}, 1);
  EXPECT_EQ(old.error().code, Errc::coordinator_fenced);
  again.on_marker(marker_header(9, 0), {}, wall_ms_);
  EXPECT_EQ(again.first_open(), 1);
}

}  // namespace
}  // namespace tailrace::log
