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

namespace tailrace::io::dpdk {
namespace {

constexpr std::uint16_t descriptors = 1024;
constexpr std::uint16_t descriptors_most = 4096;
constexpr std::uint32_t cached_buffers = 256;     // of a pool, for its core
constexpr std::uint16_t link_bytes_max = 14 + 4 + 4;   // Ethernet, a VLAN tag, the check sequence
// What a buffer costs beside its room: DPDK's own words about it, and the pool's.
constexpr std::uint32_t buffer_overhead = sizeof(rte_mbuf) + 64;

// net_af_xdp: with one buffer per page none crosses the end of one (see set_outsiders_aside), and
// the kernel keeps room in front of each frame.
constexpr std::uint16_t xdp_page_room = 3840;
constexpr std::uint16_t xdp_reserved_bytes = 384;
constexpr std::uint16_t xdp_mtu_max = 3442;

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

int on_port_event(std::uint16_t, rte_eth_event_type, void* is_gone, void*) {
  static_cast<std::atomic<bool>*>(is_gone)->store(true, std::memory_order_relaxed);
  return 0;
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
  bool spreads = false;         // by our hash
  bool has_interrupts = false;
};

std::uint64_t queue_memory_bytes(std::uint64_t receive_bytes) {
  // Two pools; buffers of at most a page each, and as much again in descriptors and page ends.
  constexpr std::uint64_t beside = 2 * 4096 * (descriptors_most + cached_buffers);
  return receive_bytes * 5 / 4 + beside;
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
  rte_eth_dev_callback_unregister(id_, RTE_ETH_EVENT_INTR_RMV, on_port_event, &is_gone_);
  rte_eth_dev_close(id_);
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
  if (options_.queues > facts.info.max_rx_queues || options_.queues > facts.info.max_tx_queues) {
    why = fmt::format("it has {} receive and {} transmit queues, and each of {} cores needs its "
                      "own: lower threads.cores, or name one device per core in network.device",
                      facts.info.max_rx_queues, facts.info.max_tx_queues, options_.queues);
    return false;
  }
  if (is_driver("net_af_xdp") && facts.mtu > xdp_mtu_max) {
    why = fmt::format("its MTU is {}, and this driver carries {} at most: `ip link set {} mtu {}` "
                      "at both ends", facts.mtu, xdp_mtu_max,
                      device_argument(options_.device, "iface"), xdp_mtu_max);
    return false;
  }
  using Direction = std::uint64_t;
  const Direction can_send = facts.info.tx_offload_capa;
  facts.send_offloads = can_send & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  const Direction sums = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  if ((can_send & sums) == sums) {
    facts.send_offloads |= sums;
    // net_tap refuses for ever what it counts with its link header as longer than the MTU.
    if (!is_driver("net_tap")) facts.send_offloads |= can_send & RTE_ETH_TX_OFFLOAD_TCP_TSO;
  }
  facts.receive_offloads = facts.info.rx_offload_capa &
                           (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
  return true;
}

bool Port::configure(std::string& why) {
  Facts& facts = *facts_;
  rte_eth_conf conf{};
  conf.rxmode.offloads = facts.receive_offloads;
  conf.txmode.offloads = facts.send_offloads;
  const std::uint64_t hashed = facts.info.flow_type_rss_offloads &
                               (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP);
  if (options_.queues > 1 && hashed != 0 &&
      facts.info.hash_key_size == options_.rss_key.size()) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf = {.rss_key = const_cast<std::uint8_t*>(options_.rss_key.data()),
                                 .rss_key_len = 40, .rss_hf = hashed};
  }
  conf.intr_conf.rxq = 1;
  int error = 0;
  // What is only wanted is given up, one after the other.
  for (;;) {
    error = rte_eth_dev_configure(id_, options_.queues, options_.queues, &conf);
    if (error == 0) break;
    if (conf.intr_conf.rxq != 0) {
      conf.intr_conf.rxq = 0;
    } else if (conf.rxmode.mq_mode != RTE_ETH_MQ_RX_NONE) {
      conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
    } else {
      why = said(error);
      return false;
    }
  }
  (void)take_complaints();
  facts.has_interrupts = conf.intr_conf.rxq != 0;
  facts.spreads = conf.rxmode.mq_mode != RTE_ETH_MQ_RX_NONE;
  const auto wanted = [](std::uint16_t preferred) {
    return std::min(preferred == 0 ? descriptors : preferred, descriptors_most);
  };
  facts.receive_descriptors = wanted(facts.info.default_rxportconf.ring_size);
  facts.send_descriptors = wanted(facts.info.default_txportconf.ring_size);
  error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &facts.receive_descriptors,
                                           &facts.send_descriptors);
  if (error != 0) why = said(error);
  return error == 0;
}

// Of a receive buffer, so that each frame is in one.
std::uint16_t Port::buffer_room() const {
  const bool is_xdp = is_driver("net_af_xdp");
  std::uint32_t room = RTE_PKTMBUF_HEADROOM + facts_->mtu + link_bytes_max;
  if (is_xdp) room += xdp_reserved_bytes;
  // net_af_packet wants room for a whole slot of its ring.
  const std::string_view slot = device_argument(options_.device, "framesz");
  room = std::max<std::uint32_t>(
      room, RTE_PKTMBUF_HEADROOM + static_cast<std::uint32_t>(
                                       std::strtoul(std::string(slot).c_str(), nullptr, 10)));
  constexpr std::uint32_t usual = RTE_MBUF_DEFAULT_BUF_SIZE;
  room = std::max((room + 63) / 64 * 64, usual);
  if (is_xdp && (room > usual || !options_.huge_pages)) return xdp_page_room;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(room, UINT16_MAX));
}

bool Port::make_queue(std::uint16_t index, std::string& why) {
  auto queue = std::make_unique<Queue>();
  const Facts& facts = *facts_;
  queue->port = id_;
  queue->index = index;
  queue->is_gone = &is_gone_;
  queue->quiet_min = options_.quiet_min;
  const std::uint16_t room = buffer_room();
  const bool is_xdp = is_driver("net_af_xdp");
  const int socket = rte_eth_dev_socket_id(id_);
  const auto frames_max = static_cast<std::uint32_t>(
      options_.receive_bytes / (room + buffer_overhead));
  const std::uint32_t sent_buffers = facts.send_descriptors * 2U + 2 * cached_buffers;
  // Those in the device's hands, and on the way to it; net_af_xdp has two rings of them.
  std::uint32_t received_buffers = frames_max + facts.receive_descriptors * 2U +
                                   2 * cached_buffers;
  if (is_xdp) received_buffers += sent_buffers;
  const auto pool = [&](const char* what, std::uint32_t count) {
    return rte_pktmbuf_pool_create(fmt::format("{}-{}-{}", what, id_, index).c_str(), count,
                                   cached_buffers, 0, room, socket);
  };
  queue->receive = pool("receive", received_buffers);
  // It sends only what lies in the memory that the kernel was told of.
  queue->send = is_xdp ? queue->receive : pool("send", sent_buffers);
  if (queue->receive == nullptr || queue->send == nullptr) {
    why = fmt::format("no memory for {} buffers of {} bytes: {}", received_buffers + sent_buffers,
                      room, said(rte_errno));
    return false;
  }
  if (is_xdp) queue->set_aside = set_outsiders_aside(queue->receive);

  const bool has_sums = (facts.send_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
  const bool has_chains = (facts.send_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
  const bool cuts = has_sums && has_chains &&
                    (facts.send_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0;
  constexpr std::uint32_t cut_bytes_max = 65'000;  // with its headers, 16 bits of IP's length
  queue->offers = {.mtu = facts.mtu, .checksums = has_sums,
                   .segmentation_bytes_max = cuts ? cut_bytes_max : 0, .frames_max = frames_max};
  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(id_, &mac) == 0) {
    LinkAddress address;
    std::copy_n(mac.addr_bytes, address.size(), address.begin());
    queue->offers.address = options_.address.value_or(address);
  }
  SendAbilities abilities{.chains = has_chains, .checksums = has_sums};
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
  rte_eth_dev_callback_register(id_, RTE_ETH_EVENT_INTR_RMV, on_port_event, &is_gone_);
  if (const int error = rte_eth_dev_start(id_); error != 0) {
    why = said(error);
    return false;
  }
  if (!take_address(why)) return false;
  // IPv6 asks for link addresses by multicast.
  if (rte_eth_allmulticast_enable(id_) != 0) rte_eth_promiscuous_enable(id_);
  if (facts_->spreads) spread_by_hash();
  find_wake_sources();
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN) {
    log_event(LogLevel::warn, "network", "DPDK port {} has no link yet", options_.device);
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
    sockets = packet_sockets(std::string(device_argument(options_.device, "iface")));
  }
  for (auto& queue : queues_) {
    if (sockets.size() == queues_.size()) queue->wake.fd = sockets[queue->index];
    if (queue->wake.fd >= 0 || !facts_->has_interrupts) continue;
    const int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(id_, queue->index);
    if (fd >= 0) queue->wake = {.fd = fd, .is_interrupt = true, .is_counter = is_event_fd(fd)};
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
