// What a virtual device of DPDK may be told behind its name. DPDK's own words for a mistake there
// name neither the word nor those there are.
#pragma once

#include <string>
#include <string_view>

namespace tailrace::io::dpdk {

// False: `why` says what was found and what is allowed. Devices of other drivers, and of PCI, are
// left to DPDK.
bool check_arguments(std::string_view device, std::string& why);

}  // namespace tailrace::io::dpdk
