#include "io/dpdk/dpdk_network.h"

#include "support.h"

namespace tailrace::io {
namespace {

// What it does when all is well is the end-to-end suite's: `tests/e2e/run.py --net dpdk`.
TEST(DpdkNetwork, RefusesBeforeDpdkIsTouched) {
  std::string why;
  EXPECT_EQ(DpdkNetwork::create({.devices = ""}, why), nullptr);
  EXPECT_NE(why.find("0 devices for 1 cores"), std::string::npos) << why;
  EXPECT_EQ(DpdkNetwork::create({.devices = "net_null0 net_null1", .queues = 3}, why), nullptr);
  EXPECT_NE(why.find("2 devices for 3 cores"), std::string::npos) << why;
  EXPECT_EQ(DpdkNetwork::create({.devices = "net_af_packet0,iface=nonsense0"}, why), nullptr);
  EXPECT_NE(why.find("there is no interface nonsense0"), std::string::npos) << why;
}

TEST(DpdkNetwork, AProcessHasOne) {
  dpdk::set_up_environment();
  std::string why;
  EXPECT_EQ(DpdkNetwork::create({.devices = "net_null0", .huge_pages = false}, why), nullptr);
  EXPECT_EQ(why, "a process sets up DPDK once");
}

}  // namespace
}  // namespace tailrace::io
