#include "io/dpdk/dpdk_device.h"

#include <poll.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"

namespace tailrace::io::dpdk {
namespace {

// How long a full device is left alone, and one that has nothing to wait for when it is quiet.
constexpr Duration look_again = microseconds(50);
// A quiet device may keep what it has sent; whoever waits for the memory asks so often.
constexpr Duration clean_up_interval = milliseconds(1);

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
  constexpr std::uint64_t good = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  constexpr std::uint64_t bits = RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK;
  frame = {.bytes = {rte_pktmbuf_mtod(buffer, const std::byte*), buffer->data_len},
           .token = token,
           .checksum_good = (buffer->ol_flags & bits) == good};
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
  io_uring_sqe* sqe = ring_.request({.user = RingUser::transport});
  const std::uint64_t name = sqe->user_data;   // liburing clears it
  io_uring_prep_poll_add(sqe, queue_.wake.fd, POLLIN);
  sqe->user_data = name;
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
    // An interface that was deleted is always ready, and has nothing.
    constexpr std::int32_t gone = POLLERR | POLLNVAL;
    if (completion.result < 0 || (completion.result & gone) != 0) is_gone_ = true;
  }
}

Instant DpdkDevice::next_deadline() const {
  if (failed()) return never();
  Instant deadline = never();
  if (waiting_begin_ < waiting_end_) deadline = looked_at_ + look_again;
  if (queue_.sent->held_count() > 0) {
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
    queue_.numbers.sent_frames.add(waiting_end_);
    queue_.numbers.sent_bytes.add(bytes);
    send_waiting();
  }
  return taken;
}

std::size_t DpdkDevice::take_finished(std::span<std::uint32_t> holds) {
  const std::size_t count = queue_.sent->take_finished(holds);
  // Only a burst makes most devices look at what they have sent; a quiet one is asked.
  if (count == 0 && is_quiet_ && queue_.sent->held_count() > 0 && can_clean_up_) {
    can_clean_up_ = rte_eth_tx_done_cleanup(queue_.port, queue_.index, 0) != -ENOTSUP;
  }
  return count;
}

}  // namespace tailrace::io::dpdk
