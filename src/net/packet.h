// A received frame, taken apart: from Ethernet to the segment, and whether it is for us at all.
#pragma once

#include <cstdint>

#include "base/frame.h"
#include "net/address.h"
#include "net/counters.h"
#include "net/interface.h"
#include "net/ip.h"
#include "net/pool.h"
#include "net/tcp_header.h"

namespace tailrace::net {

struct Packet {
  enum class Kind : std::uint8_t { dropped, arp, icmp, tcp };
  Kind kind = Kind::dropped;
  std::uint64_t token = 0;
  Flow flow;                       // these three of tcp only,
  TcpSegment segment;
  IpHeader ip;                     // ... of which alone ecn is set
  bool checksum_good = false;      // these of the other kinds
  MacAddress source;
  Bytes payload;
  // The stack's: what it knows of the flow before it processes the segment.
  std::uint32_t hash = 0;
  std::uint32_t expected = none;   // the connection that it most likely is
};

// What nearly every frame is, without looking at anything twice: good TCP over IPv4 to our first
// address. False: parse_packet() looks closer; it comes to the same for such a frame.
bool parse_plain(const RxFrame& frame, const Interface& interface, Packet& packet);
// Any frame. Returns why it is dropped, or frames_in.
Count parse_packet(const RxFrame& frame, const Interface& interface, Packet& packet);

}  // namespace tailrace::net
