#include "io/dpdk/device_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace tailrace::io::dpdk {
namespace {

// As DPDK's drivers name them; N: a number. Those of later versions are DPDK's to refuse.
struct Driver {
  std::string_view name;
  std::string_view needed;   // the argument without which there is no device; or empty
  std::string_view arguments;
};
constexpr std::array drivers = {
    Driver{"af_xdp", "iface",
           "iface=NAME start_queue=N queue_count=N shared_umem=N xdp_prog=FILE busy_budget=N "
           "force_copy=N use_cni=N use_pinned_map=N dp_path=PATH"},
    Driver{"af_packet", "iface",
           "iface=NAME qpairs=N blocksz=N framesz=N framecnt=N qdisc_bypass=N"},
    Driver{"tap", "", "iface=NAME mac=ADDRESS remote=NAME persist"},
    Driver{"memif", "",
           "id=N role=ROLE bsize=N rsize=N socket=PATH socket-abstract=ANSWER mac=ADDRESS "
           "zero-copy=ANSWER secret=TEXT owner-uid=N owner-gid=N"},
    Driver{"virtio_user", "path",
           "path=PATH mac=ADDRESS cq=N queue_size=N queues=N iface=NAME server=N mrg_rxbuf=N "
           "in_order=N packed_vq=N speed=N vectorized=N"},
    Driver{"vhost", "iface",
           "iface=PATH queues=N client=N dequeue-zero-copy=N iommu-support=N tso=N "
           "postcopy-support=N linear-buffer=N ext-buffer=N legacy-ol-flags=N"},
    Driver{"null", "", "size=N copy=N no-rx=N"},
    Driver{"ring", "", "nodeaction=NODE internal=TEXT"},
    Driver{"pcap", "",
           "rx_pcap=FILE tx_pcap=FILE rx_iface=NAME rx_iface_in=NAME tx_iface=NAME iface=NAME "
           "phy_mac=N infinite_rx=N"}};

const Driver* driver_of(std::string_view device) {
  const std::string_view name = device.substr(0, device.find(','));
  if (!name.starts_with("net_")) return nullptr;
  const auto found = std::find_if(drivers.begin(), drivers.end(), [&](const Driver& driver) {
    return name.substr(4).starts_with(driver.name);
  });
  return found == drivers.end() ? nullptr : &*found;
}

// Names of old that DPDK still takes. Here a driver has one, for what is known of it goes by that.
std::string_view after_old_prefix(std::string_view device) {
  if (device.starts_with("eth_")) return device.substr(4);
  return device.starts_with("virtio_user") ? device : std::string_view{};
}

// The part in front of the separator, which are both taken off.
std::string_view take_word(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view word = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return word;
}

// "name=KIND" among the driver's, or nothing.
std::string_view known_argument(const Driver& driver, std::string_view name) {
  std::string_view left = driver.arguments;
  while (!left.empty()) {
    const std::string_view known = take_word(left, ' ');
    if (known.substr(0, known.find('=')) == name) return known;
  }
  return {};
}

bool is_number(std::string_view text) {
  const bool is_hex = text.starts_with("0x");
  const std::string_view digits = text.substr(is_hex ? 2 : 0);
  const char* const allowed = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
  return !digits.empty() && digits.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_allowed(const Driver& driver, std::string_view argument) {
  const std::size_t at = argument.find('=');
  const std::string_view known = known_argument(driver, argument.substr(0, at));
  if (known.empty()) return false;
  if (known.find('=') == std::string_view::npos) return true;
  if (at == std::string_view::npos || at + 1 == argument.size()) return false;
  return !known.ends_with("=N") || is_number(argument.substr(at + 1));
}

}  // namespace

bool check_arguments(std::string_view device, std::string& why) {
  if (const std::string_view rest = after_old_prefix(device); !rest.empty()) {
    why = fmt::format("network.device: found \"{}\", allowed: \"net_{}\"", device, rest);
    return false;
  }
  const Driver* const driver = driver_of(device);
  if (driver == nullptr) return true;
  std::string_view left = device;
  const std::string_view name = take_word(left, ',');
  bool has_needed = driver->needed.empty();
  std::set<std::string_view> names;
  while (!left.empty()) {
    const std::string_view argument = take_word(left, ',');
    // DPDK would take the last, where what guards the machine looks at the first.
    if (!names.insert(argument.substr(0, argument.find('='))).second) {
      why = fmt::format("network.device: found \"{}\" behind {}, allowed: each argument once",
                        argument, name);
      return false;
    }
    if (!is_allowed(*driver, argument)) {
      why = fmt::format("network.device: found \"{}\" behind {}, allowed there (N is a number): {}",
                        argument, name, driver->arguments);
      return false;
    }
    has_needed |= argument.substr(0, argument.find('=')) == driver->needed;
  }
  if (has_needed) return true;
  why = fmt::format("network.device: found \"{0}\", allowed: with {1}, as \"{2},{3}\"", device,
                    driver->needed, name, known_argument(*driver, driver->needed));
  return false;
}

}  // namespace tailrace::io::dpdk
