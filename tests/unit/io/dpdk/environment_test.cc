#include "io/dpdk/environment.h"

#include <algorithm>

#include "support.h"

namespace tailrace::io::dpdk {
namespace {

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TEST(Environment, TellsPciAddressesFromDrivers) {
  EXPECT_TRUE(is_pci_address("0000:3b:00.0"));
  EXPECT_TRUE(is_pci_address("3b:00.1"));
  EXPECT_TRUE(is_pci_address("0000:3b:00.0,mprq_en=1"));
  EXPECT_FALSE(is_pci_address("net_af_xdp0,iface=eth1"));
  EXPECT_FALSE(is_pci_address("net_tap0,mac=02:00:00:00:00:02"));
  EXPECT_FALSE(is_pci_address(""));
}

TEST(Environment, TakesNoPciDeviceThatIsNotNamed) {
  const auto words = eal_arguments({.devices = {"net_af_xdp0,iface=eth1"}}, 3);
  EXPECT_TRUE(contains(words, "--no-pci"));
  EXPECT_TRUE(contains(words, "--vdev"));
  EXPECT_TRUE(contains(words, "net_af_xdp0,iface=eth1"));
  EXPECT_TRUE(contains(words, "3"));
  const auto with_pci = eal_arguments({.devices = {"0000:3b:00.0"}}, 0);
  EXPECT_FALSE(contains(with_pci, "--no-pci"));
  EXPECT_TRUE(contains(with_pci, "-a"));
}

TEST(Environment, AsksForItsMemoryWithAndWithoutHugePages) {
  EXPECT_TRUE(contains(eal_arguments({.huge_pages = true}, 0), "--in-memory"));
  const auto words = eal_arguments({.huge_pages = false, .memory_bytes = (100 << 20) + 1}, 0);
  EXPECT_FALSE(contains(words, "--in-memory"));
  EXPECT_TRUE(contains(words, "101"));
}

TEST(Environment, MemoryThatAnotherProcessReadsIsInFewFiles) {
  const std::string few = "--single-file-segments";
  EXPECT_TRUE(contains(eal_arguments({.devices = {"net_virtio_user0,path=x"}}, 0), few));
  EXPECT_TRUE(contains(eal_arguments({.devices = {"net_memif0"}}, 0), few));
  EXPECT_FALSE(contains(eal_arguments({.devices = {"net_vhost0,iface=x"}}, 0), few));
}

TEST(Environment, TooFewHugePagesAreToldWithTheNumberToSet) {
  std::string why;
  EXPECT_EQ(Environment::create({.huge_pages = true, .memory_bytes = std::uint64_t{1} << 50}, why),
            nullptr);
  EXPECT_NE(why.find("vm.nr_hugepages="), std::string::npos) << why;
  EXPECT_NE(why.find("network.huge_pages = false"), std::string::npos) << why;
}

TEST(Environment, IsSetUpOnce) {
  set_up_environment();
  std::string why;
  EXPECT_EQ(Environment::create({.huge_pages = false}, why), nullptr);
  EXPECT_EQ(why, "a process sets up DPDK once");
}

}  // namespace
}  // namespace tailrace::io::dpdk
