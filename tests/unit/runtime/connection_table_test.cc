#include "runtime/connection_table.h"

#include <gtest/gtest.h>

#include "support/net_pair.h"

namespace tailrace::runtime {
namespace {

TEST(ConnectionTable, HasALineForEachConnection) {
  NetPair pair;
  EXPECT_EQ(connection_table(*pair.ends[1].stack, 3), "");
  pair.open();
  const std::string text = connection_table(*pair.ends[1].stack, 3);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_TRUE(text.starts_with("   3 ESTABLISHED    10.0.0.2:9092 ")) << text;
  EXPECT_NE(text.find(" 10.0.0.1:"), std::string::npos) << text;
  EXPECT_EQ(connection_table_head().size(), text.size()) << "columns under their names";
}

}  // namespace
}  // namespace tailrace::runtime
