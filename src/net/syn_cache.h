// Handshakes under way of peers that connected to us: what must be remembered between our SYN-ACK
// and its ACK, at most 64 bytes each (RFC 4987, 3.6). When many are under way, nothing is
// remembered, and the sequence number of our SYN-ACK is a cookie (net/secrets.h).
#pragma once

#include <cstdint>

#include "base/time.h"
#include "net/address.h"
#include "net/pool.h"
#include "net/seq.h"
#include "net/tcp_header.h"

namespace tailrace::net {

struct HalfOpen {
  std::uint32_t next = none;
  IpAddress remote;
  std::uint16_t remote_port = 0;
  std::uint16_t local_port = 0;
  std::uint8_t local_address = 0;     // index among the interface's
  std::uint8_t listener = 0;
  std::uint8_t window_scale = no_window_scale;
  std::uint8_t tries = 0;
  std::uint16_t mss = 536;
  bool uses_timestamps : 1 = false;
  bool uses_sack : 1 = false;
  bool uses_ecn : 1 = false;
  Seq start;                          // ours
  Seq peer_start;
  std::uint32_t timestamp_recent = 0;
  std::uint32_t hash = 0;
  Instant began{};
};
static_assert(sizeof(HalfOpen) <= 64);

class SynCache {
 public:
  explicit SynCache(std::uint32_t capacity) : entries_(capacity) {}

  std::uint32_t take() {
    const std::uint32_t index = entries_.take();
    if (index != none) entries_[index] = {};
    return index;
  }
  void give(std::uint32_t index) { entries_.give(index); }
  HalfOpen& operator[](std::uint32_t index) { return entries_[index]; }
  std::uint32_t used_count() const { return entries_.used_count(); }

 private:
  Pool<HalfOpen> entries_;
};

}  // namespace tailrace::net
