#include "runtime/requested_text.h"

#include <gtest/gtest.h>

#include <thread>

namespace tailrace::runtime {
namespace {

using std::chrono::milliseconds;

TEST(RequestedText, IsMadeOnTheOwnersThreadWhenItIsAskedFor) {
  RequestedText requested;
  std::atomic<int> woken{0};
  std::atomic<bool> stop{false};
  int made = 0;
  std::thread::id maker;
  std::thread owner([&] {
    while (!stop) {
      requested.serve([&] {
        ++made;
        maker = std::this_thread::get_id();
        return std::string("seen");
      });
    }
  });
  const std::thread::id owner_id = owner.get_id();
  std::string text;
  for (int i = 0; i < 3; ++i) {
    text.clear();
    EXPECT_TRUE(requested.ask(text, milliseconds(5000), [&] { ++woken; }));
    EXPECT_EQ(text, "seen");
  }
  stop = true;
  owner.join();
  EXPECT_EQ(made, 3);
  EXPECT_EQ(woken, 3);
  EXPECT_EQ(maker, owner_id);
}

TEST(RequestedText, AnOwnerWhoTakesNoTurnIsNotWaitedForLong) {
  RequestedText requested;
  std::string text = "before";
  EXPECT_FALSE(requested.ask(text, milliseconds(5), [] {}));
  EXPECT_EQ(text, "before");
}

}  // namespace
}  // namespace tailrace::runtime
