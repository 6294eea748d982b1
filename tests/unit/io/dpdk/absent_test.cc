#include <gtest/gtest.h>

#include "io/dpdk/dpdk_network.h"

namespace tailrace::io {
namespace {

TEST(DpdkAbsent, SaysHowToGetIt) {
  std::string why;
  EXPECT_EQ(DpdkNetwork::create({}, why), nullptr);
  EXPECT_NE(why.find("libdpdk-dev"), std::string::npos) << why;
}

}  // namespace
}  // namespace tailrace::io
