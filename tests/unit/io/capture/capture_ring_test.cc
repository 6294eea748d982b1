#include "io/capture/capture_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

namespace tailrace::io {
namespace {

void put(CaptureRing& ring, std::string_view first, std::string_view second = {},
         std::int64_t time_ns = 0) {
  const std::array<Bytes, 2> pieces = {as_bytes(first), as_bytes(second)};
  ring.put({.time_ns = time_ns,
            .original_bytes = static_cast<std::uint32_t>(first.size() + second.size())}, pieces);
}

// Empty: there is none.
std::string take(CaptureRing& ring, CapturedFrame& about) {
  if (!ring.peek(about)) return {};
  std::string bytes(about.bytes, '\0');
  ring.take(about, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

TEST(CaptureRing, GivesWhatWasPutInOrder) {
  CaptureRing ring(1024, 100);
  put(ring, "one", "", 1);
  put(ring, "tw", "o", 2);
  CapturedFrame about;
  EXPECT_EQ(take(ring, about), "one");
  EXPECT_EQ(about.time_ns, 1);
  EXPECT_EQ(take(ring, about), "two");
  EXPECT_EQ(about.time_ns, 2);
  EXPECT_FALSE(ring.peek(about));
}

TEST(CaptureRing, KeepsTheBeginningOfALongFrame) {
  CaptureRing ring(1024, 5);
  put(ring, "abc", "defgh");
  CapturedFrame about;
  EXPECT_EQ(take(ring, about), "abcde");
  EXPECT_EQ(about.original_bytes, 8u);
  put(ring, "abcdefgh", "i");
  EXPECT_EQ(take(ring, about), "abcde");
  EXPECT_EQ(about.original_bytes, 9u);
}

TEST(CaptureRing, CountsWhatHasNoRoomAndGoesOn) {
  CaptureRing ring(256, 256);
  const std::string frame(80, 'x');
  for (int i = 0; i < 5; ++i) put(ring, frame);
  EXPECT_EQ(ring.offered(), 5u);
  EXPECT_EQ(ring.dropped(), 3u);
  CapturedFrame about;
  EXPECT_EQ(take(ring, about), frame);
  put(ring, "next");
  EXPECT_EQ(ring.dropped(), 3u);
  EXPECT_EQ(take(ring, about), frame);
  EXPECT_EQ(take(ring, about), "next");
}

TEST(CaptureRing, GoesRoundWithFramesOfAnyLength) {
  CaptureRing ring(512, 200);
  CapturedFrame about;
  for (std::size_t size = 1; size < 2000; ++size) {
    const std::string frame(size % 199 + 1, static_cast<char>('a' + size % 26));
    put(ring, std::string_view(frame).substr(0, size % frame.size()),
        std::string_view(frame).substr(size % frame.size()));
    ASSERT_EQ(take(ring, about), frame);
  }
  EXPECT_EQ(ring.dropped(), 0u);
}

TEST(CaptureRing, OneThreadPutsAndAnotherTakes) {
  CaptureRing ring(4096, 256);
  constexpr int count = 100'000;
  std::atomic<bool> is_done{false};
  std::thread putter([&] {
    for (int i = 0; i < count; ++i) {
      const std::string frame(static_cast<std::size_t>(i % 200 + 1), static_cast<char>(i));
      put(ring, frame, "", i);
    }
    is_done = true;
  });
  std::int64_t last = -1;
  std::uint64_t taken = 0;
  CapturedFrame about;
  while (true) {
    const bool was_done = is_done;
    const std::string bytes = take(ring, about);
    if (bytes.empty() && was_done) break;
    if (bytes.empty()) continue;
    ASSERT_LT(last, about.time_ns);
    last = about.time_ns;
    ASSERT_EQ(bytes, std::string(static_cast<std::size_t>(last % 200 + 1),
                                 static_cast<char>(last)));
    ++taken;
  }
  putter.join();
  EXPECT_EQ(taken + ring.dropped(), ring.offered());
  EXPECT_EQ(ring.offered(), static_cast<std::uint64_t>(count));
}

}  // namespace
}  // namespace tailrace::io
