#include "control/dump_metadata.h"

#include <gtest/gtest.h>

#include "topic_requests.h"

namespace tailrace::control {
namespace {

struct Dump {
  bool good = false;
  std::string text;
};

Dump dump(Bytes bytes) {
  Dump result;
  result.good = dump_metadata(bytes, [&result](std::string_view line) {
    result.text += std::string(line) + "\n";
  });
  return result;
}

std::vector<std::byte> journal_with_topics() {
  ReadyNode up;
  create(up.node, {topic("orders", 3)});
  remove(up.node, {"orders"});
  return up.disk.bytes("metadata/journal-0");
}

TEST(DumpMetadata, TellsWhatHappened) {
  const Dump told = dump(journal_with_topics());
  EXPECT_TRUE(told.good);
  EXPECT_NE(told.text.find("byte 0: generation 1, base part 0"), std::string::npos) << told.text;
  EXPECT_NE(told.text.find("entry 1 term 1: a leader's first"), std::string::npos);
  EXPECT_NE(told.text.find("node 1 registered localhost:9092"), std::string::npos);
  EXPECT_NE(told.text.find("topic 'orders' ("), std::string::npos);
  EXPECT_NE(told.text.find("created: 3 partitions, first on nodes 1"), std::string::npos);
  EXPECT_NE(told.text.find(" deleted"), std::string::npos);
  EXPECT_NE(told.text.find("in order: store "), std::string::npos);
}

TEST(DumpMetadata, SaysWhereADamagedOneIsDamagedAndShowsTheRest) {
  std::vector<std::byte> bytes = journal_with_topics();
  bytes[2 * disk_block_bytes + 80] ^= std::byte{1};
  const Dump told = dump(bytes);
  EXPECT_FALSE(told.good);
  EXPECT_NE(told.text.find("a leader's first"), std::string::npos);
  EXPECT_NE(told.text.find("DAMAGED at byte 8192: this group cannot be read, but later ones can"),
            std::string::npos) << told.text;
}

TEST(DumpMetadata, NothingIsBlankAndNonsenseIsUnfinished) {
  EXPECT_EQ(dump({}).text, "blank: nothing was written here yet\n");
  std::vector<std::byte> noise(disk_block_bytes, std::byte{7});
  EXPECT_EQ(dump(noise).text.substr(0, 11), "unfinished:");
}

}  // namespace
}  // namespace tailrace::control
