#include "control/raft_store.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "../../support/fake_disk.h"

namespace tailrace::control {
namespace {

constexpr std::string_view journal_0 = "metadata/journal-0";
constexpr std::string_view journal_1 = "metadata/journal-1";

class Store {
 public:
  explicit Store(test::FakeDisk& disk, const Limits& limits = {}, std::uint64_t seed = 1)
      : disk_(disk), prng_(seed), store(limits, {{1}, {}}, prng_) {}

  void turn() {
    store.step(now);
    disk_.submit(store.ops());
    store.ops_taken(store.ops().size());
  }
  void run() {
    for (turn(); disk_.waiting_count() > 0; turn()) {
      store.on_disk_done(disk_.complete(0), now);
      if (const auto persisted = store.take_persisted()) durable = persisted->index;
    }
  }
  void append(raft::Index index, std::size_t size = 10) {
    raft::Update update;
    update.entries.push_back({index, 1, raft::EntryKind::data, std::vector<std::byte>(size)});
    if (index == 1) update.hard_state = raft::HardState{1, 1};
    store.persist(update);
  }
  void snapshot(raft::Index index, std::size_t size) {
    raft::Snapshot snapshot;
    snapshot.index = index;
    snapshot.term = 1;
    snapshot.configuration = {{1}, {}};
    snapshot.bytes.resize(size);
    store.write_snapshot({1, 1}, snapshot, {});
  }

 private:
  test::FakeDisk& disk_;
  Prng prng_;

 public:
  RaftStore store;
  Now now;
  raft::Index durable = 0;
};

TEST(RaftStore, FormatsAnEmptyDirectoryAndFindsWhatWasWritten) {
  test::FakeDisk disk;
  {
    Store first(disk);
    first.run();
    ASSERT_TRUE(first.store.loaded()) << first.store.why();
    EXPECT_EQ(first.store.take_recovered().snapshot.configuration.voters,
              std::vector<raft::NodeId>{1});
    first.append(1);
    first.append(2);
    first.run();
    EXPECT_EQ(first.durable, 2U);
  }
  EXPECT_EQ(disk.bytes(std::string(journal_0)).size(), Limits{}.journal_bytes);
  EXPECT_EQ(disk.bytes(std::string(journal_1)).size(), Limits{}.journal_bytes);
  Store second(disk);
  second.run();
  ASSERT_TRUE(second.store.loaded()) << second.store.why();
  const raft::Recovered recovered = second.store.take_recovered();
  EXPECT_EQ(recovered.hard_state, (raft::HardState{1, 1}));
  EXPECT_EQ(recovered.entries.size(), 2U);
}

TEST(RaftStore, ReportsAnEntryOnlyAfterTheSync) {
  test::FakeDisk disk;
  Store node(disk);
  node.run();
  node.append(1);
  node.turn();
  ASSERT_EQ(disk.waiting(0).kind, DiskOpKind::write);
  node.store.on_disk_done(disk.complete(0), node.now);
  node.turn();
  EXPECT_FALSE(node.store.take_persisted().has_value());
  ASSERT_EQ(disk.waiting(0).kind, DiskOpKind::sync);
  node.store.on_disk_done(disk.complete(0), node.now);
  EXPECT_EQ(node.store.take_persisted()->index, 1U);
}

TEST(RaftStore, AFullJournalAsksForASnapshotAndGoesOnInTheOtherFile) {
  test::FakeDisk disk;
  raft::Index last = 0;
  {
    Store node(disk);
    node.run();
    for (int round = 0; round < 5; ++round) {
      while (!node.store.wants_snapshot()) {
        node.append(++last, 60'000);
        node.run();
      }
      node.snapshot(last - 1, 100'000);
      node.run();
      ASSERT_FALSE(node.store.failed()) << node.store.why();
      EXPECT_EQ(node.store.take_compacted(), last - 1);
      EXPECT_EQ(node.durable, last) << "what waited is written behind the snapshot";
    }
  }
  EXPECT_EQ(disk.bytes(std::string(journal_0)).size(), Limits{}.journal_bytes) << "no growth";
  Store again(disk);
  again.run();
  ASSERT_TRUE(again.store.loaded()) << again.store.why();
  const raft::Recovered recovered = again.store.take_recovered();
  EXPECT_EQ(recovered.snapshot.index, last - 1);
  EXPECT_EQ(recovered.snapshot.bytes.size(), 100'000U);
  ASSERT_EQ(recovered.entries.size(), 1U);
  EXPECT_EQ(recovered.entries[0].index, last);
}

TEST(RaftStore, ALostNewerFileIsNoticed) {
  test::FakeDisk disk;
  {
    Store node(disk);
    node.run();
    node.append(1);
    node.run();
    node.snapshot(1, 10);
    node.run();
    node.append(2);
    node.run();
  }
  std::vector<std::byte>& newer = disk.bytes(std::string(journal_1));
  disk.put(std::string(journal_1), std::vector<std::byte>(newer.size()));
  Store again(disk);
  again.run();
  EXPECT_TRUE(again.store.failed());
  EXPECT_EQ(again.store.why(), "metadata/journal-0 says that the metadata went on in "
                               "metadata/journal-1, but that file cannot be read there");
}

TEST(RaftStore, AMarkThatACrashPreventedIsWrittenAtTheNextStart) {
  test::FakeDisk disk;
  {
    Store node(disk);
    node.run();
    node.append(1);
    node.run();
    node.snapshot(1, 10);
    // Base: written and synced. Mark: not.
    for (int i = 0; i < 2; ++i) {
      node.turn();
      node.store.on_disk_done(disk.complete(0), node.now);
    }
  }
  disk.crash_keeping([](const std::string&, std::uint64_t) { return false; });
  EXPECT_FALSE(scan_journal(disk.bytes(std::string(journal_0))).moved);
  {
    Store again(disk);
    again.run();
    ASSERT_TRUE(again.store.loaded()) << again.store.why();
    EXPECT_EQ(again.store.take_recovered().snapshot.index, 1U);
  }
  EXPECT_TRUE(scan_journal(disk.bytes(std::string(journal_0))).moved);
}

TEST(RaftStore, DamageIsToldWithItsPlaceAndNothingIsWritten) {
  test::FakeDisk disk;
  {
    Store node(disk);
    node.run();
    for (raft::Index i = 1; i <= 3; ++i) {
      node.append(i);
      node.run();
    }
  }
  disk.flip_bit(std::string(journal_0), 2 * disk_block_bytes + 70);
  const std::vector<std::byte> before = disk.bytes(std::string(journal_0));
  Store again(disk);
  again.run();
  EXPECT_TRUE(again.store.failed());
  EXPECT_EQ(again.store.why().substr(0, 46), "metadata/journal-0 is damaged at byte 8192: th");
  EXPECT_EQ(disk.bytes(std::string(journal_0)), before);
}

TEST(RaftStore, AFailedWriteSyncOrShortWriteIsForGood) {
  const auto failing = [](DiskOpKind kind, bool cut) {
    test::FakeDisk disk;
    Store node(disk);
    node.run();
    node.append(1);
    cut ? disk.cut_next(kind, 512) : disk.fail_next(kind, EIO);
    node.run();
    node.append(2);
    node.run();
    EXPECT_EQ(node.durable, 0U);
    return node.store.failed() ? node.store.why() : "goes on";
  };
  EXPECT_EQ(failing(DiskOpKind::write, false),
            "metadata: the device reports an error (errno 5) while writing");
  EXPECT_EQ(failing(DiskOpKind::sync, false),
            "metadata: the device reports an error (errno 5) while syncing or opening");
  EXPECT_EQ(failing(DiskOpKind::write, true), "metadata: a write was cut short");
}

TEST(RaftStore, GrowsWithTheMetadataAndOnAFullDiskSaysHowMuchIsLeft) {
  Limits limits;
  test::FakeDisk disk;
  Store node(disk, limits);
  node.run();
  const std::uint64_t room = node.store.growing_room();
  EXPECT_GT(room, 500'000U);
  node.store.set_state_bytes(600'000);
  disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::write && op.file_pos >= Limits{}.journal_bytes ? ENOSPC : 0;
  };
  node.run();
  EXPECT_FALSE(node.store.failed()) << "a full disk stops growth only";
  EXPECT_LT(node.store.growing_room(), room - 590'000);
  EXPECT_NE(node.store.next_deadline(), never());
  node.append(1);
  node.run();
  EXPECT_EQ(node.durable, 1U);
  disk.fault = nullptr;
  node.run();
  EXPECT_LT(node.store.growing_room(), room) << "not tried again at once";
  node.now.instant = node.store.next_deadline();
  node.run();
  EXPECT_GT(node.store.growing_room(), room);
  EXPECT_EQ(node.store.next_deadline(), never());
}

TEST(RaftStore, ACrashWhileFormattingIsFormattedAgain) {
  for (std::size_t count = 0; count < 40; ++count) {
    test::FakeDisk disk;
    Prng prng(count);
    Store node(disk);
    node.turn();
    for (std::size_t i = 0; i < count && disk.waiting_count() > 0; ++i) {
      node.store.on_disk_done(disk.complete(0), node.now);
      node.turn();
    }
    disk.crash(prng);
    Store again(disk, {}, 2);
    again.run();
    EXPECT_TRUE(again.store.loaded()) << count << " " << again.store.why();
  }
}

}  // namespace
}  // namespace tailrace::control
