// What the kernel tells of one of its network interfaces.
#pragma once

#include <cstdint>
#include <string>

#include "io/packet_device.h"

namespace tailrace::io {

struct KernelInterface {
  std::uint16_t mtu = 0;
  bool is_up = false;
  bool has_carrier = false;
};

// 0 or an errno: ENODEV where there is no such interface.
int read_kernel_interface(const std::string& name, KernelInterface& interface);

// As a device tells it (packet_device.h); one that is not there any more is not told here.
Link link_of_interface(const std::string& name);

// Nobody else's, in this network namespace, while the returned socket is open: where the kernel
// lets two programs take one interface, the second would silence the first. -1: `error_number`,
// EBUSY when another has it. (A socket without a file; tools/tap_network.py knows its name as
// well.)
int claim_interface(const std::string& name, int& error_number);

}  // namespace tailrace::io
