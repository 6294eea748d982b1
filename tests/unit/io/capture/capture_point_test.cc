#include "io/capture/capture_point.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "io/capture/capture_device.h"
#include "net/checksum.h"
#include "net/ethernet.h"
#include "net/ip.h"
#include "net/tcp_header.h"

namespace tailrace::io {
namespace {

const net::IpAddress us = net::IpAddress::v4(10, 0, 0, 1);
const net::IpAddress them = net::IpAddress::v4(10, 0, 0, 2);

// A segment as the stack makes it: the sum of the pseudo-header stands where the checksum belongs.
TxFrame segment(std::string_view payload) {
  TxFrame frame;
  std::byte* const at = frame.header.data();
  frame.link_bytes = static_cast<std::uint8_t>(net::store_ethernet(at, {}));
  frame.network_bytes = static_cast<std::uint8_t>(net::ip_bytes(us));
  net::TcpHeader header;
  header.source_port = 1;
  header.destination_port = 2;
  const std::size_t tcp = net::store_tcp(at + frame.link_bytes + frame.network_bytes, header, us,
                                         them, payload.size());
  net::store_ip(at + frame.link_bytes, {.source = us, .destination = them}, tcp + payload.size());
  frame.header_bytes = static_cast<std::uint16_t>(frame.link_bytes + frame.network_bytes + tcp);
  frame.checksum_pos = net::tcp_checksum_pos;
  frame.slices[0] = as_bytes(payload.substr(0, payload.size() / 2));
  frame.slices[1] = as_bytes(payload.substr(payload.size() / 2));
  frame.slice_count = 2;
  frame.payload_bytes = static_cast<std::uint32_t>(payload.size());
  return frame;
}

std::string bytes_of(const TxFrame& frame) {
  std::string bytes(as_text(Bytes(frame.header).first(frame.header_bytes)));
  for (const Bytes slice : frame.payload()) bytes += as_text(slice);
  return bytes;
}

bool is_sum_good(std::string_view frame) {
  return net::tcp_checksum_is_good(us, them, as_bytes(frame.substr(34)));
}

std::string take(CaptureRing& ring, CapturedFrame& about) {
  if (!ring.peek(about)) return {};
  std::string bytes(about.bytes, '\0');
  ring.take(about, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

TEST(CapturePoint, CompletesTheChecksumThatTheDeviceHasToDo) {
  CaptureRing ring(65'536, 65'536);
  CapturePoint point;
  point.start(ring);
  TxFrame frame = segment("what goes over the wire");
  ASSERT_FALSE(is_sum_good(bytes_of(frame)));
  point.transmitted({&frame, 1});
  CapturedFrame about;
  const std::string copy = take(ring, about);
  EXPECT_TRUE(is_sum_good(copy));
  EXPECT_TRUE(about.is_outbound);
  EXPECT_GT(about.time_ns, 1'500'000'000'000'000'000);
  EXPECT_EQ(about.original_bytes, frame.size());
  EXPECT_FALSE(is_sum_good(bytes_of(frame))) << "the frame itself is the device's";
  point.stop();
}

TEST(CapturePoint, ALongFrameStaysOneWithAGoodChecksum) {
  CaptureRing ring(65'536, 65'536);
  CapturePoint point;
  point.start(ring);
  const std::string payload(20'001, 'p');
  TxFrame frame = segment(payload);
  frame.segment_bytes = 1460;
  point.transmitted({&frame, 1});
  CapturedFrame about;
  const std::string copy = take(ring, about);
  EXPECT_EQ(copy.size(), frame.size());
  EXPECT_TRUE(is_sum_good(copy));
  point.stop();
}

TEST(CapturePoint, ChecksumsCountPayloadThatIsNotKept) {
  CaptureRing ring(65'536, 80);
  CapturePoint point;
  point.start(ring);
  const std::string payload(1000, 'p');
  TxFrame frame = segment(payload);
  point.transmitted({&frame, 1});
  net::complete_checksum(frame);
  CapturedFrame about;
  EXPECT_EQ(take(ring, about), bytes_of(frame).substr(0, 80));
  EXPECT_EQ(about.original_bytes, frame.size());
  point.stop();
}

TEST(CapturePoint, OfWhatWasReceivedOnlyAnUnfinishedChecksumIsDone) {
  CaptureRing ring(65'536, 65'536);
  CapturePoint point;
  point.start(ring);
  const std::string half = bytes_of(segment("from a peer on this machine"));
  std::string wrong = half;
  wrong[34 + net::tcp_checksum_pos] = static_cast<char>(~wrong[34 + net::tcp_checksum_pos]);
  const std::string other = "no IP at all";
  const std::vector<RxFrame> frames = {
      {.bytes = as_bytes(half), .checksum_good = true},
      {.bytes = as_bytes(wrong), .checksum_good = true},
      {.bytes = as_bytes(half), .checksum_good = false},   // a wire: it is what it is
      {.bytes = as_bytes(other), .checksum_good = true}};
  point.received(frames);
  CapturedFrame about;
  EXPECT_TRUE(is_sum_good(take(ring, about)));
  EXPECT_FALSE(about.is_outbound);
  EXPECT_EQ(take(ring, about), wrong);
  EXPECT_EQ(take(ring, about), half);
  EXPECT_EQ(take(ring, about), other);
  point.stop();
}

TEST(CapturePoint, OnlyBetweenStartAndStop) {
  CapturePoint point;
  const std::string bytes = "frame";
  const RxFrame frame{.bytes = as_bytes(bytes)};
  point.received({&frame, 1});
  CaptureRing ring(1024, 128);
  point.start(ring);
  EXPECT_TRUE(point.is_on());
  point.received({&frame, 1});
  point.stop();
  EXPECT_FALSE(point.is_on());
  point.received({&frame, 1});
  EXPECT_EQ(ring.offered(), 1u);
}

TEST(CapturePoint, AfterStopTheRingMayGo) {
  CapturePoint point;
  std::atomic<bool> is_done{false};
  std::thread device([&] {
    const std::string bytes(100, 'f');
    const RxFrame frame{.bytes = as_bytes(bytes)};
    while (!is_done) {
      if (point.is_on()) point.received({&frame, 1});
    }
  });
  std::uint64_t seen = 0;
  for (int i = 0; i < 2000; ++i) {
    auto ring = std::make_unique<CaptureRing>(1024, 128);
    point.start(*ring);
    std::this_thread::yield();
    point.stop();
    seen += ring->offered();
  }
  is_done = true;
  device.join();
  EXPECT_GT(seen, 0u);
}

// A device of which each call is told apart.
class FakeDevice final : public PacketDevice {
 public:
  const DeviceOffers& offers() const override { return offers_; }
  DeviceNumbers numbers() const override {
    DeviceNumbers numbers;
    numbers.sent_frames.add(5);
    return numbers;
  }
  void set_payload_memory(std::span<const MutableBytes> regions) override {
    regions_count = regions.size();
  }
  std::size_t receive(std::span<RxFrame> frames) override {
    frames[0] = {.bytes = as_bytes(arrived), .token = 7};
    return 1;
  }
  void release(std::span<const std::uint64_t> tokens) override { released = tokens[0]; }
  std::size_t transmit(std::span<const TxFrame> frames) override { return frames.size() - 1; }
  std::size_t take_finished(std::span<std::uint32_t> holds) override {
    holds[0] = 9;
    return 1;
  }
  bool failed() const override { return true; }
  Instant next_deadline() const override { return {42}; }

  std::string arrived = "arrived";
  std::uint64_t released = 0;
  std::size_t regions_count = 0;

 private:
  DeviceOffers offers_{.mtu = 1234};
};

TEST(CaptureDevice, PassesEverythingOnAndCopiesWhatPassed) {
  CapturePoint point;
  auto inner = std::make_unique<FakeDevice>();
  FakeDevice& fake = *inner;
  CaptureDevice device(std::move(inner), point);
  CaptureRing ring(4096, 128);
  point.start(ring);
  std::array<RxFrame, 4> in;
  EXPECT_EQ(device.receive(in), 1u);
  const std::array<TxFrame, 2> out = {segment("taken"), segment("offered again")};
  EXPECT_EQ(device.transmit(out), 1u);
  CapturedFrame about;
  EXPECT_EQ(take(ring, about), "arrived");
  EXPECT_NE(take(ring, about).find("taken"), std::string::npos);
  EXPECT_FALSE(ring.peek(about)) << "the other frame comes when the device takes it";
  EXPECT_EQ(device.offers().mtu, 1234);
  const std::uint64_t token = 7;
  device.release({&token, 1});
  EXPECT_EQ(fake.released, 7u);
  std::array<std::uint32_t, 1> holds;
  EXPECT_EQ(device.take_finished(holds), 1u);
  EXPECT_EQ(holds[0], 9u);
  EXPECT_EQ(device.numbers().sent_frames.load(), 5u);
  const std::array<MutableBytes, 3> regions{};
  device.set_payload_memory(regions);
  EXPECT_EQ(fake.regions_count, 3u);
  EXPECT_TRUE(device.failed());
  EXPECT_EQ(device.next_deadline(), Instant{42});
  point.stop();
}

}  // namespace
}  // namespace tailrace::io
