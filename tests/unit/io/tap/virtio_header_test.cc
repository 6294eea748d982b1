#include "io/tap/virtio_header.h"

#include <gtest/gtest.h>

namespace tailrace::io {
namespace {

TxFrame tcp_frame(std::uint8_t network_bytes, std::uint32_t payload_bytes) {
  TxFrame frame;
  frame.link_bytes = 14;
  frame.network_bytes = network_bytes;
  frame.header[14] = network_bytes == 40 ? std::byte{0x60} : std::byte{0x45};
  frame.header_bytes = static_cast<std::uint16_t>(14 + network_bytes + 32);
  frame.checksum_pos = 16;
  frame.payload_bytes = payload_bytes;
  frame.segment_bytes = 1448;
  return frame;
}

TEST(VirtioHeader, NamesTheChecksumThatIsToDo) {
  const VirtioHeader header = virtio_header_of(tcp_frame(20, 100));
  EXPECT_EQ(header.flags, VirtioHeader::needs_checksum);
  EXPECT_EQ(header.checksum_start, 34);
  EXPECT_EQ(header.checksum_pos, 16);
  EXPECT_EQ(header.gso_type, 0) << "one segment is not cut";
}

TEST(VirtioHeader, NamesTheSegmentsThatALongFrameIsCutInto) {
  const VirtioHeader v4 = virtio_header_of(tcp_frame(20, 1449));
  EXPECT_EQ(v4.gso_type, VirtioHeader::gso_tcp_v4);
  EXPECT_EQ(v4.gso_bytes, 1448);
  EXPECT_EQ(v4.header_bytes, 66);
  const VirtioHeader v6 = virtio_header_of(tcp_frame(40, 60'000));
  EXPECT_EQ(v6.gso_type, VirtioHeader::gso_tcp_v6);
  EXPECT_EQ(v6.checksum_start, 54);
}

TEST(VirtioHeader, AFrameWithoutAChecksumIsLeftAlone) {
  TxFrame arp;
  arp.header_bytes = 42;
  const VirtioHeader header = virtio_header_of(arp);
  EXPECT_EQ(header.flags, 0);
  EXPECT_EQ(header.gso_type, 0);
}

TEST(VirtioHeader, TellsWhichFramesNeedNoLook) {
  EXPECT_FALSE(VirtioHeader{}.is_checksum_good());
  EXPECT_TRUE((VirtioHeader{.flags = VirtioHeader::needs_checksum}).is_checksum_good())
      << "it never left this machine";
  EXPECT_TRUE((VirtioHeader{.flags = VirtioHeader::checksum_valid}).is_checksum_good());
}

}  // namespace
}  // namespace tailrace::io
