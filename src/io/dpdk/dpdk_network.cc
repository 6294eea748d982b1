#include "io/dpdk/dpdk_network.h"

#include <fmt/format.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "io/dpdk/device_arguments.h"
#include "io/dpdk/dpdk_device.h"
#include "io/dpdk/environment.h"
#include "io/dpdk/interface_guard.h"
#include "io/dpdk/port.h"
#include "io/kernel_interface.h"

namespace tailrace::io {
namespace {

// What DPDK needs for itself, and what is lost where regions do not fit pages.
constexpr std::uint64_t environment_bytes = 48 << 20;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool find_port(const std::string& device, std::uint16_t& id) {
  std::string name = device.substr(0, device.find(','));
  const bool has_domain = std::count(name.begin(), name.end(), ':') == 2;
  if (dpdk::is_pci_address(name) && !has_domain) name = "0000:" + name;
  return rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0;
}

}  // namespace

struct DpdkNetwork::State {
  ~State() {
    ports.clear();
    for (void* memory : allocated) rte_free(memory);
    for (const int claim : claims) ::close(claim);
  }
  bool claim(const std::vector<std::string>& devices, std::string& why);
  bool open_ports(const DpdkOptions& options, const std::vector<std::string>& devices,
                  std::string& why);
  // Of a queue of the node: one port has all, or each port has one.
  dpdk::Queue& queue(std::uint16_t index) {
    return ports.size() == 1 ? ports.front()->queue(index) : ports[index]->queue(0);
  }

  std::unique_ptr<dpdk::Environment> environment;   // the last to go
  std::vector<int> claims;
  std::vector<void*> allocated;
  std::vector<std::unique_ptr<dpdk::Port>> ports;
  std::uint16_t queues = 1;
};

// A driver that fails on an interface which another node has takes it from that node all the same.
bool DpdkNetwork::State::claim(const std::vector<std::string>& devices, std::string& why) {
  std::set<std::string> interfaces;
  for (const std::string& device : devices) {
    interfaces.emplace(dpdk::interface_of(device));
  }
  interfaces.erase("");
  for (const std::string& interface : interfaces) {
    int error_number = 0;
    const int claim = claim_interface(interface, error_number);
    if (claim < 0) {
      why = fmt::format("{}: {}", interface, error_number == EBUSY ? "another node uses it"
                                                                   : std::strerror(error_number));
      return false;
    }
    claims.push_back(claim);
  }
  return true;
}

bool DpdkNetwork::State::open_ports(const DpdkOptions& options,
                                    const std::vector<std::string>& devices, std::string& why) {
  if (rte_eth_dev_count_avail() != devices.size()) {
    why = fmt::format("DPDK found {} ports for \"{}\": is the driver's package there "
                      "(librte-net-...), may this user open the device?{}",
                      rte_eth_dev_count_avail(), options.devices, dpdk::take_complaints());
    return false;
  }
  // Not in DPDK's order, which is by bus.
  for (const std::string& device : devices) {
    std::uint16_t id = 0;
    if (!find_port(device, id)) {
      why = fmt::format("DPDK has no port for \"{}\"{}", device, dpdk::take_complaints());
      return false;
    }
    auto port = dpdk::Port::open(
        id, {.device = device,
             .queues = devices.size() == 1 ? options.queues : std::uint16_t{1},
             .huge_pages = options.huge_pages, .receive_bytes = options.receive_bytes,
             .rss_key = options.rss_key, .rss_buckets = options.rss_buckets,
             .address = options.address,
             .quiet_min = options.quiet_min}, why);
    if (port == nullptr) return false;
    ports.push_back(std::move(port));
  }
  // One station has one link address, on whatever queue its frames come.
  for (const auto& port : ports) {
    if (port->queue(0).offers.address == ports.front()->queue(0).offers.address) continue;
    why = fmt::format("the devices \"{}\" have different link addresses: give them one, with "
                      "network.mac", options.devices);
    return false;
  }
  return true;
}

std::unique_ptr<DpdkNetwork> DpdkNetwork::create(const DpdkOptions& options, std::string& why) {
  const std::vector<std::string> devices = words_of(options.devices);
  if (devices.size() != 1 && devices.size() != options.queues) {
    why = fmt::format("{} devices for {} cores: name one for all, or one for each",
                      devices.size(), options.queues);
    return nullptr;
  }
  for (const std::string& device : devices) {
    if (!dpdk::check_arguments(device, why) || !dpdk::may_take(device, {}, why)) return nullptr;
  }
  const std::uint16_t queues_each = devices.size() == 1 ? options.queues : std::uint16_t{1};
  if (!dpdk::opens_all_queues(devices, queues_each, {}, why)) return nullptr;
  auto state = std::make_unique<State>();
  if (!state->claim(devices, why)) return nullptr;
  state->queues = options.queues;
  std::uint64_t bytes = environment_bytes + options.memory_bytes;
  for (std::uint16_t i = 0; i < options.queues; ++i) {
    const std::string& device = devices[devices.size() == 1 ? 0 : i];
    bytes += dpdk::queue_memory_bytes(device, options.receive_bytes, options.huge_pages);
  }
  state->environment = dpdk::Environment::create(
      {.devices = devices, .huge_pages = options.huge_pages, .memory_bytes = bytes}, why);
  if (state->environment == nullptr || !state->open_ports(options, devices, why)) return nullptr;
  dpdk::pass_complaints_on();
  return std::unique_ptr<DpdkNetwork>(new DpdkNetwork(std::move(state)));
}

DpdkNetwork::DpdkNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
DpdkNetwork::~DpdkNetwork() = default;

MutableBytes DpdkNetwork::allocate(std::size_t bytes) {
  const std::size_t size = round_up(bytes, disk_block_bytes);
  void* memory = rte_zmalloc("log", size, disk_block_bytes);
  if (memory == nullptr) return {};
  state_->allocated.push_back(memory);
  return {static_cast<std::byte*>(memory), size};
}

std::unique_ptr<PacketDevice> DpdkNetwork::open(std::uint16_t queue, Ring& ring) {
  return std::make_unique<dpdk::DpdkDevice>(state_->queue(queue), ring);
}

std::uint32_t DpdkNetwork::frames_max() const {
  std::uint32_t least = UINT32_MAX;
  for (std::uint16_t i = 0; i < state_->queues; ++i) {
    least = std::min(least, state_->queue(i).offers.frames_max);
  }
  return least;
}

std::string DpdkNetwork::description() const {
  std::string text;
  for (const auto& port : state_->ports) {
    text += (text.empty() ? "" : ", ") + port->description();
  }
  return text;
}

}  // namespace tailrace::io
