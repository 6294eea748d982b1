#include "io/kernel_interface.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tailrace::io
