#include "io/capture/capture_point.h"

#include <array>
#include <chrono>
#include <thread>

#include "base/assert.h"
#include "net/checksum.h"
#include "net/ethernet.h"
#include "net/ip.h"
#include "net/tcp_header.h"

namespace tailrace::io {
namespace {

std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch()).count();
}

// The TCP segment of a frame whose checksum is only begun: the field holds the sum of the
// pseudo-header and nothing else. Empty: it is none.
Bytes unfinished_segment(Bytes frame) {
  const auto ethernet = net::parse_ethernet(frame);
  if (!ethernet) return {};
  const net::EtherType type = ethernet->header.type;
  if (type != net::EtherType::ipv4 && type != net::EtherType::ipv6) return {};
  const net::IpPacket packet = type == net::EtherType::ipv4
                                   ? net::parse_ipv4(ethernet->payload, true)
                                   : net::parse_ipv6(ethernet->payload);
  if (!packet.is_good() || packet.header.protocol != net::IpProtocol::tcp ||
      packet.payload.size() < net::tcp_header_bytes) {
    return {};
  }
  net::ChecksumSum sum;
  sum.add_pseudo_header(packet.header.source, packet.header.destination,
                        static_cast<std::uint8_t>(net::IpProtocol::tcp),
                        static_cast<std::uint32_t>(packet.payload.size()));
  std::uint16_t found;
  std::memcpy(&found, packet.payload.data() + net::tcp_checksum_pos, sizeof found);
  return found == sum.folded() ? packet.payload : Bytes{};
}

void put(CaptureRing& ring, const RxFrame& frame, std::int64_t time_ns) {
  const CapturedFrame about{.time_ns = time_ns,
                            .original_bytes = static_cast<std::uint32_t>(frame.bytes.size())};
  const Bytes segment = frame.checksum_good ? unfinished_segment(frame.bytes) : Bytes{};
  if (segment.empty()) {
    ring.put(about, {{frame.bytes}});
    return;
  }
  const std::uint16_t sum = net::checksum_of(segment);
  const auto at = static_cast<std::size_t>(segment.data() - frame.bytes.data()) +
                  net::tcp_checksum_pos;
  const std::array<Bytes, 3> pieces = {frame.bytes.first(at), std::as_bytes(std::span(&sum, 1)),
                                       frame.bytes.subspan(at + sizeof sum)};
  ring.put(about, pieces);
}

void put(CaptureRing& ring, const TxFrame& original, std::int64_t time_ns) {
  TxFrame frame = original;
  frame.segment_bytes = 0;
  net::complete_checksum(frame);
  std::array<Bytes, 1 + frame_slices_max> pieces;
  pieces[0] = Bytes(frame.header).first(frame.header_bytes);
  std::size_t count = 1;
  for (const Bytes slice : frame.payload()) pieces[count++] = slice;
  ring.put({.time_ns = time_ns,
            .original_bytes = static_cast<std::uint32_t>(frame.size()),
            .is_outbound = true},
           std::span(pieces).first(count));
}

}  // namespace

CaptureRing* CapturePoint::enter() {
  is_inside_.store(true, std::memory_order_seq_cst);
  CaptureRing* const ring = ring_.load(std::memory_order_seq_cst);
  if (ring == nullptr) leave();
  return ring;
}

template <class Frame>
void CapturePoint::record(std::span<const Frame> frames) {
  if (frames.empty()) return;
  CaptureRing* const ring = enter();
  if (ring == nullptr) return;
  const std::int64_t time_ns = wall_ns();
  for (const Frame& frame : frames) put(*ring, frame, time_ns);
  leave();
}

void CapturePoint::received(std::span<const RxFrame> frames) { record(frames); }
void CapturePoint::transmitted(std::span<const TxFrame> frames) { record(frames); }

void CapturePoint::start(CaptureRing& ring) {
  TR_ASSERT(!is_on());
  ring_.store(&ring, std::memory_order_seq_cst);
}

void CapturePoint::stop() {
  ring_.store(nullptr, std::memory_order_seq_cst);
  while (is_inside_.load(std::memory_order_seq_cst)) std::this_thread::yield();
}

}  // namespace tailrace::io
