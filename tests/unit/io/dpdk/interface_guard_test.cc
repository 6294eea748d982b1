#include "io/dpdk/interface_guard.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace tailrace::io::dpdk {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU\n";
constexpr std::string_view v4_default = "eth0 00000000 0100000A 0003 0 0 100 00000000 0 0 0\n";
constexpr std::string_view v4_local = "eth1 0000000A 00000000 0001 0 0 100 00FFFFFF 0 0 0\n";

std::string route_v6(std::string_view interface) {
  const std::string zeros(32, '0');
  return zeros + " 00 " + zeros + " 00 " + zeros + " 00000400 00000001 00000000 00000003 " +
         std::string(interface) + "\n";
}

// A machine on paper.
struct Machine {
  Machine() {
    std::string name = (fs::temp_directory_path() / "tailrace-guard-XXXXXX").string();
    root = ::mkdtemp(name.data());
    view = {.sys = root / "sys", .proc = root / "proc"};
    fs::create_directories(view.proc / "net");
  }
  ~Machine() { fs::remove_all(root); }
  void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }
  // A PCI device with an interface; without a driver's name it has none.
  void add_pci(const std::string& address, const std::string& interface,
               const std::string& driver) {
    const fs::path place = view.sys / "bus/pci/devices" / address;
    fs::create_directories(place);
    if (!interface.empty()) fs::create_directories(place / "net" / interface);
    if (!driver.empty()) fs::create_symlink("../drivers/" + driver, place / "driver");
  }
  void add_queues(const std::string& interface, int count) {
    for (int i = 0; i < count; ++i) {
      fs::create_directories(view.sys / "class/net" / interface / "queues" /
                             ("rx-" + std::to_string(i)));
      fs::create_directories(view.sys / "class/net" / interface / "queues" /
                             ("tx-" + std::to_string(i)));
    }
  }
  fs::path root;
  MachineView view;
  std::string why;
};

TEST(InterfaceGuard, FindsTheArgumentsOfADevice) {
  EXPECT_EQ(device_argument("net_af_xdp0,iface=eth1,start_queue=2", "iface"), "eth1");
  EXPECT_EQ(device_argument("net_af_xdp0,iface=eth1,start_queue=2", "start_queue"), "2");
  EXPECT_EQ(device_argument("net_af_xdp0,xiface=eth1", "iface"), "");
  EXPECT_EQ(device_argument("net_af_xdp0", "iface"), "");
  EXPECT_EQ(device_argument("iface=eth1", "iface"), "");
  EXPECT_EQ(device_argument("net_x0,iface", "iface"), "");
  EXPECT_EQ(device_argument("", "iface"), "");
}

TEST(InterfaceGuard, FindsDefaultRoutes) {
  const std::string v4 = std::string(head) + std::string(v4_default) + std::string(v4_local);
  EXPECT_EQ(default_route_interfaces(v4, ""), std::vector<std::string>{"eth0"});
  EXPECT_EQ(default_route_interfaces(v4, route_v6("eth0") + route_v6("lo")),
            std::vector<std::string>{"eth0"});
  EXPECT_EQ(default_route_interfaces("", route_v6("eth2")), std::vector<std::string>{"eth2"});
  EXPECT_TRUE(default_route_interfaces("nonsense\n\n", "short line\n").empty());
}

// lo is there in every network, so that it can stand for a port.
TEST(InterfaceGuard, KeepsOffTheOnlyWayToTheMachine) {
  Machine machine;
  machine.write(machine.view.proc / "net/route",
                std::string(head) + "lo 00000000 0100000A 0003 0 0 100 00000000 0 0 0\n");
  EXPECT_FALSE(may_take("net_af_packet0,iface=lo", machine.view, machine.why));
  EXPECT_NE(machine.why.find("lo has this machine's only default route"), std::string::npos);
  // A second way is enough.
  machine.write(machine.view.proc / "net/ipv6_route", route_v6("eth7"));
  EXPECT_TRUE(may_take("net_af_packet0,iface=lo", machine.view, machine.why));
}

TEST(InterfaceGuard, TellsOfAnInterfaceThatIsNotThere) {
  Machine machine;
  EXPECT_FALSE(may_take("net_af_xdp0,iface=nonsense0", machine.view, machine.why));
  EXPECT_NE(machine.why.find("no interface nonsense0"), std::string::npos) << machine.why;
  EXPECT_TRUE(may_take("net_tap0,iface=nonsense0", machine.view, machine.why));
  EXPECT_TRUE(may_take("net_memif0", machine.view, machine.why));
  // The path of a socket.
  EXPECT_TRUE(may_take("net_vhost0,iface=/tmp/nonsense0", machine.view, machine.why));
}

TEST(InterfaceGuard, TellsHowAnInterfaceIsNamed) {
  Machine machine;
  EXPECT_FALSE(may_take("eth1", machine.view, machine.why));
  EXPECT_NE(machine.why.find("\"net_af_xdp0,iface=eth1\""), std::string::npos) << machine.why;
}

TEST(InterfaceGuard, WantsAPciDeviceWithADriverForDpdk) {
  Machine machine;
  machine.add_pci("0000:3b:00.0", "", "vfio-pci");
  machine.add_pci("0000:3b:00.1", "eth0", "ixgbe");
  machine.add_pci("0000:3b:00.2", "eth1", "mlx5_core");
  machine.add_pci("0000:3b:00.3", "", "");
  EXPECT_TRUE(may_take("0000:3b:00.0", machine.view, machine.why)) << machine.why;
  EXPECT_TRUE(may_take("3b:00.0,option=1", machine.view, machine.why)) << machine.why;
  EXPECT_TRUE(may_take("0000:3b:00.2", machine.view, machine.why)) << machine.why;
  EXPECT_FALSE(may_take("0000:3b:00.1", machine.view, machine.why));
  EXPECT_NE(machine.why.find("kernel's driver ixgbe: `dpdk-devbind.py --bind=vfio-pci "
                             "0000:3b:00.1`"), std::string::npos) << machine.why;
  EXPECT_FALSE(may_take("0000:3b:00.3", machine.view, machine.why));
  EXPECT_FALSE(may_take("0000:ff:00.0", machine.view, machine.why));
  EXPECT_NE(machine.why.find("no PCI device 0000:ff:00.0"), std::string::npos) << machine.why;
}

TEST(InterfaceGuard, KeepsOffTheOnlyWayAlsoBehindAPciAddress) {
  Machine machine;
  machine.add_pci("0000:3b:00.2", "eth0", "mlx5_core");
  machine.write(machine.view.proc / "net/route", std::string(head) + std::string(v4_default));
  EXPECT_FALSE(may_take("0000:3b:00.2", machine.view, machine.why));
  EXPECT_NE(machine.why.find("only default route"), std::string::npos) << machine.why;
}

// The way is by a VLAN on a bond of the port.
TEST(InterfaceGuard, KeepsOffWhatTheOnlyWayIsMadeOf) {
  Machine machine;
  fs::create_directories(machine.view.sys / "class/net/lo/upper_bond0");
  fs::create_directories(machine.view.sys / "class/net/bond0/upper_bond0.7");
  machine.write(machine.view.proc / "net/route",
                std::string(head) + "bond0.7 00000000 0100000A 0003 0 0 100 00000000 0 0 0\n");
  EXPECT_FALSE(may_take("net_af_packet0,iface=lo", machine.view, machine.why));
}

TEST(InterfaceGuard, WantsAllQueuesOfAnInterfaceOpened) {
  Machine machine;
  machine.add_queues("eth1", 2);
  const std::string one = "net_af_xdp0,iface=eth1";
  const std::string other = "net_af_xdp1,iface=eth1,start_queue=1";
  EXPECT_FALSE(opens_all_queues({one}, 1, machine.view, machine.why));
  EXPECT_NE(machine.why.find("eth1 has 2 receive queues, of which DPDK would see 1"),
            std::string::npos) << machine.why;
  EXPECT_TRUE(opens_all_queues({one}, 2, machine.view, machine.why));
  EXPECT_TRUE(opens_all_queues({one, other}, 1, machine.view, machine.why));
  EXPECT_TRUE(opens_all_queues({"net_af_packet0,iface=eth1"}, 1, machine.view, machine.why));
}

}  // namespace
}  // namespace tailrace::io::dpdk
