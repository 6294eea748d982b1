// StackDriver: the stack of one core (net/stack.h) on one queue of a packet device. It moves frames
// and what belongs to them between the two; what is said on the connections, its owner says to the
// stack itself.
//
//   input:  device -> stack, then its timers     then take_events, and release() of their tokens
//   output: stack -> device                      once a turn, after everything was said
//
// A device that completes no checksums has it done here; cutting long frames is the stack's.
#pragma once

#include <array>
#include <memory>

#include "io/packet_device.h"
#include "net/stack.h"

namespace tailrace::io {

class StackDriver {
 public:
  struct Options {
    net::Limits limits;        // frames_max is the device's, pieces what it can spare
    net::Interface interface;  // mtu, segmentation, and mac if it has one, are the device's
    SipKey key{};              // secret, new at each start
    Instant start;
  };
  StackDriver(const Options& options, std::unique_ptr<PacketDevice> device);

  // At most so many bursts: a flood does not keep the core from its other work.
  void input(Instant now, std::size_t bursts_max);
  void output(Instant now);
  // Frames that data events told of.
  void release(std::span<const std::uint64_t> tokens) { device_->release(tokens); }
  // Those that the stack is done with itself; input() and output() do it, too.
  void give_back() { device_->release(stack_.take_released()); }
  // When input() or output() wants to be called even without a frame.
  Instant next_deadline() const;
  bool failed() const { return device_->failed(); }

  net::Stack& stack() { return stack_; }
  const net::Stack& stack() const { return stack_; }
  DeviceNumbers device_numbers() const { return device_->numbers(); }

  static constexpr std::size_t burst_max = 32;

 private:
  bool is_full() const { return out_begin_ < out_end_; }
  void complete_checksums();
  void finish_holds();

  std::unique_ptr<PacketDevice> device_;
  net::Stack stack_;
  const bool completes_tcp_;           // the device does
  std::array<TxFrame, burst_max> out_;
  std::size_t out_begin_ = 0;          // those in [begin, end) the device has not taken
  std::size_t out_end_ = 0;
  Instant now_;
};

}  // namespace tailrace::io
