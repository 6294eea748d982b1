// Environment: DPDK's abstraction layer (EAL) for this process, set up once and for good.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace::io::dpdk {

struct EnvironmentOptions {
  std::vector<std::string> devices;   // see DpdkOptions
  bool huge_pages = true;
  std::uint64_t memory_bytes = 0;     // of everything that will be asked for
};

// What EAL is told on its command line, its own name first. `cpu`: where it may measure.
std::vector<std::string> eal_arguments(const EnvironmentOptions& options, int cpu);

// "0000:3b:00.0" or "3b:00.0"; everything else that DPDK has is virtual and named by its driver.
bool is_pci_address(std::string_view device);

class Environment {
 public:
  // Null: `why` has what is missing and how to get it, or what DPDK itself said.
  static std::unique_ptr<Environment> create(const EnvironmentOptions& options, std::string& why);
  // No port is open any more.
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  Environment() = default;
};

// DPDK tells reasons only to its log. What it has said since the last call, a line each with a line
// break in front, for a message; after pass_complaints_on() it goes to the operator's log instead.
std::string take_complaints();
void pass_complaints_on();

}  // namespace tailrace::io::dpdk
