// Looks whether the listening addresses are free. With several cores each listens on the same
// port (SO_REUSEPORT), and the kernel would let a second node of the same user join in and take
// half of the clients, without a word.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "runtime/address.h"

namespace tailrace::runtime {

// A node that was killed a moment ago is no other node: its ring holds the listening sockets until
// the kernel has taken it down, some time after the process is gone. So a busy port is tried again.
inline constexpr Duration port_wait_max = seconds(3);

// False: `why` names the address and the reason. Blocks for up to `port_wait_max`.
bool ports_are_free(const std::vector<HostPort>& addresses, std::string& why);

}  // namespace tailrace::runtime
