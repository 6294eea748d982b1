// Stories of the simulated file system and disk: what a power cut leaves.
#include "sim_disk.h"

#include <gtest/gtest.h>

#include "base/aligned.h"

namespace tailrace::sim {
namespace {

struct Machine {
  explicit Machine(std::uint64_t seed) : files(Prng(seed)), disk(make_disk(seed)) {}

  SimDisk make_disk(std::uint64_t seed) {
    return SimDisk(files, clock, trace, Prng(seed), {}, faults, "disk");
  }
  std::int64_t run(const DiskOp& op) {
    EXPECT_EQ(disk.submit({&op, 1}), 1U);
    clock.advance_to(disk.next_deadline());
    DiskDone done;
    EXPECT_EQ(disk.poll({&done, 1}), 1U);
    EXPECT_EQ(done.tag, op.tag);
    return done.result;
  }
  FileId open(std::string_view name) {
    return static_cast<FileId>(run({.kind = DiskOpKind::open, .flags = open_create,
                                        .name = FileName(name)}));
  }
  std::int64_t write(FileId file, std::uint64_t pos, char fill, std::size_t blocks = 1,
                     DiskOpKind kind = DiskOpKind::write) {
    AlignedBuffer buffer(blocks * disk_block_bytes);
    std::memset(buffer.data(), fill, buffer.size());
    return run({.kind = kind, .file = file, .file_pos = pos, .block = buffer.bytes()});
  }
  std::int64_t sync(FileId file) { return run({.kind = DiskOpKind::sync, .file = file}); }
  std::int64_t sync_root() {
    return run({.kind = DiskOpKind::sync_directory, .name = FileName(".")});
  }
  void power_cut(bool garbage = false) {
    disk.crash(true);
    files.power_cut(garbage);
  }
  std::string content(std::string_view path) {
    const InodeRef inode = files.find(path);
    return inode == nullptr ? "none" : std::string(as_text(inode->bytes));
  }

  SimClock clock;
  Trace trace;
  DiskFaults faults;
  SimFileSystem files;
  SimDisk disk;
};

TEST(SimDisk, KeepsWhatWasSyncedThroughEveryPowerCut) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("a");
    EXPECT_EQ(machine.write(file, 0, 'x'), 4096);
    EXPECT_EQ(machine.sync(file), 0);
    EXPECT_EQ(machine.sync_root(), 0);
    machine.write(file, 4096, 'y');
    machine.power_cut();
    EXPECT_EQ(machine.content("a").substr(0, 4096), std::string(4096, 'x'));
  }
}

TEST(SimDisk, LosesKeepsOrTearsWhatWasNotSynced) {
  std::size_t lost = 0;
  std::size_t kept = 0;
  std::size_t torn = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("a");
    machine.write(file, 0, 'x');
    machine.sync(file);
    machine.sync_root();
    machine.write(file, 0, 'y');
    machine.power_cut();
    const std::string content = machine.content("a");
    const auto count = static_cast<std::size_t>(std::count(content.begin(), content.end(), 'y'));
    EXPECT_EQ(count % sector_bytes, 0U);
    ++(count == 0 ? lost : count == 4096 ? kept : torn);
  }
  EXPECT_GT(lost, 20U);
  EXPECT_GT(kept, 20U);
  EXPECT_GT(torn, 20U);
}

TEST(SimDisk, MayLeaveGarbageInASectorThatWasBeingWritten) {
  bool found = false;
  for (std::uint64_t seed = 0; seed < 300 && !found; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("a");
    machine.write(file, 0, 'x');
    machine.sync(file);
    machine.sync_root();
    machine.write(file, 0, 'y');
    machine.power_cut(true);
    for (const char c : machine.content("a")) found = found || (c != 'x' && c != 'y');
  }
  EXPECT_TRUE(found);
}

TEST(SimDisk, ASyncCoversOnlyWhatHadCompletedWhenItWasSubmitted) {
  bool lost = false;
  for (std::uint64_t seed = 0; seed < 100 && !lost; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("a");
    machine.sync_root();
    AlignedBuffer buffer(4096);
    std::memset(buffer.data(), 'z', 4096);
    const std::array<DiskOp, 2> ops = {
        DiskOp{.kind = DiskOpKind::write, .file = file, .block = buffer.bytes()},
        DiskOp{.kind = DiskOpKind::sync, .file = file}};
    EXPECT_EQ(machine.disk.submit(ops), 2U);
    std::array<DiskDone, 2> done;
    for (std::size_t count = 0; count < 2;) {
      machine.clock.advance_to(machine.disk.next_deadline());
      count += machine.disk.poll(done);
    }
    machine.power_cut();
    lost = machine.content("a") != std::string(4096, 'z');
  }
  EXPECT_TRUE(lost);
}

TEST(SimDisk, WriteDurableIsDurableAtCompletion) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("a");
    machine.sync_root();
    machine.write(file, 0, 'o');
    machine.write(file, 0, 'd', 1, DiskOpKind::write_durable);
    machine.power_cut();
    EXPECT_EQ(machine.content("a"), std::string(4096, 'd'));
  }
}

TEST(SimDisk, LosesNamesThatNoDirectorySyncCovered) {
  std::size_t lost = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Machine machine(seed);
    machine.open("kept");
    machine.sync_root();
    const FileId file = machine.open("loose");
    machine.write(file, 0, 'x');
    machine.sync(file);
    machine.power_cut();
    EXPECT_NE(machine.content("kept"), "none");
    lost += machine.content("loose") == "none" ? 1 : 0;
  }
  EXPECT_GT(lost, 5U);
  EXPECT_LT(lost, 45U);
}

TEST(SimDisk, ARenameIsWholeOrNotAtAll) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("new");
    machine.write(file, 0, 'n');
    machine.sync(file);
    machine.open("old");
    machine.sync_root();
    machine.run({.kind = DiskOpKind::rename, .name = FileName("new"),
                 .name_to = FileName("old")});
    machine.power_cut();
    const bool renamed = machine.content("new") == "none";
    EXPECT_EQ(machine.content("old"), renamed ? std::string(4096, 'n') : "");
  }
}

TEST(SimDisk, AFailedSyncLeavesOldOrNewAndALaterOneSaysNothing) {
  bool old_seen = false;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Machine machine(seed);
    const FileId file = machine.open("a");
    machine.sync_root();
    machine.write(file, 0, 'x');
    machine.sync(file);
    machine.write(file, 0, 'y');
    machine.faults.sync_error = 1'000'000;
    EXPECT_EQ(machine.sync(file), -EIO);
    machine.faults.sync_error = 0;
    EXPECT_EQ(machine.sync(file), 0);
    const std::string before = machine.content("a");
    machine.power_cut();
    EXPECT_EQ(machine.content("a"), before);
    old_seen = old_seen || before.find('x') != std::string::npos;
  }
  EXPECT_TRUE(old_seen);
}

TEST(SimDisk, AFullDiskRefusesToGrowAFileButNotToRewriteIt) {
  Machine machine(1);
  machine.files.set_capacity(8192);
  const FileId file = machine.open("a");
  EXPECT_EQ(machine.write(file, 0, 'x', 2), 8192);
  EXPECT_EQ(machine.write(file, 8192, 'x'), -ENOSPC);
  EXPECT_EQ(machine.write(file, 0, 'y', 2), 8192);
  EXPECT_EQ(machine.disk.space().usable_bytes, 0U);
}

TEST(SimDisk, TakesNoMoreOfAClassThanItsCap) {
  Machine machine(1);
  const std::vector<DiskOp> ops(20, DiskOp{.kind = DiskOpKind::make_directory,
                                           .disk_class = DiskClass::read, .name = FileName("d")});
  EXPECT_EQ(machine.disk.submit(ops), 8U);
  EXPECT_EQ(machine.disk.submit(std::span(ops).subspan(8)), 0U);
}

TEST(SimDisk, FindsABlockThatChangedWhileItWasWritten) {
  Machine machine(1);
  const FileId file = machine.open("a");
  AlignedBuffer buffer(4096);
  const DiskOp op{.kind = DiskOpKind::write, .file = file, .block = buffer.bytes()};
  machine.disk.submit({&op, 1});
  buffer.data()[7] = std::byte{1};
  machine.clock.advance_to(machine.disk.next_deadline());
  DiskDone done;
  machine.disk.poll({&done, 1});
  EXPECT_EQ(machine.disk.blocks_changed(), 1U);
}

}  // namespace
}  // namespace tailrace::sim
