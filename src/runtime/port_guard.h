// Looks whether the listening addresses are free. With several cores each listens on the same
// port (SO_REUSEPORT), and the kernel would let a second node of the same user join in and take
// half of the clients, without a word.
#pragma once

#include <string>
#include <vector>

#include "runtime/address.h"

namespace tailrace::runtime {

// False: `why` names the address and the reason.
bool ports_are_free(const std::vector<HostPort>& addresses, std::string& why);

}  // namespace tailrace::runtime
