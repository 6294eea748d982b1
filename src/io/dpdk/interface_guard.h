// Which interface of this machine a device of DPDK takes, and whether it may: one that carries the
// way to this machine would be gone for whoever is logged in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace::io::dpdk {

// The value of "name=" among the arguments of a device ("net_af_xdp0,iface=eth1"), or nothing.
std::string_view device_argument(std::string_view device, std::string_view name);

// The interface of the kernel's that a device is an end of, or nothing: what net_vhost calls so is
// the path of its socket.
std::string_view interface_of(std::string_view device);

// The interfaces with a default route, from the texts of /proc/net/route and
// /proc/net/ipv6_route, each once.
std::vector<std::string> default_route_interfaces(std::string_view route_v4,
                                                  std::string_view route_v6);

// What the guard looks at; tests have their own.
struct MachineView {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
};

// False: `why` says why DPDK must not have `device`, or cannot, and what to do.
bool may_take(std::string_view device, const MachineView& machine, std::string& why);

// AF_XDP takes the frames of a queue, and those of the others go on to the kernel: false when an
// interface has more queues than `devices` open, each `queues` of them.
bool opens_all_queues(const std::vector<std::string>& devices, std::uint16_t queues,
                      const MachineView& machine, std::string& why);

}  // namespace tailrace::io::dpdk
