// The sockets that DPDK's drivers for interfaces of the kernel keep to themselves: found again, so
// that an idle thread can wait for frames.
#pragma once

#include <string>
#include <vector>

namespace tailrace::io::dpdk {

// Those of this process, ascending, which is the order in which a driver made them.
std::vector<int> xdp_sockets();
std::vector<int> packet_sockets(const std::string& interface);   // bound to it

bool is_event_fd(int fd);

}  // namespace tailrace::io::dpdk
