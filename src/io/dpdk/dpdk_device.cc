#include "io/dpdk/dpdk_device.h"

#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "io/kernel_interface.h"

namespace tailrace::io::dpdk {
namespace {

// How long a full device is left alone, and one that has nothing to wait for when it is quiet.
constexpr Duration look_again = microseconds(50);
// A quiet device may keep what it has sent; whoever waits for the memory asks so often.
constexpr Duration clean_up_interval = milliseconds(1);

// IP's checksum and TCP's. A peer behind the same virtual switch leaves TCP's to be done, which the
// device then tells as "none": not what is in the field, but the data is good.
bool is_checked(const rte_mbuf& buffer) {
  const std::uint64_t tcp = buffer.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  if (tcp != RTE_MBUF_F_RX_L4_CKSUM_GOOD && tcp != RTE_MBUF_F_RX_L4_CKSUM_NONE) return false;
  if ((buffer.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD) return true;
  constexpr std::size_t link_bytes = 14;
  constexpr std::size_t ipv4_bytes = 20;
  if (buffer.data_len < link_bytes + ipv4_bytes) return false;
  const auto* link = rte_pktmbuf_mtod(&buffer, const std::uint8_t*);
  if (link[12] == 0x86 && link[13] == 0xdd) return true;   // IPv6 has none
  const bool is_plain_v4 = link[12] == 0x08 && link[13] == 0 && link[14] == 0x45;
  return is_plain_v4 && rte_raw_cksum(link + link_bytes, ipv4_bytes) == 0xffff;
}

}  // namespace

DpdkDevice::DpdkDevice(Queue& queue, Ring& ring) : queue_(queue), ring_(ring) {
  const std::uint32_t count = queue.offers.frames_max;
  lent_.resize(count, nullptr);
  free_tokens_.reserve(count);
  for (std::uint32_t i = count; i > 0; --i) free_tokens_.push_back(i - 1);
}

DpdkDevice::~DpdkDevice() {
  for (rte_mbuf* buffer : lent_) rte_pktmbuf_free(buffer);
  for (; waiting_begin_ < waiting_end_; ++waiting_begin_) {
    rte_pktmbuf_free(waiting_[waiting_begin_]);
  }
}

// DPDK keeps free buffers for each thread that it knows. More threads than it can know work too.
void DpdkDevice::enter_thread() {
  if (has_entered_) return;
  has_entered_ = true;
  if (rte_lcore_id() == LCORE_ID_ANY) (void)rte_thread_register();
}

// ---- in

std::size_t DpdkDevice::receive(std::span<RxFrame> frames) {
  enter_thread();
  take_wakes();
  send_waiting();
  if (free_tokens_.empty()) return 0;   // Quiet or not, nothing can be lent.
  const std::size_t count = take_burst(frames);
  if (count > 0) {
    quiet_since_ = never();
    is_quiet_ = false;
    return count;
  }
  nothing_came();
  // A frame that came before the interrupt was on causes none.
  return is_listening_ && queue_.wake.is_interrupt ? take_burst(frames) : 0;
}

std::size_t DpdkDevice::take_burst(std::span<RxFrame> frames) {
  std::array<rte_mbuf*, burst_max> buffers;
  const std::size_t room = std::min({frames.size(), free_tokens_.size(), burst_max});
  if (room == 0) return 0;
  const std::uint16_t count = rte_eth_rx_burst(queue_.port, queue_.index, buffers.data(),
                                               static_cast<std::uint16_t>(room));
  std::size_t lent = 0;
  for (std::uint16_t i = 0; i < count; ++i) lent += lend(buffers[i], frames[lent]) ? 1 : 0;
  return lent;
}

bool DpdkDevice::lend(rte_mbuf* buffer, RxFrame& frame) {
  if (buffer->nb_segs > 1 && rte_pktmbuf_linearize(buffer) != 0) {
    rte_pktmbuf_free(buffer);
    queue_.numbers.receive_errors.add();
    return false;
  }
  const std::uint32_t token = free_tokens_.back();
  free_tokens_.pop_back();
  lent_[token] = buffer;
  frame = {.bytes = {rte_pktmbuf_mtod(buffer, const std::byte*), buffer->data_len},
           .token = token,
           .checksum_good = is_checked(*buffer)};
  queue_.numbers.received_frames.add();
  queue_.numbers.received_bytes.add(buffer->data_len);
  return true;
}

void DpdkDevice::release(std::span<const std::uint64_t> tokens) {
  for (const std::uint64_t token : tokens) {
    TR_ASSERT(token < lent_.size() && lent_[token] != nullptr);
    rte_pktmbuf_free(std::exchange(lent_[token], nullptr));
    free_tokens_.push_back(static_cast<std::uint32_t>(token));
  }
}

DeviceNumbers DpdkDevice::numbers() const {
  DeviceNumbers numbers = queue_.numbers;
  rte_eth_stats port{};
  if (queue_.index == 0 && rte_eth_stats_get(queue_.port, &port) == 0) {
    numbers.missed_frames.add(port.imissed + port.rx_nombuf);
    numbers.receive_errors.add(port.ierrors);
    numbers.send_errors.add(port.oerrors);
  }
  return numbers;
}

// Drivers that sit on an interface of the kernel's say "up" from their start on.
Link DpdkDevice::link() const {
  if (queue_.index != 0) return Link::up;
  rte_eth_link link{};
  const bool is_known = rte_eth_link_get_nowait(queue_.port, &link) == 0;
  if (is_known && link.link_status == RTE_ETH_LINK_DOWN) return Link::down;
  return queue_.wake.interface.empty() ? Link::up : link_of_interface(queue_.wake.interface);
}

// ---- quiet

void DpdkDevice::nothing_came() {
  looked_at_ = Ring::monotonic_now();
  if (quiet_since_ == never()) quiet_since_ = looked_at_;
  is_quiet_ = queue_.quiet_min && looked_at_ >= quiet_since_ + *queue_.quiet_min;
  if (is_quiet_ && queue_.wake.fd >= 0) listen();
}

void DpdkDevice::listen() {
  if (is_listening_) return;
  is_listening_ = true;
  // Drivers whose descriptor is always watched have no such call, and need none.
  if (queue_.wake.is_interrupt) (void)rte_eth_dev_rx_intr_enable(queue_.port, queue_.index);
  ring_.request_readable({.user = RingUser::transport}, queue_.wake.fd);
}

void DpdkDevice::take_wakes() {
  ring_.pump_if_stale(pump_seen_);
  Completion completion;
  while (ring_.take(RingUser::transport, completion)) {
    is_listening_ = false;
    if (queue_.wake.is_interrupt) (void)rte_eth_dev_rx_intr_disable(queue_.port, queue_.index);
    // It was readable just now, so that this does not block.
    if (queue_.wake.is_counter && completion.result > 0) {
      (void)!::read(queue_.wake.fd, &counter_value_, sizeof counter_value_);
    }
    if (queue_.wake.edges != nullptr) queue_.wake.edges->take();
    constexpr std::int32_t wrong = POLLERR | POLLNVAL;
    if (completion.result < 0 || (completion.result & wrong) != 0) look_whether_gone();
  }
}

// An interface that was deleted is always ready, and has nothing; one that was down for a moment
// has only an error to take.
void DpdkDevice::look_whether_gone() {
  int error_number = 0;
  socklen_t size = sizeof error_number;
  const bool is_there = !queue_.wake.interface.empty() &&
                        if_nametoindex(queue_.wake.interface.c_str()) != 0;
  if (!is_there || getsockopt(queue_.wake.fd, SOL_SOCKET, SO_ERROR, &error_number, &size) != 0) {
    is_gone_ = true;
  }
}

Instant DpdkDevice::next_deadline() const {
  if (failed()) return never();
  Instant deadline = never();
  if (waiting_begin_ < waiting_end_) deadline = looked_at_ + look_again;
  if (queue_.sent->held_count() > 0 && can_clean_up_) {
    deadline = std::min(deadline, looked_at_ + clean_up_interval);
  }
  if (free_tokens_.empty() || is_listening_) return deadline;
  return is_quiet_ ? std::min(deadline, looked_at_ + look_again) : Instant{};
}

// ---- out

// False: some still wait.
bool DpdkDevice::send_waiting() {
  const auto count = static_cast<std::uint16_t>(waiting_end_ - waiting_begin_);
  if (count == 0) return true;
  waiting_begin_ = static_cast<std::uint16_t>(
      waiting_begin_ + rte_eth_tx_burst(queue_.port, queue_.index,
                                        waiting_.data() + waiting_begin_, count));
  // Without a link they are lost, or their payload would be lent for as long as nobody is there.
  while (waiting_begin_ < waiting_end_ && !queue_.has_link->load(std::memory_order_relaxed)) {
    rte_pktmbuf_free(waiting_[waiting_begin_++]);
    queue_.numbers.send_errors.add();
  }
  return waiting_begin_ == waiting_end_;
}

std::size_t DpdkDevice::transmit(std::span<const TxFrame> frames) {
  std::size_t taken = 0;
  while (taken < frames.size() && send_waiting()) {
    waiting_begin_ = 0;
    waiting_end_ = 0;
    std::uint64_t bytes = 0;
    while (taken < frames.size() && waiting_end_ < waiting_.size()) {
      rte_mbuf* buffer = queue_.sent->make(frames[taken]);
      if (buffer == nullptr) break;
      waiting_[waiting_end_++] = buffer;
      bytes += frames[taken].size();
      ++taken;
    }
    if (waiting_end_ == 0) break;
    if (queue_.offers.checksums) prepare_waiting();
    queue_.numbers.sent_frames.add(waiting_end_);
    queue_.numbers.sent_bytes.add(bytes);
    send_waiting();
  }
  return taken;
}

// What a device has to be told about offloads differs; what it will never send is lost, as frames
// are, and does not stop the others.
void DpdkDevice::prepare_waiting() {
  std::uint16_t good = 0;
  while (good < waiting_end_) {
    good = static_cast<std::uint16_t>(
        good + rte_eth_tx_prepare(queue_.port, queue_.index, waiting_.data() + good,
                                  static_cast<std::uint16_t>(waiting_end_ - good)));
    if (good == waiting_end_) return;
    rte_pktmbuf_free(waiting_[good]);
    std::copy(waiting_.begin() + good + 1, waiting_.begin() + waiting_end_,
              waiting_.begin() + good);
    --waiting_end_;
    queue_.numbers.send_errors.add();
  }
}

std::size_t DpdkDevice::take_finished(std::span<std::uint32_t> holds) {
  const std::size_t count = queue_.sent->take_finished(holds);
  // Only a burst, and a long one, makes most devices look at what they have sent: they are asked.
  if (count == 0 && queue_.sent->held_count() > 0 && can_clean_up_ &&
      looked_at_ >= cleaned_at_ + clean_up_interval) {
    cleaned_at_ = looked_at_;
    can_clean_up_ = rte_eth_tx_done_cleanup(queue_.port, queue_.index, 0) != -ENOTSUP;
  }
  return count;
}

}  // namespace tailrace::io::dpdk
