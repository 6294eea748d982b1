// TapDevice: frames to and from the kernel of this machine through a tap interface, or one queue of
// an interface that has several: the kernel gives the frames of a connection to the queue on which
// it was last sent one of that connection, so that each core sees its own (tun_automq_select_queue
// in drivers/net/tun.c); a connection's first ones, and all other frames, may come on any. The
// kernel completes checksums and cuts long frames into segments in both directions, if it has to at
// all: a frame between two programs of one machine need not be cut.
//
// The thread's ring tells when frames have come, so that one wait covers disk and network.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/packet_device.h"
#include "io/uring/ring.h"

namespace tailrace::io {

struct TapOptions {
  std::string name;                  // of the interface; made when it is not there
  std::uint32_t frames_max = 512;    // receive buffers, each for one frame of up to 64 KiB
  std::uint16_t queue = 0;           // which one this is, from the first, of so many
  std::uint16_t queues = 1;
};

class TapDevice final : public PacketDevice {
 public:
  // `ring` outlives all but its destructor, and no other transport is on it. Errors: io with the
  // errno; unsupported when the interface has one queue and several are asked for. `why` then has
  // lines for the operator: what is missing and how to get it.
  static Result<std::unique_ptr<TapDevice>> create(Ring& ring, const TapOptions& options,
                                                   std::string& why);
  ~TapDevice() override;
  TapDevice(const TapDevice&) = delete;
  TapDevice& operator=(const TapDevice&) = delete;

  const DeviceOffers& offers() const override { return offers_; }
  DeviceNumbers numbers() const override { return numbers_; }
  std::size_t receive(std::span<RxFrame> frames) override;
  void release(std::span<const std::uint64_t> tokens) override;
  std::size_t transmit(std::span<const TxFrame> frames) override;
  std::size_t take_finished(std::span<std::uint32_t> holds) override;
  Link link() const override;
  bool failed() const override { return is_gone_; }
  Instant next_deadline() const override;

 private:
  TapDevice(Ring& ring, int fd, int claim, std::uint16_t mtu, const TapOptions& options);
  bool receive_one(RxFrame& frame);
  bool transmit_one(const TxFrame& frame);
  void listen();
  void take_wakes();
  std::byte* buffer(std::uint32_t index);

  Ring& ring_;
  const int fd_;
  const int claim_;                          // of the interface's name, or -1
  const std::string watched_;                // the name, of the first queue's interface
  const DeviceOffers offers_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::uint32_t> free_;          // buffers
  std::vector<std::uint32_t> finished_;      // holds not yet taken
  bool is_listening_ = false;                // the last look ended in "nothing there"
  bool is_gone_ = false;
  std::uint64_t pump_seen_ = 0;
  DeviceNumbers numbers_;
};

}  // namespace tailrace::io
