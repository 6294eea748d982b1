// DpdkNetwork: ports that DPDK drives, without the kernel's network: one queue per core, each a
// PacketDevice, and the memory that both a NIC and io_uring may use. A process has at most one, for
// DPDK's environment (EAL) cannot be set up twice.
//
//   main thread:  create, allocate, open for each core
//   core thread:  its PacketDevice
//
// Built without DPDK, create() refuses and says so (absent.cc).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/time.h"
#include "io/packet_device.h"
#include "io/uring/ring.h"

namespace tailrace::io {

// DPDK's own name for a device with its arguments: "0000:3b:00.0", "net_af_xdp0,iface=eth1".
// Several are separated by blanks, and then there are as many as queues, one queue each; one
// device has all queues.
struct DpdkOptions {
  std::string devices;
  std::uint16_t queues = 1;
  bool huge_pages = true;
  std::uint64_t memory_bytes = 0;      // what allocate() will be asked for, in all
  std::uint64_t receive_bytes = 32 << 20;   // per queue: frames that are lent at a time
  // RSS (Microsoft's, Toeplitz): a device that spreads connections itself does it with this key,
  // and its queue is the hash modulo the number of buckets, modulo the number of queues.
  std::array<std::uint8_t, 40> rss_key{};
  std::uint32_t rss_buckets = 128;
  std::optional<LinkAddress> address;  // of the station; none: the device's own
  // An idle thread may sleep when the device has had nothing for so long; none: never.
  std::optional<Duration> quiet_min = microseconds(50);
};

class DpdkNetwork {
 public:
  // Null: `why` has lines for the operator: what is missing and how to get it.
  static std::unique_ptr<DpdkNetwork> create(const DpdkOptions& options, std::string& why);
  // Nothing of allocate() is used any more, and no device is left.
  ~DpdkNetwork();
  DpdkNetwork(const DpdkNetwork&) = delete;
  DpdkNetwork& operator=(const DpdkNetwork&) = delete;

  // Zeroed, aligned to pages, at one place for good; empty: there is not so much. A frame's payload
  // that lies in such memory is read by the device where it is.
  MutableBytes allocate(std::size_t bytes);
  // Each queue once. `ring` outlives all but the device's destructor.
  std::unique_ptr<PacketDevice> open(std::uint16_t queue, Ring& ring);
  // Received frames that every queue lends at a time; some may lend more.
  std::uint32_t frames_max() const;
  // Of the ports, for the banner.
  std::string description() const;

 private:
  struct State;
  explicit DpdkNetwork(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tailrace::io
