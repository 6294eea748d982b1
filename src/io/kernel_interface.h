// What the kernel tells of one of its network interfaces.
#pragma once

#include <cstdint>
#include <string>

namespace tailrace::io {

struct KernelInterface {
  std::uint16_t mtu = 0;
  bool is_up = false;
};

// 0 or an errno: ENODEV where there is no such interface.
int read_kernel_interface(const std::string& name, KernelInterface& interface);

}  // namespace tailrace::io
