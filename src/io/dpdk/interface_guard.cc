#include "io/dpdk/interface_guard.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <sstream>

#include "io/dpdk/environment.h"

namespace tailrace::io::dpdk {
namespace {

namespace fs = std::filesystem;

// These leave the port to the kernel as well, or to nobody.
constexpr std::array<std::string_view, 6> drivers_for_dpdk = {
    "vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", "hv_netvsc"};

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

// The interface and all that are made of it: bridges, bonds, VLANs.
std::vector<std::string> with_uppers(const std::string& interface, const MachineView& machine) {
  constexpr std::string_view prefix = "upper_";
  std::vector<std::string> names = {interface};
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(machine.sys / "class/net" / names[i], error)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(prefix)) add_once(names, name.substr(prefix.size()));
    }
  }
  return names;
}

bool carries_the_way_here(const std::string& interface, const MachineView& machine) {
  const auto names = default_route_interfaces(read_text(machine.proc / "net/route"),
                                              read_text(machine.proc / "net/ipv6_route"));
  const auto taken = with_uppers(interface, machine);
  return names.size() == 1 && std::find(taken.begin(), taken.end(), names.front()) != taken.end();
}

bool interface_may_be_taken(const std::string& interface, const MachineView& machine,
                            std::string& why) {
  if (!carries_the_way_here(interface, machine)) return true;
  why = fmt::format("{} has this machine's only default route: with DPDK on it nobody would reach "
                    "the machine any more; give the node a port of its own", interface);
  return false;
}

bool pci_may_be_taken(std::string_view device, const MachineView& machine, std::string& why) {
  std::string address(device.substr(0, device.find(',')));
  if (std::count(address.begin(), address.end(), ':') == 1) address = "0000:" + address;
  const fs::path place = machine.sys / "bus/pci/devices" / address;
  std::error_code error;
  if (!fs::exists(place, error)) {
    why = fmt::format("there is no PCI device {}: `lspci -D | grep -i ethernet` shows those there "
                      "are", address);
    return false;
  }
  for (const auto& interface : fs::directory_iterator(place / "net", error)) {
    if (!interface_may_be_taken(interface.path().filename().string(), machine, why)) return false;
  }
  const fs::path driver = fs::read_symlink(place / "driver", error);
  const std::string name = driver.filename().string();
  if (std::find(drivers_for_dpdk.begin(), drivers_for_dpdk.end(), name) !=
      drivers_for_dpdk.end()) {
    return true;
  }
  why = fmt::format("the PCI device {} is with the {}: `dpdk-devbind.py --bind=vfio-pci {}` gives "
                    "it to DPDK", address,
                    name.empty() ? "kernel, without a driver" : "kernel's driver " + name, address);
  return false;
}

std::size_t receive_queues(const std::string& interface, const MachineView& machine) {
  std::size_t count = 0;
  std::error_code error;
  const fs::path place = machine.sys / "class/net" / interface / "queues";
  for (const auto& queue : fs::directory_iterator(place, error)) {
    count += queue.path().filename().string().starts_with("rx-") ? 1 : 0;
  }
  return count;
}

}  // namespace

std::string_view device_argument(std::string_view device, std::string_view name) {
  std::size_t at = device.find(',');
  while (at != std::string_view::npos) {
    const std::string_view rest = device.substr(at + 1);
    const std::size_t next = rest.find(',');
    const std::string_view argument = rest.substr(0, next);
    if (argument.starts_with(name) && argument.substr(name.size()).starts_with('=')) {
      return argument.substr(name.size() + 1);
    }
    at = next == std::string_view::npos ? next : at + 1 + next;
  }
  return {};
}

std::string_view interface_of(std::string_view device) {
  return device.starts_with("net_vhost") ? std::string_view{} : device_argument(device, "iface");
}

std::vector<std::string> default_route_interfaces(std::string_view route_v4,
                                                  std::string_view route_v6) {
  std::vector<std::string> names;
  // "eth0 00000000 0100000A 0003 0 0 100 00000000 ...": destination second, mask eighth.
  std::istringstream lines_v4{std::string(route_v4)};
  for (std::string line; std::getline(lines_v4, line);) {
    std::istringstream words(line);
    std::array<std::string, 8> word;
    for (std::string& one : word) words >> one;
    if (word[1] == "00000000" && word[7] == "00000000") add_once(names, word[0]);
  }
  // Destination, its prefix length, ... and the interface last. The kernel's own entries for "no
  // route" are on lo.
  std::istringstream lines_v6{std::string(route_v6)};
  for (std::string line; std::getline(lines_v6, line);) {
    std::istringstream words(line);
    std::array<std::string, 10> word;
    for (std::string& one : word) words >> one;
    const bool is_default = word[0] == std::string(32, '0') && word[1] == "00";
    if (is_default && !word[9].empty() && word[9] != "lo") add_once(names, word[9]);
  }
  return names;
}

bool may_take(std::string_view device, const MachineView& machine, std::string& why) {
  if (is_pci_address(device)) return pci_may_be_taken(device, machine, why);
  if (!device.starts_with("net_") && !device.starts_with("eth_")) {
    why = fmt::format("found \"{0}\", allowed: DPDK's name for a port, as \"0000:3b:00.0\" for one "
                      "of PCI, or \"net_af_xdp0,iface={0}\" for an interface of the kernel's",
                      device);
    return false;
  }
  // The tap driver makes its interface; all others open one that is there.
  const std::string interface(interface_of(device));
  if (interface.empty() || device.starts_with("net_tap")) return true;
  if (if_nametoindex(interface.c_str()) == 0) {
    why = fmt::format("there is no interface {}: `ip link` shows those there are", interface);
    return false;
  }
  return interface_may_be_taken(interface, machine, why);
}

bool opens_all_queues(const std::vector<std::string>& devices, std::uint16_t queues,
                      const MachineView& machine, std::string& why) {
  std::map<std::string, std::size_t> opened;
  for (const std::string& device : devices) {
    if (device.starts_with("net_af_xdp")) {
      opened[std::string(interface_of(device))] += queues;
    }
  }
  for (const auto& [interface, count] : opened) {
    const std::size_t found = receive_queues(interface, machine);
    if (found <= count) continue;
    why = fmt::format("{} has {} receive queues, of which DPDK would see {}; what comes on the "
                      "others never reached the node: `ethtool -L {} combined {}`, or a device "
                      "for each (\"net_af_xdp0,iface={},start_queue=0 net_af_xdp1,...\") and as "
                      "many threads.cores", interface, found, count, interface, count, interface);
    return false;
  }
  return true;
}

}  // namespace tailrace::io::dpdk
