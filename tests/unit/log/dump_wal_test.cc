#include "log/dump_wal.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/aligned.h"
#include "log/checkpoint.h"
#include "log/commit_frame.h"
#include "log/wal_format.h"

namespace tailrace::log {
namespace {

// A WAL file with one-block frames, put together by hand.
struct Wal {
  Wal() : bytes(9 * disk_block_bytes) {
    format.wal.bytes.fill(3);
    format.ring_bytes = 8 * disk_block_bytes;
    store_wal_format(MutableBytes(bytes).first(disk_block_bytes), format);
  }
  void put(std::uint64_t block, std::uint64_t seq, std::uint64_t durable_seq) {
    Entry entry{.kind = EntryKind::log_start, .base_offset = 5, .payload_pos = 64};
    FrameHeader header{.wal = format.wal, .seq = seq, .entry_count = 1, .durable_seq = durable_seq};
    header.frame_bytes = frame_size(0, 1);
    seal_frame(MutableBytes(bytes).subspan(block * disk_block_bytes, header.frame_bytes), header,
               {&entry, 1});
  }
  // Breaks the entry table, not the header.
  void damage(std::uint64_t block) { bytes[block * disk_block_bytes + 70] ^= std::byte{1}; }
  std::uint64_t dump(bool with_frames = false) {
    text.clear();
    return dump_wal(bytes, with_frames, [this](std::string_view line) {
      text += line;
      text += '\n';
    });
  }
  WalFormatBlock format;
  std::vector<std::byte> bytes;
  std::string text;
};

TEST(DumpWal, AFreshOneHasNoFrames) {
  Wal wal;
  EXPECT_EQ(wal.dump(), 0u);
  EXPECT_NE(wal.text.find("no frame was written yet"), std::string::npos) << wal.text;
}

TEST(DumpWal, TheNewestRunIsFoundAlsoBehindFramesOfTheLapBefore) {
  Wal wal;
  for (std::uint64_t block = 1; block <= 8; ++block) wal.put(block, block, block - 1);
  wal.put(1, 9, 8);
  wal.put(2, 10, 9);
  EXPECT_EQ(wal.dump(), 0u) << wal.text;
  EXPECT_NE(wal.text.find("8 whole frames; the newest run is 3 to 10, ends at 12288"),
            std::string::npos) << wal.text;
  wal.dump(true);
  EXPECT_NE(wal.text.find("frame 9 entries 1"), std::string::npos) << wal.text;
  EXPECT_NE(wal.text.find("log start"), std::string::npos) << wal.text;
}

TEST(DumpWal, ATornEndIsNoProblem) {
  Wal wal;
  wal.put(1, 1, 0);
  wal.put(2, 2, 1);
  wal.damage(2);
  EXPECT_EQ(wal.dump(), 0u);
  EXPECT_NE(wal.text.find("torn: not acknowledged"), std::string::npos) << wal.text;
}

TEST(DumpWal, DamageBeforeADurableFrameIsOne) {
  Wal wal;
  wal.put(1, 1, 0);
  wal.put(2, 2, 1);
  wal.put(3, 3, 2);
  wal.damage(2);
  EXPECT_EQ(wal.dump(), 1u);
  EXPECT_NE(wal.text.find("8192 frame 2"), std::string::npos) << wal.text;
  EXPECT_NE(wal.text.find("PROBLEM: damaged"), std::string::npos) << wal.text;
}

TEST(DumpWal, ACutFileAndABadFormatBlockAreTold) {
  Wal wal;
  wal.bytes.resize(5 * disk_block_bytes);
  EXPECT_EQ(wal.dump(), 1u);
  EXPECT_NE(wal.text.find("the file has only 20480 bytes"), std::string::npos) << wal.text;
  wal.bytes[9] ^= std::byte{1};
  EXPECT_EQ(wal.dump(), 1u);
  EXPECT_NE(wal.text.find("the format block is corrupt"), std::string::npos) << wal.text;
}

TEST(DumpCheckpoint, NamesItsPartitions) {
  Checkpoint checkpoint{.number = 4, .replay_from = {.seq = 17, .file_pos = 8192}};
  checkpoint.partitions.push_back({.key = {.partition = 2, .incarnation = 1}, .log_start = 3,
                                   .end_offset = 90,
                                   .segments = {{.base_offset = 0, .size_bytes = 1000}}});
  std::vector<std::byte> bytes;
  encode_checkpoint(checkpoint, bytes);
  std::string text;
  const DumpSink sink = [&text](std::string_view line) { text += std::string(line) + "\n"; };
  EXPECT_EQ(dump_checkpoint(bytes, sink), 0u);
  EXPECT_NE(text.find("checkpoint 4"), std::string::npos) << text;
  EXPECT_NE(text.find("replay from frame 17 at 8192, 1 partitions"), std::string::npos) << text;
  EXPECT_NE(text.find("/2-1 offsets 3 to 90, 1 segments of 1000 bytes"), std::string::npos) << text;
  bytes[40] ^= std::byte{1};
  EXPECT_EQ(dump_checkpoint(bytes, sink), 1u);
  EXPECT_NE(text.find("PROBLEM: the checkpoint is corrupt"), std::string::npos) << text;
}

}  // namespace
}  // namespace tailrace::log
