#include "runtime/user_network.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>

#include "io/userstack/address_text.h"
#include "log/core_log.h"
#include "runtime/limits.h"
#include "runtime/network_text.h"

namespace tailrace::runtime {
namespace {

constexpr std::int64_t frames_least = 512;
// Of one queue's frames each core may have a share at a time.
constexpr std::int64_t frames_of_core_least = 64;
constexpr std::uint64_t frame_bytes_max = 65'600;

// Of the same address at each start, so that neighbours need not learn a new one. Locally
// administered (IEEE 802, 8.4).
net::MacAddress mac_for(const net::IpAddress& address) {
  net::MacAddress mac;
  mac.bytes = {0x02, 0x54, address.bytes[12], address.bytes[13], address.bytes[14],
               address.bytes[15]};
  return mac;
}

// An address that the kernel has as well: it would answer our clients with resets.
std::string kernel_interface_with(const std::vector<net::InterfaceAddress>& addresses) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  std::string found;
  for (const ifaddrs* one = list; one != nullptr && found.empty(); one = one->ifa_next) {
    net::IpAddress address;
    if (one->ifa_addr == nullptr || !io::load_address(*one->ifa_addr, address)) continue;
    const bool is_ours = std::any_of(addresses.begin(), addresses.end(),
                                     [&](const auto& own) { return own.address == address; });
    if (is_ours) found = fmt::format("{} has {}", one->ifa_name, io::address_text(address).text());
  }
  freeifaddrs(list);
  return found;
}

bool is_interface_name(std::string_view text) {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return !text.empty() && text.size() < IFNAMSIZ &&
         text.find_first_not_of(letters) == std::string_view::npos && text != "." && text != "..";
}

bool read_listen(const Endpoints& endpoints, const net::Interface& interface,
                 std::vector<net::Endpoint>& listen, std::string& why) {
  for (const HostPort& address : endpoints.listen) {
    net::Endpoint local{.port = address.port};
    const bool parsed = parse_address(address.host, local.address);
    const bool is_ours = parsed && (local.address.is_unspecified() ||
                                    interface.index_of(local.address) >= 0);
    if (!is_ours) {
      const std::string own(io::address_text(interface.addresses.front().address).text());
      why = fmt::format("--listen {}: not an address of the node's own network "
                        "(network.addresses); write --listen {}", join_address(address),
                        join_address({own, address.port}));
      return false;
    }
    if (local.port == 0) {
      why = fmt::format("--listen {}: the node's own network gives no ports away; name one, such "
                        "as 9092", join_address(address));
      return false;
    }
    for (const net::Endpoint& other : listen) {
      const bool overlaps = other.port == local.port &&
                            (other.address == local.address || other.address.is_unspecified() ||
                             local.address.is_unspecified());
      if (!overlaps) continue;
      why = fmt::format("--listen {}: another --listen has this address and port already",
                        join_address(address));
      return false;
    }
    listen.push_back(local);
  }
  return true;
}

}  // namespace

bool read_user_network(const Profile& profile, const Endpoints& endpoints, UserNetwork& network,
                       std::string& why) {
  network = {};
  net::Interface& interface = network.interface;
  if (!parse_addresses(profile.addresses, interface.addresses)) {
    why = fmt::format("{}network.addresses: found none, allowed with transport = \"{}\": the "
                      "node's own address and its prefix, such as 10.78.0.1/24",
                      profile.place_of("addresses"), profile.transport);
    return false;
  }
  if (profile.transport == "tap" && !is_interface_name(profile.device)) {
    why = fmt::format("{}network.device: found \"{}\", allowed with transport = \"tap\": the name "
                      "of an interface, 1 to {} letters, digits, \"-\", \"_\" or \".\"",
                      profile.place_of("device"), profile.device, IFNAMSIZ - 1);
    return false;
  }
  interface.mac = mac_for(interface.addresses.front().address);
  if (!profile.mac.empty()) (void)parse_mac(profile.mac, interface.mac);
  if (!profile.gateway.empty()) {
    net::IpAddress gateway;
    (void)parse_address(profile.gateway, gateway);
    (gateway.is_v4() ? interface.gateway_v4 : interface.gateway_v6) = gateway;
    if (!interface.is_on_link(gateway) || interface.index_of(gateway) >= 0) {
      why = fmt::format("{}network.gateway: found {}, allowed: another station, a router in a "
                        "network of network.addresses",
                        profile.place_of("gateway"), profile.gateway);
      return false;
    }
  }
  const std::string taken = kernel_interface_with(interface.addresses);
  if (!taken.empty()) {
    why = fmt::format("{}network.addresses: {}: the kernel would answer the node's clients with "
                      "resets; give the node an address of its own",
                      profile.place_of("addresses"), taken);
    return false;
  }
  return read_listen(endpoints, interface, network.listen, why);
}

net::Limits net_limits(const Profile& profile) {
  net::Limits limits;
  limits.connections_max = static_cast<std::uint32_t>(profile.connections_max);
  // Every connection may begin, and grow. More is promised than there is memory for, as not all
  // peers send at once: a frame that finds no buffer is sent again.
  constexpr std::uint64_t spare = 65'536;
  constexpr std::int64_t sends_most = 1 << 20;
  constexpr std::uint32_t slices_more = 65'536;
  limits.receive_bytes_max =
      std::uint64_t{limits.connections_max} * (limits.receive_buffer_min + spare);
  // As many answers as there may be, each in one slice or in as many as there are on the whole:
  // unlike in the kernel's buffers they stay until they are acknowledged.
  limits.sends_max = static_cast<std::uint32_t>(
      std::min(profile.connections_max * profile.requests_in_flight_max, sends_most));
  limits.slices_max = slices_more + limits.sends_max;
  return limits;
}

std::unique_ptr<io::DpdkNetwork> open_dpdk(const Profile& profile, std::string& why) {
  io::DpdkOptions options{
      .devices = profile.device,
      .queues = static_cast<std::uint16_t>(profile.cores),
      .huge_pages = profile.huge_pages,
      .memory_bytes = static_cast<std::uint64_t>(profile.cores) *
                      log::CoreLog::memory_bytes(log_limits(profile)),
      .receive_bytes = std::uint64_t{receive_frames(profile)} * frame_bytes_max};
  net::MacAddress mac;
  if (!profile.mac.empty() && parse_mac(profile.mac, mac)) options.address = mac.bytes;
  // What the device spreads by hash then comes to the right core.
  options.rss_key = net::rss_key_default;
  options.rss_buckets = net::Steering::bucket_count;
  if (profile.idle == "spin") options.quiet_min.reset();
  auto network = io::DpdkNetwork::create(options, why);
  if (network == nullptr) why = profile.place_of("device") + why;
  return network;
}

std::uint32_t receive_frames(const Profile& profile) {
  return static_cast<std::uint32_t>(std::max({profile.receive_buffer_count, frames_least,
                                              profile.cores * frames_of_core_least}));
}

std::unique_ptr<io::Handover> make_handover(const Profile& profile, std::uint32_t frames_max) {
  if (!has_user_network(profile) || profile.cores == 1) return nullptr;
  const auto cores = static_cast<std::uint16_t>(profile.cores);
  return std::make_unique<io::Handover>(cores, std::max(frames_max / cores, 1U));
}

}  // namespace tailrace::runtime
