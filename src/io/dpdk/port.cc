#include "io/dpdk/port.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/log.h"
#include "io/dpdk/environment.h"
#include "io/dpdk/interface_guard.h"
#include "io/dpdk/packet_sockets.h"
#include "io/kernel_interface.h"

namespace tailrace::io::dpdk {
namespace {

constexpr std::uint16_t descriptors = 1024;
constexpr std::uint16_t descriptors_most = 2048;
constexpr std::uint32_t cached_buffers = 256;     // of a pool, for its core
constexpr std::uint16_t link_bytes_max = 14 + 4 + 4;   // Ethernet, a VLAN tag, the check sequence
// What a buffer costs beside its room: DPDK's own words about it, and the pool's.
constexpr std::uint32_t buffer_overhead = sizeof(rte_mbuf) + 64;

// net_af_xdp: with one buffer per page none crosses the end of one (see set_outsiders_aside), and
// the kernel keeps room in front of each frame.
constexpr std::uint16_t xdp_page_room = 3840;
constexpr std::uint16_t xdp_reserved_bytes = 384;
constexpr std::uint16_t xdp_mtu_max = 3442;

// Virtio: a buffer for a frame of 64 KiB, as large as DPDK has them, and fewer of them.
constexpr std::uint32_t long_room = UINT16_MAX / 64 * 64;
constexpr std::uint16_t long_descriptors = 256;

std::string said(int error_number) {
  return fmt::format("{}{}", rte_strerror(error_number < 0 ? -error_number : error_number),
                     take_complaints());
}

// net_af_xdp tells the kernel of less memory than its pool has, for it leaves out what is lost at
// the ends of pages. Frames in the buffers past that end would count as sent and never leave.
std::vector<rte_mbuf*> set_outsiders_aside(rte_mempool* pool) {
  const rte_mempool_memhdr* first = STAILQ_FIRST(&pool->mem_list);
  constexpr std::uintptr_t page = 4096;
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(first->addr) & ~(page - 1);
  const std::size_t size = rte_mempool_calc_obj_size(pool->elt_size, pool->flags, nullptr);
  const std::uintptr_t end =
      reinterpret_cast<std::uintptr_t>(first->addr) + pool->populated_size * size;
  std::vector<rte_mbuf*> all;
  std::vector<rte_mbuf*> outsiders;
  while (rte_mbuf* buffer = rte_pktmbuf_alloc(pool)) all.push_back(buffer);
  for (rte_mbuf* buffer : all) {
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(buffer) - pool->header_size;
    if (at < begin || at + size > end) {
      outsiders.push_back(buffer);
    } else {
      rte_pktmbuf_free(buffer);
    }
  }
  return outsiders;
}

bool looks_linked(std::uint16_t port) {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port, &link) != 0 || link.link_status == RTE_ETH_LINK_UP;
}

}  // namespace

struct Port::Facts {
  rte_eth_dev_info info{};
  std::string driver;
  std::string name;
  std::uint16_t mtu = 1500;
  std::uint16_t receive_descriptors = descriptors;
  std::uint16_t send_descriptors = descriptors;
  std::uint64_t receive_offloads = 0;
  std::uint64_t send_offloads = 0;
  bool sends_long = false;      // to be cut by the other side
  bool spreads = false;         // by our hash
  bool has_interrupts = false;
};

namespace {

// The driver's name begins the device's, but for the number: "net_af_xdp0,iface=eth1".
bool is_device_of(std::string_view device, std::string_view driver) {
  return device.starts_with(driver);
}

// Drivers for interfaces of the kernel say 1500, whatever the interface has.
std::uint16_t link_mtu(std::string_view device, std::uint16_t otherwise) {
  const std::string name(interface_of(device));
  KernelInterface interface;
  const bool is_known = !is_device_of(device, "net_tap") && !name.empty() &&
                        read_kernel_interface(name, interface) == 0;
  return is_known ? interface.mtu : otherwise;
}

std::uint32_t slot_bytes(std::string_view device) {
  if (!is_device_of(device, "net_af_packet")) return 0;
  constexpr std::uint32_t usual = 2048;
  const std::string slot(device_argument(device, "framesz"));
  return slot.empty() ? usual
                      : static_cast<std::uint32_t>(std::strtoul(slot.c_str(), nullptr, 10));
}

// Whether frames of up to 64 KiB may come, which the other side would have had to cut.
bool takes_long_frames(std::string_view device) {
  return is_device_of(device, "net_virtio_user") ||
         (is_device_of(device, "net_vhost") && device_argument(device, "ext-buffer") == "1");
}

// Of a buffer, so that each frame is in one.
std::uint32_t buffer_room(std::string_view device, std::uint16_t mtu, bool huge_pages) {
  const bool is_xdp = is_device_of(device, "net_af_xdp");
  std::uint32_t room = RTE_PKTMBUF_HEADROOM + mtu + link_bytes_max;
  if (is_xdp) room += xdp_reserved_bytes;
  // net_af_packet wants room for a whole slot of its ring.
  room = std::max(room, RTE_PKTMBUF_HEADROOM + slot_bytes(device));
  constexpr std::uint32_t usual = RTE_MBUF_DEFAULT_BUF_SIZE;
  room = std::max((room + 63) / 64 * 64, usual);
  return is_xdp && (room > usual || !huge_pages) ? xdp_page_room : room;
}

std::uint32_t send_buffers(std::uint32_t send_descriptors) {
  return send_descriptors * 2 + 2 * cached_buffers;
}

// The same for frames that come. net_vhost has long ones in buffers that it makes itself.
std::uint32_t receive_room(std::string_view device, std::uint16_t mtu, bool huge_pages) {
  return is_device_of(device, "net_virtio_user") ? long_room
                                                 : buffer_room(device, mtu, huge_pages);
}

std::uint32_t lent_buffers(std::string_view device, std::uint64_t receive_bytes,
                           std::uint32_t room) {
  const std::uint32_t each = takes_long_frames(device) ? long_room : room;
  return static_cast<std::uint32_t>(receive_bytes / (each + buffer_overhead));
}

// Those in the device's hands, and on the way to it; net_af_xdp has two rings of them.
std::uint32_t receive_buffers(std::uint32_t lent, std::uint32_t receive_descriptors,
                              std::uint32_t send_descriptors, bool is_xdp) {
  return lent + receive_descriptors * 2 + 2 * cached_buffers +
         (is_xdp ? send_buffers(send_descriptors) : 0);
}

}  // namespace

std::uint64_t queue_memory_bytes(std::string_view device, std::uint64_t receive_bytes,
                                 bool huge_pages) {
  constexpr std::uint16_t usual_mtu = 1500;
  const std::uint16_t mtu = link_mtu(device, usual_mtu);
  const std::uint32_t sent_room = buffer_room(device, mtu, huge_pages);
  const std::uint32_t room = receive_room(device, mtu, huge_pages);
  const std::uint32_t lent = lent_buffers(device, receive_bytes, room);
  const std::uint64_t count = receive_buffers(
      lent, room == long_room ? long_descriptors : descriptors_most, descriptors_most,
      is_device_of(device, "net_af_xdp"));
  const std::uint64_t beside = takes_long_frames(device) && room != long_room ? lent : 0;
  const auto bytes_of = [](std::uint64_t buffers, std::uint32_t each) {
    return buffers * (each + 2 * buffer_overhead);
  };
  // An eighth is lost where buffers do not fit pages, and goes into rings.
  return (bytes_of(count, room) + bytes_of(send_buffers(descriptors_most), sent_room) +
          bytes_of(beside, long_room)) * 9 / 8;
}

Port::Port(std::uint16_t id, const PortOptions& options)
    : id_(id), options_(options), facts_(std::make_unique<Facts>()) {}

std::unique_ptr<Port> Port::open(std::uint16_t id, const PortOptions& options, std::string& why) {
  std::unique_ptr<Port> port(new Port(id, options));
  bool done = port->examine(why) && port->configure(why);
  for (std::uint16_t i = 0; done && i < options.queues; ++i) done = port->make_queue(i, why);
  if (done && port->start(why)) return port;
  why = fmt::format("DPDK port {}: {}", options.device, why);
  return nullptr;
}

Port::~Port() {
  (void)rte_eth_dev_stop(id_);
  // DPDK refuses while one is being called.
  while (rte_eth_dev_callback_unregister(id_, RTE_ETH_EVENT_INTR_RMV, on_unplugged, this) ==
         -EAGAIN) {
  }
  while (rte_eth_dev_callback_unregister(id_, RTE_ETH_EVENT_INTR_LSC, on_link, this) == -EAGAIN) {
  }
  rte_eth_dev_close(id_);
}

// These two are called by threads of DPDK's.
int Port::on_unplugged(std::uint16_t, rte_eth_event_type, void* port, void*) {
  static_cast<Port*>(port)->is_gone_.store(true, std::memory_order_relaxed);
  return 0;
}

// Whoever comes to the other side of net_vhost is told by the driver not to knock; a thread that
// sleeps has to ask for it anew.
int Port::on_link(std::uint16_t, rte_eth_event_type, void* that, void*) {
  auto* port = static_cast<Port*>(that);
  port->has_link_ = looks_linked(port->id_);
  for (const auto& queue : port->queues_) {
    if (queue->wake.edges != nullptr) queue->wake.edges->nudge();
  }
  return 0;
}

bool Port::is_driver(const char* name) const { return facts_->driver == name; }

// What it is, and whether it can do what is asked of it at all.
bool Port::examine(std::string& why) {
  Facts& facts = *facts_;
  if (const int error = rte_eth_dev_info_get(id_, &facts.info); error != 0) {
    why = said(error);
    return false;
  }
  facts.driver = facts.info.driver_name;
  std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
  if (rte_eth_dev_get_name_by_port(id_, name.data()) == 0) facts.name = name.data();
  rte_eth_dev_get_mtu(id_, &facts.mtu);
  facts.mtu = link_mtu(options_.device, facts.mtu);
  if (options_.queues > facts.info.max_rx_queues || options_.queues > facts.info.max_tx_queues) {
    why = fmt::format("it has {} receive and {} transmit queues, and each of {} cores needs its "
                      "own: lower threads.cores, or name one device per core in network.device "
                      "(net_af_packet: \",qpairs=N\" gives it more)",
                      facts.info.max_rx_queues, facts.info.max_tx_queues, options_.queues);
    return false;
  }
  if (is_driver("net_af_xdp") && facts.mtu > xdp_mtu_max) {
    why = fmt::format("its MTU is {}, and this driver carries {} at most: `ip link set {} mtu {}` "
                      "at both ends", facts.mtu, xdp_mtu_max,
                      interface_of(options_.device), xdp_mtu_max);
    return false;
  }
  constexpr std::uint32_t slot_header_bytes = 96;
  const std::uint32_t slot = slot_bytes(options_.device);
  if (slot != 0 && facts.mtu + link_bytes_max + slot_header_bytes > slot) {
    why = fmt::format("the MTU of its interface is {}, for which its slots of {} bytes are too "
                      "small: \"{},blocksz=20480,framesz=10240\" takes up to 9000",
                      facts.mtu, slot, options_.device);
    return false;
  }
  if (buffer_room(options_.device, facts.mtu, options_.huge_pages) > UINT16_MAX) {
    why = "its frames are too long for a buffer, which has 64 KiB";
    return false;
  }
  using Direction = std::uint64_t;
  const Direction can_send = facts.info.tx_offload_capa;
  facts.send_offloads = can_send & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  if ((can_send & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0) {
    // Who cuts frames makes IP's checksums of the pieces. Virtio does without saying so, and its
    // other end is told of a whole frame, with the whole frame's.
    const bool cuts = (can_send & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0 ||
                      is_driver("net_virtio") || is_driver("net_virtio_user");
    facts.send_offloads |=
        can_send & (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
    // net_tap refuses for ever what it counts with its link header as longer than the MTU.
    if (cuts && !is_driver("net_tap")) {
      facts.send_offloads |= can_send & RTE_ETH_TX_OFFLOAD_TCP_TSO;
    }
  }
  facts.receive_offloads = facts.info.rx_offload_capa &
                           (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
  if (is_driver("net_virtio_user")) {
    facts.receive_offloads |= facts.info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO;
  }
  // This driver sends long frames, though it does not say so, to whoever takes them; the option
  // is about both directions.
  facts.sends_long =
      is_driver("net_vhost") && device_argument(options_.device, "tso") == "1";
  if (facts.sends_long && !takes_long_frames(options_.device)) {
    why = fmt::format("long frames (\"tso=1\") need a buffer each: \"{},linear-buffer=1,"
                      "ext-buffer=1\"", options_.device);
    return false;
  }
  return true;
}

bool Port::configure(std::string& why) {
  Facts& facts = *facts_;
  rte_eth_conf conf{};
  conf.rxmode.offloads = facts.receive_offloads;
  conf.txmode.offloads = facts.send_offloads;
  if (is_pci_address(options_.device)) conf.rxmode.mtu = facts.mtu;
  const std::uint64_t hashed = facts.info.flow_type_rss_offloads &
                               (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP);
  // Of a longer key only the beginning matters for addresses and ports.
  std::vector<std::uint8_t> key(options_.rss_key.begin(), options_.rss_key.end());
  key.resize(std::max<std::size_t>(key.size(), facts.info.hash_key_size));
  const bool may_spread = options_.queues > 1 && hashed != 0;
  // Both are only wanted; a device that refuses one may have the other.
  int error = 0;
  for (const int wishes : {3, 2, 1, 0}) {
    facts.spreads = (wishes & 2) != 0 && may_spread;
    facts.has_interrupts = (wishes & 1) != 0;
    conf.rxmode.mq_mode = facts.spreads ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE;
    conf.rx_adv_conf.rss_conf = {};
    if (facts.spreads) {
      conf.rx_adv_conf.rss_conf = {.rss_key = key.data(),
                                   .rss_key_len = static_cast<std::uint8_t>(key.size()),
                                   .rss_hf = hashed};
    }
    conf.intr_conf.rxq = facts.has_interrupts ? 1 : 0;
    error = rte_eth_dev_configure(id_, options_.queues, options_.queues, &conf);
    if (error == 0) break;
  }
  if (error != 0) {
    why = said(error);
    return false;
  }
  (void)take_complaints();
  const auto wanted = [](std::uint16_t preferred) {
    return std::min(preferred == 0 ? descriptors : preferred, descriptors_most);
  };
  facts.receive_descriptors = wanted(facts.info.default_rxportconf.ring_size);
  if (is_driver("net_virtio_user")) facts.receive_descriptors = long_descriptors;
  facts.send_descriptors = wanted(facts.info.default_txportconf.ring_size);
  error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &facts.receive_descriptors,
                                           &facts.send_descriptors);
  if (error != 0) why = said(error);
  return error == 0;
}

bool Port::make_queue(std::uint16_t index, std::string& why) {
  auto queue = std::make_unique<Queue>();
  const Facts& facts = *facts_;
  queue->port = id_;
  queue->index = index;
  queue->is_gone = &is_gone_;
  queue->has_link = &has_link_;
  queue->quiet_min = options_.quiet_min;
  const std::uint32_t sent_room = buffer_room(options_.device, facts.mtu, options_.huge_pages);
  const std::uint32_t room = receive_room(options_.device, facts.mtu, options_.huge_pages);
  const bool is_xdp = is_driver("net_af_xdp");
  const int socket = rte_eth_dev_socket_id(id_);
  const std::uint32_t frames_max = lent_buffers(options_.device, options_.receive_bytes, room);
  const std::uint32_t sent_buffers = send_buffers(facts.send_descriptors);
  const std::uint32_t received_buffers =
      receive_buffers(frames_max, facts.receive_descriptors, facts.send_descriptors, is_xdp);
  const auto pool = [&](const char* what, std::uint32_t count, std::uint32_t each) {
    return rte_pktmbuf_pool_create(fmt::format("{}-{}-{}", what, id_, index).c_str(), count,
                                   cached_buffers, 0, static_cast<std::uint16_t>(each), socket);
  };
  queue->receive = pool("receive", received_buffers, room);
  // It sends only what lies in the memory that the kernel was told of.
  queue->send = is_xdp ? queue->receive : pool("send", sent_buffers, sent_room);
  if (queue->receive == nullptr || queue->send == nullptr) {
    why = fmt::format("no memory for {} buffers of {} bytes: {}", received_buffers + sent_buffers,
                      room, said(rte_errno));
    return false;
  }
  if (is_xdp) queue->set_aside = set_outsiders_aside(queue->receive);

  const bool has_sums = (facts.send_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
  const bool has_chains = (facts.send_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
  const bool cuts = has_sums && has_chains &&
                    (facts.sends_long ||
                     (facts.send_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0);
  constexpr std::uint32_t cut_bytes_max = 65'000;  // with its headers, 16 bits of IP's length
  queue->offers = {.mtu = facts.mtu, .checksums = has_sums,
                   .segmentation_bytes_max = cuts ? cut_bytes_max : 0, .frames_max = frames_max};
  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(id_, &mac) == 0) {
    LinkAddress address;
    std::copy_n(mac.addr_bytes, address.size(), address.begin());
    queue->offers.address = options_.address.value_or(address);
  }
  SendAbilities abilities{
      .chains = has_chains, .checksums = has_sums,
      .ip_checksums = (facts.send_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0};
  const rte_eth_desc_lim& limits = facts.info.tx_desc_lim;
  if (limits.nb_mtu_seg_max != 0) abilities.pieces_max = limits.nb_mtu_seg_max;
  if (limits.nb_seg_max != 0) abilities.long_pieces_max = limits.nb_seg_max;
  queue->sent.emplace(queue->send, abilities, sent_buffers);
  queues_.push_back(std::move(queue));
  return set_up_queue(*queues_.back(), why);
}

bool Port::set_up_queue(Queue& queue, std::string& why) {
  const Facts& facts = *facts_;
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  rte_eth_rxconf receive = facts.info.default_rxconf;
  receive.offloads = facts.receive_offloads;
  rte_eth_txconf send = facts.info.default_txconf;
  send.offloads = facts.send_offloads;
  const std::vector<int> before = xdp_sockets();
  int error = rte_eth_rx_queue_setup(id_, queue.index, facts.receive_descriptors, socket,
                                     &receive, queue.receive);
  for (const int fd : xdp_sockets()) {
    if (std::find(before.begin(), before.end(), fd) == before.end()) queue.wake.fd = fd;
  }
  if (error == 0) {
    error = rte_eth_tx_queue_setup(id_, queue.index, facts.send_descriptors, socket, &send);
  }
  if (error != 0) why = said(error);
  return error == 0;
}

bool Port::start(std::string& why) {
  rte_eth_dev_callback_register(id_, RTE_ETH_EVENT_INTR_RMV, on_unplugged, this);
  if (const int error = rte_eth_dev_start(id_); error != 0) {
    why = said(error);
    return false;
  }
  if (!take_address(why)) return false;
  // IPv6 asks for link addresses by multicast.
  if (rte_eth_allmulticast_enable(id_) != 0) rte_eth_promiscuous_enable(id_);
  if (facts_->spreads) spread_by_hash();
  find_wake_sources();
  find_who_keeps_frames();
  rte_eth_dev_callback_register(id_, RTE_ETH_EVENT_INTR_LSC, on_link, this);
  // Others may have one later without telling. Looked at twice, for it may come between the look
  // and the store.
  if (is_driver("net_vhost") && !looks_linked(id_)) {
    has_link_ = false;
    if (looks_linked(id_)) has_link_ = true;
  }
  (void)take_complaints();
  return true;
}

bool Port::take_address(std::string& why) {
  if (!options_.address) return true;
  rte_ether_addr address{};
  std::copy(options_.address->begin(), options_.address->end(), address.addr_bytes);
  if (rte_eth_dev_default_mac_addr_set(id_, &address) == 0) return true;
  // It keeps its own; then it has to let all frames through.
  const int error = rte_eth_promiscuous_enable(id_);
  if (error != 0) why = fmt::format("it does not take network.mac: {}", said(error));
  return error == 0;
}

// All but the smallest tables are a multiple of the buckets.
void Port::spread_by_hash() {
  const std::uint16_t size = facts_->info.reta_size;
  if (size == 0) return;
  std::vector<rte_eth_rss_reta_entry64> table(
      (size + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
  for (std::uint16_t i = 0; i < size; ++i) {
    rte_eth_rss_reta_entry64& group = table[i / RTE_ETH_RETA_GROUP_SIZE];
    group.mask |= std::uint64_t{1} << (i % RTE_ETH_RETA_GROUP_SIZE);
    group.reta[i % RTE_ETH_RETA_GROUP_SIZE] =
        static_cast<std::uint16_t>(i % options_.rss_buckets % options_.queues);
  }
  rte_eth_dev_rss_reta_update(id_, table.data(), size);
}

// The drivers for interfaces of the kernel have sockets, but tell nobody.
void Port::find_wake_sources() {
  std::vector<int> sockets;
  if (is_driver("net_af_packet")) {
    sockets = packet_sockets(std::string(interface_of(options_.device)));
  }
  for (auto& queue : queues_) {
    if (sockets.size() == queues_.size()) queue->wake.fd = sockets[queue->index];
    queue->wake.interface = interface_of(options_.device);
    if (queue->wake.fd >= 0 || !facts_->has_interrupts) continue;
    const int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(id_, queue->index);
    if (fd < 0) continue;
    WakeSource& wake = queue->wake;
    if (is_driver("net_vhost")) wake.edges = EdgeWake::create(fd);
    wake.fd = wake.edges != nullptr ? wake.edges->fd() : fd;
    wake.is_interrupt = true;
    wake.is_counter = is_event_fd(fd);
  }
}

// Of the drivers that cannot be asked to look at what they have sent, some have nothing to look at:
// they copy, or hand on, in the call.
void Port::find_who_keeps_frames() {
  constexpr std::array<std::string_view, 6> at_once = {
      "net_af_packet", "net_af_xdp", "net_null", "net_pcap", "net_ring", "net_tap"};
  const bool is_copying_memif = is_driver("net_memif") &&
                        device_argument(options_.device, "zero-copy") != "yes";
  const bool is_at_once =
      std::find(at_once.begin(), at_once.end(), facts_->driver) != at_once.end();
  if (is_copying_memif || is_at_once) return;
  for (auto& queue : queues_) {
    if (rte_eth_tx_done_cleanup(id_, queue->index, 0) == -ENOTSUP) queue->sent->copy_always();
  }
}

std::string Port::description() const {
  const DeviceOffers& offers = queues_.front()->offers;
  return fmt::format("{} ({}, MTU {}, {}{}{}{})", facts_->name, facts_->driver, offers.mtu,
                     options_.queues == 1 ? "1 queue" : fmt::format("{} queues", options_.queues),
                     offers.checksums ? ", checksums" : "",
                     offers.segmentation_bytes_max != 0 ? ", TSO" : "",
                     facts_->spreads ? ", RSS" : "");
}

}  // namespace tailrace::io::dpdk
