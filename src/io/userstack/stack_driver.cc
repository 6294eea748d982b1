#include "io/userstack/stack_driver.h"

#include <algorithm>
#include <utility>

#include "net/checksum.h"
#include "net/tcp_header.h"

namespace tailrace::io {
namespace {

// How long a full device is left alone.
constexpr Duration transmit_retry = microseconds(50);

net::Limits with_device(net::Limits limits, const DeviceOffers& offers) {
  limits.frames_max = offers.frames_max;
  // A piece is a frame held. Some frames are always free, and no connection has most of them.
  const std::uint32_t kept_max = offers.frames_kept_max != 0
                                     ? offers.frames_kept_max
                                     : offers.frames_max - offers.frames_max / 4;
  limits.pieces_max = std::min(limits.pieces_max, kept_max);
  limits.receive_pieces_max = std::min(limits.receive_pieces_max, limits.pieces_max / 2);
  limits.reassembly_pieces_max = std::min(limits.reassembly_pieces_max, limits.pieces_max / 4);
  return limits;
}

net::Interface with_device(net::Interface interface, const DeviceOffers& offers) {
  interface.mtu = offers.mtu;
  interface.segmentation_bytes_max = offers.segmentation_bytes_max;
  if (offers.address) interface.mac.bytes = *offers.address;
  return interface;
}

}  // namespace

StackDriver::StackDriver(const Options& options, std::unique_ptr<PacketDevice> device)
    : device_(std::move(device)),
      stack_(with_device(options.limits, device_->offers()),
             with_device(options.interface, device_->offers()), options.key, options.start),
      completes_tcp_(device_->offers().checksums), now_(options.start) {}

void StackDriver::input(Instant now, std::size_t bursts_max) {
  now_ = now;
  std::array<RxFrame, burst_max> frames;
  for (std::size_t burst = 0; burst < bursts_max; ++burst) {
    const std::size_t count = device_->receive(frames);
    if (count > 0) stack_.input(std::span(frames).first(count), now);
    give_back();
    if (count < frames.size()) break;
  }
  stack_.advance(now);
}

void StackDriver::output(Instant now) {
  now_ = now;
  for (;;) {
    if (!is_full()) {
      out_begin_ = 0;
      out_end_ = stack_.output(out_, now);
      if (out_end_ == 0) break;
      complete_checksums();
    }
    const auto waiting = std::span(out_).subspan(out_begin_, out_end_ - out_begin_);
    out_begin_ += device_->transmit(waiting);
    finish_holds();
    if (is_full()) break;
  }
  finish_holds();
  give_back();
}

void StackDriver::complete_checksums() {
  for (TxFrame& frame : std::span(out_).first(out_end_)) {
    const bool is_tcp = frame.checksum_pos == net::tcp_checksum_pos;
    if (!is_tcp || !completes_tcp_) net::complete_checksum(frame);
  }
}

void StackDriver::finish_holds() {
  std::array<std::uint32_t, burst_max> holds;
  for (std::size_t count = holds.size(); count == holds.size();) {
    count = device_->take_finished(holds);
    for (std::size_t i = 0; i < count; ++i) stack_.transmitted(holds[i]);
  }
}

Instant StackDriver::next_deadline() const {
  // What the stack has to say at once must wait behind what the device would not take.
  return std::min(is_full() ? now_ + transmit_retry : stack_.next_deadline(),
                  device_->next_deadline());
}

}  // namespace tailrace::io
