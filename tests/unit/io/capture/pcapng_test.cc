#include "io/capture/pcapng.h"

#include <gtest/gtest.h>

#include <vector>

namespace tailrace::io {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (i > 0 && i % 4 == 0) text += ' ';
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// Written out by hand from draft-ietf-opsawg-pcapng.

TEST(Pcapng, ASectionBegins) {
  std::string file;
  append_section_header(file, "abcde");
  EXPECT_EQ(hex(file),
            "0a0d0d0a 2c000000 4d3c2b1a 01000000 ffffffff ffffffff "   // 1.0, of any length
            "04000500 61626364 65000000 "                              // the application
            "00000000 2c000000");
}

TEST(Pcapng, AnInterfaceCountsInNanoseconds) {
  std::string file;
  append_interface(file, "tap0", 256);
  EXPECT_EQ(hex(file),
            "01000000 28000000 01000000 00010000 "   // Ethernet, 256 bytes of each frame
            "02000400 74617030 "                     // its name
            "09000100 09000000 "                     // 10^-9
            "00000000 28000000");
}

TEST(Pcapng, APacketTellsWhenWhereAndHowLong) {
  std::string file;
  append_packet(file, 3,
                {.time_ns = 0x0123'4567'89ab'cdef, .original_bytes = 1500, .is_outbound = true},
                as_bytes("frame"));
  EXPECT_EQ(hex(file),
            "06000000 34000000 03000000 "
            "67452301 efcdab89 "                     // the time's higher half first
            "05000000 dc050000 "
            "6672616d 65000000 "
            "02000400 02000000 "                     // outbound
            "00000000 34000000");
}

TEST(Pcapng, StatisticsTellWhatWasDropped) {
  std::string file;
  append_statistics(file, {.interface = 1, .began_ns = 2, .ended_ns = 3, .received = 4,
                           .dropped = 5});
  EXPECT_EQ(hex(file),
            "05000000 4c000000 01000000 00000000 03000000 "
            "02000800 00000000 02000000 "
            "03000800 00000000 03000000 "
            "04000800 04000000 00000000 "
            "05000800 05000000 00000000 "
            "00000000 4c000000");
}

}  // namespace
}  // namespace tailrace::io
