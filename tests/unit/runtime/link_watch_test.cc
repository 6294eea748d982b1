#include "runtime/link_watch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"

namespace tailrace::runtime {
namespace {

std::vector<std::string> lines;

struct LinkWatchTest : testing::Test {
  LinkWatchTest() {
    lines.clear();
    set_log_level(LogLevel::info);
    set_log_sink([](LogLevel level, std::string_view, std::string_view line) {
      EXPECT_EQ(level, LogLevel::warn);
      lines.emplace_back(line);
    });
  }
  ~LinkWatchTest() override { set_log_sink(nullptr); }
  LinkWatch watch{"tr0"};
};

TEST_F(LinkWatchTest, ALinkThatIsThereIsNoNews) {
  for (int i = 0; i < 3; ++i) watch.look(io::Link::up);
  EXPECT_TRUE(lines.empty());
  EXPECT_TRUE(watch.is_up());
  EXPECT_EQ(watch.losses(), 0u);
}

TEST_F(LinkWatchTest, LossAndReturnAreToldOnce) {
  for (int times = 1; times <= 2; ++times) {
    for (int i = 0; i < 3; ++i) watch.look(io::Link::down);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], "tr0: the link is down, and nothing comes or goes until it is back");
    EXPECT_FALSE(watch.is_up());
    EXPECT_EQ(watch.losses(), static_cast<std::uint64_t>(times));
    for (int i = 0; i < 3; ++i) watch.look(io::Link::up);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[1], "tr0: the link is up again");
    EXPECT_TRUE(watch.is_up());
    lines.clear();
  }
}

TEST_F(LinkWatchTest, AnInterfaceThatIsSwitchedOffIsToldWithTheRemedy) {
  watch.look(io::Link::switched_off);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("`ip link set INTERFACE up`"), std::string::npos) << lines[0];
  watch.look(io::Link::down);
  EXPECT_EQ(lines.size(), 1u) << "still no link";
}

}  // namespace
}  // namespace tailrace::runtime
