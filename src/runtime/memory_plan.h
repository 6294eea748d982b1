// Whether the machine has the memory that the limits of a profile add up to. Memory is reserved
// and touched little by little: without this look the kernel would end the node without a word,
// at start or, worse, under its first heavy load.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/profile.h"

namespace tailrace::runtime {

// What one key costs, of all cores together.
struct MemoryItem {
  std::string_view table;
  std::string_view key;
  std::int64_t found = 0;       // the key's value
  std::uint64_t unit_bytes = 0;  // what one more of it costs, of all cores together
  std::uint64_t bytes = 0;
};
// The largest first. `fixed_bytes`: what no key changes but threads.cores.
struct MemoryPlan {
  std::vector<MemoryItem> items;
  std::uint64_t fixed_bytes = 0;
  std::uint64_t total_bytes() const;
};
MemoryPlan plan_memory(const Profile& profile);

struct MachineMemory {
  std::uint64_t usable_bytes = UINT64_MAX;
  std::string source;  // where that is from
};
// The least of what is available and what the limits of our control groups leave.
MachineMemory read_machine_memory();

// Of the texts of the kernel's files; UINT64_MAX when there is no such number in them.
std::uint64_t available_bytes(std::string_view meminfo);
std::uint64_t limit_bytes(std::string_view memory_max);

// False: `why` names the key that costs most, its line, what was found and what is allowed.
bool memory_fits(const Profile& profile, const MachineMemory& machine, std::string& why);

}  // namespace tailrace::runtime
