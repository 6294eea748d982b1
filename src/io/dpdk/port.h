// Port: one port of DPDK, set up with its queues. A device whose driver has a known fault is used
// around it, or refused by name: in port.cc, and for net_tap's signals in environment.cc.
#pragma once

#include <rte_ethdev.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/dpdk/queue.h"
#include "io/packet_device.h"

namespace tailrace::io::dpdk {

struct PortOptions {
  std::string device;                  // its name and arguments
  std::uint16_t queues = 1;
  bool huge_pages = true;
  std::uint64_t receive_bytes = 0;     // per queue
  std::array<std::uint8_t, 40> rss_key{};
  std::uint32_t rss_buckets = 128;
  std::optional<LinkAddress> address;
  std::optional<Duration> quiet_min;
};

// Of the pools that a queue of this device will ask for, at most.
std::uint64_t queue_memory_bytes(std::string_view device, std::uint64_t receive_bytes,
                                 bool huge_pages);

class Port {
 public:
  // Null: `why` says it.
  static std::unique_ptr<Port> open(std::uint16_t id, const PortOptions& options,
                                    std::string& why);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  Queue& queue(std::uint16_t index) { return *queues_[index]; }
  std::string description() const;

 private:
  Port(std::uint16_t id, const PortOptions& options);
  bool examine(std::string& why);
  bool configure(std::string& why);
  bool make_queue(std::uint16_t index, std::string& why);
  bool set_up_queue(Queue& queue, std::string& why);
  bool start(std::string& why);
  bool take_address(std::string& why);
  void spread_by_hash();
  void find_wake_sources();
  void find_who_keeps_frames();
  bool is_driver(const char* name) const;
  static int on_unplugged(std::uint16_t, rte_eth_event_type, void* port, void*);
  static int on_link(std::uint16_t, rte_eth_event_type, void* port, void*);

  struct Facts;   // what DPDK tells of it
  const std::uint16_t id_;
  const PortOptions options_;
  std::unique_ptr<Facts> facts_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::atomic<bool> is_gone_{false};
  std::atomic<bool> has_link_{true};
};

}  // namespace tailrace::io::dpdk
