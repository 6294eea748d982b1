// Frames that belong to no connection and wait to go out: ARP and neighbour discovery, SYN-ACKs of
// half-open handshakes, resets, ACKs of TIME-WAIT, echo replies. Bounded: what does not fit is not
// sent, and its receiver asks again.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "net/address.h"
#include "net/ethernet.h"
#include "net/ip.h"
#include "net/pool.h"

namespace tailrace::net {

struct ControlFrame {
  std::uint32_t next = none;
  EtherType type = EtherType::ipv4;
  IpAddress destination;             // whose link address is wanted ...
  MacAddress mac;                    // ... unless it is known
  std::uint8_t network_bytes = 0;    // of data: the IP header
  std::uint8_t checksum_pos = 0;     // as in TxFrame
  std::uint8_t data_bytes = 0;
  std::array<std::byte, ipv6_bytes + 60> data;
  // An echo sends back what it got, from where it lies; the frame is held until then.
  Bytes echoed;
  std::uint64_t echoed_token = 0;
};

class ControlQueue {
 public:
  explicit ControlQueue(std::uint32_t capacity) : frames_(capacity) {}

  // A frame to fill and then to push (or discard), or none.
  std::uint32_t take() {
    const std::uint32_t index = frames_.take();
    if (index != none) frames_[index] = {};
    return index;
  }
  ControlFrame& operator[](std::uint32_t index) { return frames_[index]; }
  void push(std::uint32_t index) {
    frames_[index].next = none;
    if (tail_ != none) frames_[tail_].next = index;
    if (head_ == none) head_ = index;
    tail_ = index;
  }
  bool empty() const { return head_ == none; }
  std::uint32_t pop() {
    const std::uint32_t index = head_;
    head_ = frames_[index].next;
    if (head_ == none) tail_ = none;
    return index;
  }
  void discard(std::uint32_t index) { frames_.give(index); }

 private:
  Pool<ControlFrame> frames_;
  std::uint32_t head_ = none;
  std::uint32_t tail_ = none;
};

}  // namespace tailrace::net
