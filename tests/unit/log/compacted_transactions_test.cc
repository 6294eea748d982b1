// Transactions in a compacted partition, as stories: what readers of committed records get, how
// long a marker stays, and when an aborted transaction is forgotten.
#include "compactor_rig.h"
#include "record/control_record.h"

namespace tailrace::log {
namespace {

constexpr std::int64_t alice = 1001;
constexpr std::int64_t bob = 1002;

class CompactedTransactions : public CompactorTest {
 protected:
  std::int64_t send(std::int64_t producer, std::int32_t sequence, const std::string& key,
                    const std::string& value, std::int16_t epoch = 0) {
    record::BatchBuilder builder(16'000);
    builder.start({.attributes = record::transactional_bit,
                   .producer_id = producer,
                   .producer_epoch = epoch,
                   .base_sequence = sequence});
    record::NewRecord record{.timestamp = node->now.wall_ms, .key = std::string_view(key),
                             .value = std::string_view(value)};
    if (value == "-") record.value = nullptr;
    EXPECT_TRUE(builder.add(record));
    return append({.batch = *builder.finish(),
                   .is_verified = true,
                   .guard = log().producers().guard()});
  }
  std::int64_t end(std::int64_t producer, bool is_commit, std::int16_t epoch = 0,
                   std::int8_t version = 1) {
    std::array<std::byte, record::marker_batch_bytes> bytes;
    record::store_marker_batch(bytes, {.producer_id = producer,
                                       .producer_epoch = epoch,
                                       .timestamp_ms = node->now.wall_ms,
                                       .marker = {.is_commit = is_commit}});
    return append({.batch = bytes,
                   .origin = record::BatchOrigin::coordinator,
                   .transaction_version = version});
  }
  std::int64_t append(AppendRequest request) {
    request.leader_epoch = 3;
    for (int i = 0; i < 1000; ++i) {
      const auto appended = node->core_of(p0).append(log(), request, node->now);
      if (appended) return appended->base_offset;
      EXPECT_EQ(appended.error().code, Errc::full);
      node->turn();
    }
    return -1;
  }
  // Every batch there is: "offset producer", "empty" or "marker" behind it.
  std::vector<std::string> batches() {
    std::vector<std::string> found;
    const auto bytes = node->read_all(p0, 0);
    for (Bytes rest = bytes; !rest.empty();) {
      const auto batch = *record::parse_batch(rest);
      EXPECT_TRUE(record::crc_matches(batch.bytes));
      rest = rest.subspan(batch.bytes.size());
      if (!batch.header.has_producer()) continue;
      found.push_back(std::to_string(batch.header.base_offset) +
                      (batch.header.producer_id == alice ? " alice" : " bob") +
                      (batch.header.is_control()          ? " marker"
                       : batch.header.record_count == 0 ? " empty"
                                                        : ""));
    }
    return found;
  }
  // The offsets of the records that a client gets at READ_COMMITTED, in one answer.
  std::vector<std::int64_t> committed() {
    const auto bytes = node->read_all(p0, 0);
    std::vector<AbortedRange> list(log().transactions().find(0, INT64_MAX, {}));
    log().transactions().find(0, INT64_MAX, list);
    std::vector<std::int64_t> offsets;
    std::set<std::int64_t> aborting;
    std::size_t next = 0;
    for (Bytes rest = bytes; !rest.empty();) {
      const record::BatchHeader header = *record::parse_header(rest);
      rest = rest.subspan(header.size_bytes());
      for (; next < list.size() && list[next].first_offset <= header.last_offset(); ++next) {
        aborting.insert(list[next].producer_id);
      }
      if (header.is_control()) {
        aborting.erase(header.producer_id);
      } else if (header.is_transactional() && !aborting.contains(header.producer_id) &&
                 header.record_count > 0) {
        offsets.push_back(header.base_offset);
      }
    }
    return offsets;
  }
  std::size_t aborted_count() { return log().transactions().aborted().size(); }

  using Batches = std::vector<std::string>;
  using Offsets = std::vector<std::int64_t>;
};

TEST_F(CompactedTransactions, WhatWasAbortedGoesAndHidesNothing) {
  write({{"a", "1"}});
  send(alice, 0, "a", "2");
  end(alice, false);
  send(bob, 0, "b", "1");
  end(bob, true);
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(records(), (std::vector<Kept>{
                           {0, "a", "1"}, {2, std::string(4, '\0'), std::string(6, '\0')},
                           {3, "b", "1"}, {4, std::string("\0\0\0\1", 4), std::string(6, '\0')}}));
  EXPECT_EQ(committed(), Offsets{3});
}

// With a marker gone, an entry in the list of aborted transactions would make clients leave out all
// that the producer commits from then on.
TEST_F(CompactedTransactions, WhatIsCommittedAfterAnAbortIsReadWhenTheMarkerIsGone) {
  send(alice, 0, "a", "1");
  end(alice, false);
  send(alice, 1, "b", "1");
  end(alice, true);
  write({{"c", "1"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(committed(), Offsets{2});
  node->now.wall_ms += 5000;
  compact();
  EXPECT_EQ(passes(), 2U);
  EXPECT_EQ(batches(), (Batches{"2 alice", "3 alice marker"}));
  EXPECT_EQ(committed(), Offsets{2});
}

TEST_F(CompactedTransactions, AnAbortedOneIsForgottenWithItsRecords) {
  for (int i = 0; i < 20; ++i) {
    send(alice, i, "a", std::to_string(i));
    end(alice, false);
    write({{"b", std::string(300, 'x')}});
  }
  roll_and_checkpoint();
  EXPECT_EQ(aborted_count(), 20U);
  compact();
  EXPECT_EQ(passes(), 1U);
  EXPECT_LE(aborted_count(), 2U) << "one or two lie in the segment in hand";
  EXPECT_EQ(committed(), Offsets{});
  node->crash(prng);
  ASSERT_TRUE(node->boot());
  EXPECT_LE(aborted_count(), 2U);
  EXPECT_EQ(committed(), Offsets{});
}

TEST_F(CompactedTransactions, OneThatReachesIntoTheActiveSegmentIsKnownUntilThatIsCompacted) {
  send(alice, 0, "a", "1");
  roll_and_checkpoint();
  end(alice, false);
  checkpoint();
  compact();
  EXPECT_EQ(aborted_count(), 1U);
  EXPECT_EQ(committed(), Offsets{});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(aborted_count(), 0U);
  EXPECT_EQ(committed(), Offsets{});
}

TEST_F(CompactedTransactions, RoomForNewOnesComesBack) {
  limits.transactions_max = 4;
  node = std::make_unique<LogNode>(limits);
  node->config.segment_bytes = 700;
  node->config.compaction = {.dirty_ratio_min = 0, .delete_retention_ms = 1000};
  ASSERT_TRUE(node->boot());
  for (int i = 0; i < 4; ++i) {
    send(alice, i, "a", "1");
    end(alice, false);
  }
  roll_and_checkpoint();
  const auto refused = [&] {
    record::BatchBuilder builder(1000);
    builder.start({.attributes = record::transactional_bit, .producer_id = bob,
                   .producer_epoch = 0, .base_sequence = 0});
    EXPECT_TRUE(builder.add({.key = "b", .value = "1"}));
    const auto appended = node->core_of(p0).append(
        log(), {.batch = *builder.finish(), .leader_epoch = 3, .is_verified = true,
                .guard = log().producers().guard()}, node->now);
    return !appended && appended.error().code == Errc::over_limit;
  };
  node->config.compaction.dirty_ratio_min = 1.1;
  compact();
  EXPECT_EQ(passes(), 0U) << "it is not dirty enough";
  EXPECT_TRUE(refused());
  wait();
  EXPECT_EQ(passes(), 1U);
  EXPECT_FALSE(refused());
  wait();
  EXPECT_EQ(passes(), 1U);
}

// Its time begins when the last of its transaction goes, however long ago it was written.
TEST_F(CompactedTransactions, AMarkerStaysForItsTimeOnceItsTransactionIsGone) {
  send(alice, 0, "a", "1");
  end(alice, true);
  send(alice, 1, "b", "1");
  end(alice, true);
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(batches(), (Batches{"0 alice", "1 alice marker", "2 alice", "3 alice marker"}));
  node->now.wall_ms += 100'000;
  write({{"a", "2"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(batches(), (Batches{"1 alice marker", "2 alice", "3 alice marker"}));
  node->now.wall_ms += 999;
  write({{"a", "3"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(batches(), (Batches{"1 alice marker", "2 alice", "3 alice marker"}));
  node->now.wall_ms += 1;
  const std::uint64_t before = passes();
  compact();  // Without anything new: the marker itself is the reason.
  EXPECT_EQ(passes(), before + 1);
  EXPECT_EQ(batches(), (Batches{"2 alice", "3 alice marker"}));
  compact();
  EXPECT_EQ(passes(), before + 1);
}

TEST_F(CompactedTransactions, AMarkerThatWaitsIsStillOne) {
  send(alice, 0, "a", "1");
  const std::int64_t written_ms = node->now.wall_ms;
  end(alice, false);
  send(alice, 1, "b", "1");
  end(alice, true);
  roll_and_checkpoint();
  node->now.wall_ms += 100;
  compact();
  const auto bytes = node->read_all(p0, 0);
  const auto marker = *record::parse_batch(bytes);
  EXPECT_EQ(marker.header.base_offset, 1);
  EXPECT_TRUE(marker.header.has_delete_horizon());
  EXPECT_EQ(marker.header.base_timestamp, node->now.wall_ms + 1000);
  EXPECT_EQ(marker.header.max_timestamp, written_ms);
  const auto told = record::marker_of(marker);
  ASSERT_TRUE(told);
  EXPECT_FALSE(told->is_commit);
}

// What the log tells of the producer: its epoch, for whoever makes its state anew from the records.
TEST_F(CompactedTransactions, TheNewestMarkerOfAProducerStays) {
  send(alice, 0, "a", "1", 4);
  end(alice, true, 5, 2);
  send(bob, 0, "b", "1", 0);
  end(bob, false, 1, 2);
  send(bob, 0, "b", "2", 1);
  end(bob, true, 2, 2);
  write({{"a", "2"}, {"b", "3"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(batches(), (Batches{"1 alice marker", "3 bob marker", "5 bob marker"}));
  for (int i = 0; i < 3; ++i) {
    node->now.wall_ms += 2000;
    write({{"a", "3"}});
    roll_and_checkpoint();
    compact();
  }
  EXPECT_EQ(batches(), (Batches{"1 alice marker", "5 bob marker"}));
}

TEST_F(CompactedTransactions, AMarkerStaysWithTheEmptyBatchOfItsTransaction) {
  send(alice, 0, "a", "1");
  end(alice, false);
  write({{"a", "2"}});
  roll_and_checkpoint();
  for (int i = 0; i < 3; ++i) {
    compact();
    node->now.wall_ms += 2000;
    write({{"b", "2"}});
    roll_and_checkpoint();
  }
  EXPECT_EQ(batches(), (Batches{"0 alice empty", "1 alice marker"}));
}

// It would bring records of an aborted transaction out of the old file, and by then nobody would
// tell that they were.
TEST_F(CompactedTransactions, AReadThatASwapOvertakesReadsAgain) {
  for (int i = 0; i < 6; ++i) {
    send(alice, i, "a", std::string(200, 'x'));
    end(alice, false);
  }
  roll_and_checkpoint();
  node->crash(prng);  // Nothing of it is in memory now.
  ASSERT_TRUE(node->boot());
  node->settle();
  CoreLog& core = node->core_of(p0);
  const ReadRequest front{.offset = 0, .offset_end = log().durable_end(), .bytes_max = 2000,
                          .at_least_one = true};
  std::vector<ReadId> in_front;  // They hold all buffers.
  for (std::uint32_t i = 0; i < limits.read_buffer_count; ++i) {
    in_front.push_back(*core.read(log(), front));
  }
  node->settle();
  const ReadId late = *core.read(log(), front);
  allow();
  for (int i = 0; i < 1000 && passes() == 0; ++i) {
    node->now.instant = node->now.instant + milliseconds(1);
    node->turn(1);
  }
  ASSERT_EQ(passes(), 1U);
  EXPECT_EQ(aborted_count(), 0U);
  for (const ReadId id : in_front) core.release_read(id);
  node->settle();
  const Read& read = core.get(late);
  ASSERT_TRUE(read.done && read.status && !read.pieces.empty());
  for (Bytes rest = read.pieces.front(); !rest.empty();) {
    const auto header = *record::parse_header(rest);
    rest = rest.subspan(header.size_bytes());
    EXPECT_TRUE(!header.has_producer() || header.is_control() || header.record_count == 0)
        << header.base_offset;
  }
  core.release_read(late);
}

}  // namespace
}  // namespace tailrace::log
