#include "io/dpdk/environment.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <utility>

#include "base/log.h"

namespace tailrace::io::dpdk {
namespace {

constexpr std::uint64_t MiB = 1 << 20;
constexpr const char* huge_pages_directory = "/sys/kernel/mm/hugepages";

// DPDK writes to a stream, from any of its threads. While something is being set up the lines are
// kept, for they are the reason when it fails; later they go to the operator.
class Complaints {
 public:
  void add(std::string_view line) {
    if (!is_kept_) {
      log_event(LogLevel::warn, "dpdk", "{}", line);
      return;
    }
    const std::lock_guard lock(mutex_);
    if (lines_.size() < bytes_max) lines_ += fmt::format("\n  dpdk: {}", line);
  }
  void keep(bool on) { is_kept_ = on; }
  std::string take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  static constexpr std::size_t bytes_max = 2000;
  std::mutex mutex_;
  std::string lines_;
  std::atomic<bool> is_kept_{true};
};

Complaints& complaints() {
  static Complaints all;
  return all;
}

ssize_t write_complaint(void*, const char* text, std::size_t size) {
  std::string_view rest(text, size);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (end > 0) complaints().add(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return static_cast<ssize_t>(size);
}

void redirect_log() {
  cookie_io_functions_t functions{};
  functions.write = write_complaint;
  FILE* stream = fopencookie(nullptr, "w", functions);
  if (stream == nullptr) return;
  setvbuf(stream, nullptr, _IOLBF, BUFSIZ);
  rte_openlog_stream(stream);
}

std::uint64_t read_number(const std::filesystem::path& path) {
  std::uint64_t number = 0;
  std::ifstream(path) >> number;
  return number;
}

std::uint64_t free_huge_bytes() {
  constexpr std::string_view prefix = "hugepages-";  // ... then "2048kB"
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& size : std::filesystem::directory_iterator(huge_pages_directory, error)) {
    const std::string name = size.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const std::uint64_t kib = std::strtoull(name.c_str() + prefix.size(), nullptr, 10);
    bytes += kib * 1024 * read_number(size.path() / "free_hugepages");
  }
  return bytes;
}

bool has_huge_pages(std::uint64_t bytes, std::string& why) {
  const std::uint64_t found = free_huge_bytes();
  if (found >= bytes) return true;
  constexpr std::uint64_t page = 2 * MiB;
  const std::uint64_t all = read_number(std::filesystem::path(huge_pages_directory) /
                                        "hugepages-2048kB/nr_hugepages");
  const std::uint64_t more = (bytes - found + page - 1) / page;
  why = fmt::format("{} MiB of huge pages are free and DPDK needs {}: `sysctl -w "
                    "vm.nr_hugepages={}`, or do without them, somewhat slower: "
                    "network.huge_pages = false",
                    found / MiB, (bytes + MiB - 1) / MiB, all + more);
  return false;
}

// The tap driver of DPDK has the kernel send a signal for each packet, which costs two thirds of
// its speed; when no real-time signal is free it reads without.
void occupy_signals(const std::vector<std::string>& devices) {
  const bool has_tap = std::any_of(devices.begin(), devices.end(), [](const std::string& device) {
    return device.starts_with("net_tap");
  });
  if (!has_tap) return;
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) ::signal(signal, SIG_IGN);
}

// Such a device hands all our memory to the process at its other end, which takes few files only.
bool shares_memory(std::string_view device) {
  return device.starts_with("net_virtio_user") || device.starts_with("net_memif");
}

}  // namespace

bool is_pci_address(std::string_view device) {
  const std::string_view address = device.substr(0, device.find(','));
  return address.find(':') != std::string_view::npos &&
         address.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

std::vector<std::string> eal_arguments(const EnvironmentOptions& options, int cpu) {
  std::vector<std::string> arguments = {"tailrace", "-l", std::to_string(cpu), "--no-telemetry",
                                        "--log-level=*:warning"};
  if (options.huge_pages) {
    // Nothing is left in a file system, and a buffer's address is the device's address of it, too.
    arguments.insert(arguments.end(), {"--in-memory", "--iova-mode=va"});
    if (std::any_of(options.devices.begin(), options.devices.end(), shares_memory)) {
      arguments.push_back("--single-file-segments");
    }
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf", "-m",
                                       std::to_string((options.memory_bytes + MiB - 1) / MiB)});
  }
  bool has_pci = false;
  for (const std::string& device : options.devices) {
    const bool is_pci = is_pci_address(device);
    has_pci = has_pci || is_pci;
    arguments.insert(arguments.end(), {is_pci ? "-a" : "--vdev", device});
  }
  // Else every NIC that a driver knows would be taken, the one we are logged in through as well.
  if (!has_pci) arguments.push_back("--no-pci");
  return arguments;
}

std::unique_ptr<Environment> Environment::create(const EnvironmentOptions& options,
                                                 std::string& why) {
  if (options.huge_pages && !has_huge_pages(options.memory_bytes, why)) return nullptr;
  static bool was_made = false;
  if (was_made) {
    why = "a process sets up DPDK once";
    return nullptr;
  }
  was_made = true;
  redirect_log();
  // AF_XDP's library would look for a way to share the interface with other XDP programs, which
  // there are none of, and tell the terminal about each step.
  ::setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
  occupy_signals(options.devices);

  cpu_set_t before;
  CPU_ZERO(&before);
  const bool is_known = sched_getaffinity(0, sizeof before, &before) == 0;
  int cpu = 0;
  while (is_known && cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &before)) ++cpu;
  std::vector<std::string> arguments = eal_arguments(options, cpu);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  const int taken = rte_eal_init(static_cast<int>(pointers.size()), pointers.data());
  const int error_number = rte_errno;
  // It pins the calling thread, which is no thread of the data plane.
  if (is_known) sched_setaffinity(0, sizeof before, &before);
  if (taken < 0) {
    why = fmt::format("DPDK does not start: {}{}", rte_strerror(error_number), take_complaints());
    return nullptr;
  }
  if (rte_eal_iova_mode() != RTE_IOVA_VA) {
    why = "DPDK would use physical addresses: switch the IOMMU on (intel_iommu=on or amd_iommu=on "
          "on the kernel's command line) and bind the port to vfio-pci";
    rte_eal_cleanup();
    return nullptr;
  }
  return std::unique_ptr<Environment>(new Environment);
}

Environment::~Environment() {
  complaints().keep(true);
  rte_eal_cleanup();
}

std::string take_complaints() { return complaints().take(); }

void pass_complaints_on() { complaints().keep(false); }

}  // namespace tailrace::io::dpdk
