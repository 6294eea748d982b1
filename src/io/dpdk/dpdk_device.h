// DpdkDevice: the frames of one queue of a DPDK port. The thread polls; when the device has been
// quiet for a while and has something to wait for, the thread's ring waits for it too, so that one
// wait covers disk and network.
#pragma once

#include <array>
#include <vector>

#include "io/dpdk/queue.h"
#include "io/packet_device.h"
#include "io/uring/ring.h"

namespace tailrace::io::dpdk {

class DpdkDevice final : public PacketDevice {
 public:
  // Both outlive it, `ring` all but its destructor. No other transport is on `ring`.
  DpdkDevice(Queue& queue, Ring& ring);
  ~DpdkDevice() override;
  DpdkDevice(const DpdkDevice&) = delete;
  DpdkDevice& operator=(const DpdkDevice&) = delete;

  const DeviceOffers& offers() const override { return queue_.offers; }
  DeviceNumbers numbers() const override;
  void set_payload_memory(std::span<const MutableBytes> regions) override {
    queue_.sent->set_regions(regions);
  }
  std::size_t receive(std::span<RxFrame> frames) override;
  void release(std::span<const std::uint64_t> tokens) override;
  std::size_t transmit(std::span<const TxFrame> frames) override;
  std::size_t take_finished(std::span<std::uint32_t> holds) override;
  Link link() const override;
  bool failed() const override { return is_gone_ || queue_.is_gone->load(); }
  Instant next_deadline() const override;

 private:
  static constexpr std::size_t burst_max = 32;

  void enter_thread();
  std::size_t take_burst(std::span<RxFrame> frames);
  bool lend(rte_mbuf* buffer, RxFrame& frame);
  void nothing_came();
  void listen();
  void take_wakes();
  void look_whether_gone();
  bool send_waiting();
  void prepare_waiting();

  Queue& queue_;
  Ring& ring_;
  std::vector<rte_mbuf*> lent_;              // by token
  std::vector<std::uint32_t> free_tokens_;
  // What the device had no room for.
  std::array<rte_mbuf*, burst_max> waiting_{};
  std::uint16_t waiting_begin_ = 0;
  std::uint16_t waiting_end_ = 0;
  std::uint64_t counter_value_ = 0;
  std::uint64_t pump_seen_ = 0;
  Instant quiet_since_ = never();
  Instant looked_at_{};
  Instant cleaned_at_{};
  bool is_quiet_ = false;        // for long enough to sleep
  bool is_listening_ = false;
  bool is_gone_ = false;
  bool has_entered_ = false;
  bool can_clean_up_ = true;
};

}  // namespace tailrace::io::dpdk
