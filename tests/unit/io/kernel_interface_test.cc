#include "io/kernel_interface.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

namespace tailrace::io {
namespace {

TEST(KernelInterface, TellsOfTheOneThatIsAlwaysThere) {
  KernelInterface interface;
  ASSERT_EQ(read_kernel_interface("lo", interface), 0);
  EXPECT_GE(interface.mtu, 1500);
}

TEST(KernelInterface, OneThatIsNotThereIsAnError) {
  KernelInterface interface;
  EXPECT_EQ(read_kernel_interface("nonsense0", interface), ENODEV);
  EXPECT_EQ(read_kernel_interface("", interface), ENODEV);
  EXPECT_EQ(read_kernel_interface("longer-than-a-name-may-be", interface), ENODEV);
}

TEST(KernelInterface, OneThatIsNotThereHasNotLostItsLink) {
  EXPECT_EQ(link_of_interface("nonsense0"), Link::up);
}

TEST(KernelInterface, IsClaimedByOneAtATime) {
  int error_number = -1;
  const int first = claim_interface("claimed0", error_number);
  ASSERT_GE(first, 0);
  EXPECT_EQ(error_number, 0);
  EXPECT_EQ(claim_interface("claimed0", error_number), -1);
  EXPECT_EQ(error_number, EBUSY);
  ::close(first);
  const int again = claim_interface("claimed0", error_number);
  EXPECT_GE(again, 0);
  ::close(again);
}

}  // namespace
}  // namespace tailrace::io
