// One queue of a port and its memory: what a device object works with. Used by one core; it and its
// memory outlive the device object, for a port may hold buffers until it is stopped.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "io/dpdk/edge_wake.h"
#include "io/dpdk/sent_frames.h"
#include "io/packet_device.h"

namespace tailrace::io::dpdk {

// How an idle thread learns that frames have come.
struct WakeSource {
  int fd = -1;                  // readable then; -1: the device has none
  bool is_interrupt = false;    // to be enabled before each wait
  bool is_counter = false;      // an eventfd, to be read after each
  std::unique_ptr<EdgeWake> edges;   // whose descriptor it is, where the device's own would not do
  std::string interface;        // of the kernel's; with it the descriptor loses its meaning
};

struct Queue {
  ~Queue() {
    sent.reset();
    if (send != nullptr && send != receive) rte_mempool_free(send);
    if (receive != nullptr) rte_mempool_free(receive);
  }

  std::uint16_t port = 0;
  std::uint16_t index = 0;
  DeviceOffers offers;
  rte_mempool* receive = nullptr;
  rte_mempool* send = nullptr;         // the same where the device sends from that memory alone
  std::vector<rte_mbuf*> set_aside;    // of `receive`, never to be used (see port.cc)
  std::optional<SentFrames> sent;
  DeviceNumbers numbers;
  WakeSource wake;
  std::optional<Duration> quiet_min;
  const std::atomic<bool>* is_gone = nullptr;   // the port was unplugged
  const std::atomic<bool>* has_link = nullptr;  // as far as its driver tells
};

}  // namespace tailrace::io::dpdk
