// Transactions in a log, as stories: what readers of committed records get, before and after a
// crash.
#include <gtest/gtest.h>

#include "core_log_rig.h"
#include "record/control_record.h"

namespace tailrace::log {
namespace {

constexpr std::int64_t alice = 1001;
constexpr std::int64_t bob = 1002;
const PartitionKey key = partition_of(1, 0);

struct Story {
  explicit Story(Limits limits = small_limits()) : node(limits) {
    EXPECT_TRUE(node.boot());
    node.settle();
  }

  PartitionLog& log() { return node.partition(key); }

  std::string say(const Result<Appended>& appended) {
    if (!appended) return to_string(appended.error().code);
    if (appended->duplicate) return "repeated";
    return "at " + std::to_string(appended->base_offset);
  }
  Bytes batch(std::int64_t producer, std::int32_t sequence, std::int16_t epoch = 0, int count = 1) {
    return maker.make("x", count, 1'700'000'000'000,
                      {.attributes = record::transactional_bit,
                       .producer_id = producer,
                       .producer_epoch = epoch,
                       .base_sequence = sequence});
  }
  std::vector<std::byte> copied(std::int64_t producer, std::int32_t sequence, std::int16_t epoch) {
    const Bytes made = batch(producer, sequence, epoch);
    return {made.begin(), made.end()};
  }
  Result<Appended> append(AppendRequest request) {
    request.leader_epoch = 3;
    Result<Appended> appended = node.core_of(key).append(log(), request, node.now);
    while (!appended && appended.error().code == Errc::full) {  // Its last block is read back.
      node.turn();
      appended = node.core_of(key).append(log(), request, node.now);
    }
    return appended;
  }
  // As a client that has asked the coordinator.
  std::string send(std::int64_t producer, std::int32_t sequence, std::int16_t epoch = 0) {
    return say(append({.batch = batch(producer, sequence, epoch),
                       .is_verified = true,
                       .guard = log().producers().guard()}));
  }
  std::string end(std::int64_t producer, bool is_commit, std::int16_t epoch = 0,
                  std::int8_t version = 1) {
    std::array<std::byte, record::marker_batch_bytes> bytes;
    record::store_marker_batch(bytes, {.producer_id = producer,
                                       .producer_epoch = epoch,
                                       .timestamp_ms = 1'700'000'000'000,
                                       .marker = {.is_commit = is_commit}});
    return say(append({.batch = bytes,
                       .origin = record::BatchOrigin::coordinator,
                       .transaction_version = version}));
  }
  std::string commit(std::int64_t producer) { return end(producer, true); }
  std::string abort(std::int64_t producer) { return end(producer, false); }
  std::vector<AbortedRange> aborted() {
    std::vector<AbortedRange> ranges(log().transactions().find(0, INT64_MAX, {}));
    log().transactions().find(0, INT64_MAX, ranges);
    return ranges;
  }
  void restart() {
    Prng prng(5, "crash");
    node.crash(prng);
    ASSERT_TRUE(node.boot()) << node.why;
    node.settle();
  }
  void checkpoint() {
    node.now.instant = node.now.instant + seconds(120);
    node.settle();
  }

  LogNode node;
  BatchMaker maker;
};

using Ranges = std::vector<AbortedRange>;

TEST(Transactions, readers_wait_for_the_marker_to_be_durable) {
  Story story;
  EXPECT_EQ(story.send(alice, 0), "at 0");
  story.node.settle();
  EXPECT_EQ(story.log().durable_end(), 1);
  EXPECT_EQ(story.log().stable_end(), 0);
  EXPECT_EQ(story.commit(alice), "at 1");
  EXPECT_EQ(story.log().stable_end(), 0);  // Staged is not durable.
  story.node.settle();
  EXPECT_EQ(story.log().stable_end(), 2);
  EXPECT_EQ(story.aborted(), Ranges{});
}

TEST(Transactions, the_oldest_open_one_holds_back_all_that_follows) {
  Story story;
  story.send(alice, 0);
  story.send(bob, 0);
  story.node.append_now(key, story.maker.make("plain"));
  EXPECT_EQ(story.abort(bob), "at 3");
  story.node.settle();
  EXPECT_EQ(story.log().stable_end(), 0);
  story.commit(alice);
  story.node.settle();
  EXPECT_EQ(story.log().stable_end(), 5);
  EXPECT_EQ(story.aborted(), (Ranges{{bob, 1}}));
}

TEST(Transactions, an_undecided_marker_holds_back_what_was_durable_long_before) {
  Story story;
  story.send(alice, 0);
  story.send(bob, 0);
  story.node.settle();
  story.abort(alice);
  EXPECT_EQ(story.log().stable_end(), 0);
  story.commit(bob);
  EXPECT_EQ(story.log().stable_end(), 0);
  story.node.settle();
  EXPECT_EQ(story.log().stable_end(), 4);
}

TEST(Transactions, a_first_batch_needs_the_coordinators_yes) {
  Story story;
  EXPECT_EQ(story.say(story.append({.batch = story.batch(alice, 0)})), "wrong_transaction");
  EXPECT_EQ(story.send(alice, 0), "at 0");
  EXPECT_EQ(story.say(story.append({.batch = story.batch(alice, 1)})), "at 1");
  EXPECT_EQ(story.say(story.append({.batch = story.batch(alice, 1)})), "repeated");
}

TEST(Transactions, a_batch_that_a_marker_has_overtaken_opens_nothing) {
  Story story;
  const std::uint64_t guard = story.log().producers().guard();
  const AppendRequest late{.batch = story.batch(alice, 0), .is_verified = true, .guard = guard};
  std::vector<std::byte> kept(late.batch.begin(), late.batch.end());
  EXPECT_EQ(story.abort(alice), "at 0");
  EXPECT_EQ(story.say(story.append({.batch = kept, .is_verified = true, .guard = guard})),
            "wrong_transaction");
  story.node.settle();
  EXPECT_EQ(story.log().stable_end(), 1);
}

// With an epoch for each transaction. The batch came, and its coordinator was asked, while the
// marker of the transaction before was being written.
TEST(Transactions, a_marker_of_the_transaction_before_does_not_refuse_the_next) {
  Story story;
  EXPECT_EQ(story.send(alice, 0), "at 0");
  const std::uint64_t guard = story.log().producers().guard();
  EXPECT_EQ(story.end(alice, true, 1, 2), "at 1");
  const std::vector<std::byte> next = story.copied(alice, 0, 1);
  EXPECT_EQ(story.say(story.append({.batch = next, .epoch_per_transaction = true,
                                    .is_verified = true, .guard = guard})),
            "at 2");
  EXPECT_EQ(story.end(alice, false, 2, 2), "at 3");
  EXPECT_EQ(story.say(story.append({.batch = next, .epoch_per_transaction = true,
                                    .is_verified = true, .guard = guard})),
            "stale_epoch");
}

TEST(Transactions, clients_cannot_end_them) {
  Story story;
  story.send(alice, 0);
  std::array<std::byte, record::marker_batch_bytes> bytes;
  record::store_marker_batch(bytes, {.producer_id = alice, .producer_epoch = 0});
  EXPECT_EQ(story.say(story.append({.batch = bytes})), "malformed");
  EXPECT_EQ(story.log().producers().first_open(), 0);
}

TEST(Transactions, a_marker_fits_whatever_the_topic_says) {
  Story story;
  story.node.config.batch_bytes_max = 120;
  story.node.config.rules.compression = static_cast<std::int8_t>(record::Codec::zstd);
  story.node.config.rules.keys_required = true;
  story.node.config.rules.timestamp_before_ms_max = 1;
  story.node.core_of(key).set_config(story.log(), story.node.config);
  story.node.now.wall_ms += 1'000'000;
  EXPECT_EQ(story.commit(alice), "at 0");
  story.node.config.batch_bytes_max = 20;
  story.node.core_of(key).set_config(story.log(), story.node.config);
  EXPECT_EQ(story.commit(alice), "at 1");
}

TEST(Transactions, offsets_of_a_transaction_come_from_the_coordinator_without_sequences) {
  Story story;
  const auto append = [&] {
    return story.append({.batch = story.batch(alice, -1),
                         .origin = record::BatchOrigin::coordinator});
  };
  EXPECT_EQ(story.say(append()), "at 0");
  EXPECT_EQ(story.say(append()), "at 1");
  EXPECT_EQ(story.say(story.append({.batch = story.batch(alice, -1)})), "malformed");
  EXPECT_EQ(story.log().producers().first_open(), 0);
  story.commit(alice);
  EXPECT_EQ(story.log().producers().first_open(), INT64_MAX);
}

TEST(Transactions, a_repeated_marker_of_version_2_is_answered_when_the_first_is_durable) {
  Story story;
  story.send(alice, 0, 4);
  EXPECT_EQ(story.end(alice, true, 5, 2), "at 1");
  const std::int64_t end = story.log().staged_end();
  EXPECT_EQ(story.end(alice, true, 5, 2), "repeated");
  EXPECT_EQ(story.log().staged_end(), end);
}

// What the log says of transactions: it must be the same however it comes back.
std::string state_of(Story& story) {
  std::string text = "stable end " + std::to_string(story.log().stable_end()) + ", open " +
                     std::to_string(story.log().producers().open_count()) + ", aborted";
  for (const AbortedTransaction& one : story.log().transactions().aborted()) {
    text += " " + std::to_string(one.producer_id) + ":" + std::to_string(one.first_offset) + "-" +
            std::to_string(one.last_offset) + "/" + std::to_string(one.stable_end);
  }
  return text;
}

TEST(Transactions, come_back_by_replay_and_from_a_checkpoint) {
  Story story;
  story.send(bob, 0);
  story.abort(bob);
  story.send(alice, 0);
  story.send(bob, 1);
  story.abort(bob);
  story.node.settle();
  const std::string before = state_of(story);
  EXPECT_EQ(before, "stable end 2, open 1, aborted 1002:0-1/2 1002:3-4/2");
  story.restart();
  EXPECT_EQ(state_of(story), before);
  story.checkpoint();
  story.restart();
  EXPECT_EQ(state_of(story), before);
  EXPECT_EQ(story.say(story.append({.batch = story.batch(alice, 1)})), "at 5");
  story.abort(alice);
  story.node.settle();
  EXPECT_EQ(state_of(story),
            "stable end 7, open 0, aborted 1002:0-1/2 1002:3-4/2 1001:2-6/7");
  story.checkpoint();
  story.restart();
  EXPECT_EQ(state_of(story),
            "stable end 7, open 0, aborted 1002:0-1/2 1002:3-4/2 1001:2-6/7");
}

TEST(Transactions, aborted_ones_go_with_their_records) {
  Story story;
  story.send(bob, 0);
  story.abort(bob);
  story.send(bob, 1);
  story.abort(bob);
  story.node.settle();
  ASSERT_TRUE(story.node.core_of(key).advance_log_start(story.log(), 3, story.node.now));
  EXPECT_EQ(story.aborted(), (Ranges{{bob, 2}}));
  story.node.settle();
  story.restart();
  EXPECT_EQ(story.aborted(), (Ranges{{bob, 2}}));
}

TEST(Transactions, the_log_start_may_pass_an_open_one) {
  Story story;
  story.send(alice, 0);
  story.send(alice, 1);
  story.node.settle();
  ASSERT_TRUE(story.node.core_of(key).advance_log_start(story.log(), 1, story.node.now));
  EXPECT_EQ(story.log().stable_end(), 1);
  story.abort(alice);
  story.node.settle();
  EXPECT_EQ(story.log().stable_end(), 3);
  EXPECT_EQ(story.aborted(), (Ranges{{alice, 0}}));
}

TEST(Transactions, beyond_the_limit_none_begins_and_none_is_forgotten) {
  Limits limits = small_limits();
  limits.transactions_max = 3;
  Story story(limits);
  for (int i = 0; i < 5; ++i) {  // Committed ones do not count once they have ended.
    EXPECT_NE(story.send(alice, i), "over_limit");
    story.commit(alice);
  }
  for (int i = 0; i < 2; ++i) {
    story.send(bob, i);
    story.abort(bob);
  }
  story.send(alice, 5);
  EXPECT_EQ(story.send(bob, 2), "over_limit");
  EXPECT_EQ(story.send(alice, 6), "at 15");  // Its transaction is open.
  story.commit(alice);
  EXPECT_EQ(story.aborted().size(), 2U);
  EXPECT_EQ(story.send(bob, 2), "at 17");
  story.node.settle();
  EXPECT_EQ(story.send(alice, 7), "over_limit");
  ASSERT_TRUE(story.node.core_of(key).advance_log_start(story.log(), 17, story.node.now));
  EXPECT_EQ(story.send(alice, 7), "at 18");
}

TEST(Transactions, the_limit_holds_after_a_restart) {
  Limits limits = small_limits();
  limits.transactions_max = 2;
  Story story(limits);
  story.send(bob, 0);
  story.abort(bob);
  story.send(bob, 1);
  story.node.settle();
  story.restart();
  EXPECT_EQ(story.send(alice, 0), "over_limit");
}

TEST(Transactions, producers_with_open_ones_are_not_evicted) {
  Limits limits = small_limits();
  limits.producers_max = 3;
  Story story(limits);
  for (int i = 0; i < 6; ++i) EXPECT_NE(story.send(2000 + i, 0), "over_limit");
  EXPECT_EQ(story.log().producers().open_count(), 6U);
  EXPECT_EQ(story.log().producers().size(), 6U);
  story.node.append_now(key, story.maker.make("x", 1, 1'700'000'000'000,
                                              {.producer_id = 1, .producer_epoch = 0,
                                               .base_sequence = 0}));
  for (int i = 0; i < 6; ++i) {
    const AppendRequest next{.batch = story.batch(2000 + i, 1)};
    EXPECT_NE(story.say(story.append(next)), "wrong_transaction");
  }
}

}  // namespace
}  // namespace tailrace::log
