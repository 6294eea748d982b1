#include "net/receive_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <vector>

#include "base/prng.h"

namespace tailrace::net {
namespace {

constexpr std::uint32_t stream_size = 2000;

std::array<std::byte, stream_size> the_stream() {
  std::array<std::byte, stream_size> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

// Whatever pieces come in whatever order: the stream is put together, and every frame comes back.
TEST(receive_queue, puts_any_pieces_together) {
  const auto stream = the_stream();
  for (std::uint64_t seed = 1; seed < 200; ++seed) {
    Prng prng(seed);
    ReceiveMemory memory(64, 4096);
    ReceiveQueue queue;
    const Seq start{static_cast<std::uint32_t>(0xffff'ff00U + prng.below(512))};
    Seq next = start;
    std::map<std::uint64_t, int> frames;
    std::vector<std::byte> got;
    std::uint64_t token = 0;
    const auto take = [&] {
      while (queue.head != none) {
        const Piece piece = memory.pop(queue);
        got.insert(got.end(), piece.at, piece.at + piece.size);
        EXPECT_EQ(frames.erase(piece.token), 1U);
      }
      for (const std::uint64_t released : memory.take_released()) {
        EXPECT_EQ(frames.erase(released), 1U);
      }
    };
    for (int step = 0; step < 3000 && got.size() < stream_size; ++step) {
      // One in three continues the stream or lies a little before its end.
      const std::uint32_t known = next - start;
      const auto from = static_cast<std::uint32_t>(
          prng.chance(1, 3) ? known - std::min<std::uint64_t>(known, prng.below(50))
                            : prng.below(stream_size));
      if (from >= stream_size) continue;
      const std::uint32_t size =
          std::min(static_cast<std::uint32_t>(prng.between(1, 200)), stream_size - from);
      Bytes bytes = Bytes(stream).subspan(from, size);
      const Seq seq = start + from;
      frames[++token] = 1;
      if (seq + size <= next) {
        frames.erase(token);
        continue;
      }
      if (seq <= next) {
        bytes = bytes.subspan(next - seq);
        ASSERT_TRUE(memory.append(queue, bytes, token));
        next = memory.join(queue, next + static_cast<std::uint32_t>(bytes.size()));
      } else if (!memory.insert_early(queue, seq, bytes, token, 32)) {
        frames.erase(token);
      }
      ASSERT_LE(queue.early_count, 32U);
      take();
    }
    take();
    memory.drop_all(queue);
    take();
    EXPECT_EQ(got.size(), stream_size);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), stream.begin()));
    EXPECT_TRUE(frames.empty());
    EXPECT_EQ(memory.pieces_used(), 0U);
  }
}

TEST(receive_queue, a_frame_that_covers_others_takes_their_place) {
  const auto stream = the_stream();
  ReceiveMemory memory(8, 64);
  ReceiveQueue queue;
  EXPECT_TRUE(memory.insert_early(queue, {10}, Bytes(stream).first(5), 1, 8));
  EXPECT_TRUE(memory.insert_early(queue, {20}, Bytes(stream).first(5), 2, 8));
  EXPECT_TRUE(memory.insert_early(queue, {8}, Bytes(stream).first(30), 3, 8));
  EXPECT_EQ(queue.early_count, 1U);
  EXPECT_EQ(memory.take_released().size(), 2U);
  EXPECT_FALSE(memory.insert_early(queue, {9}, Bytes(stream).first(4), 4, 8));
}

TEST(receive_queue, is_bounded) {
  const auto stream = the_stream();
  ReceiveMemory memory(8, 64);
  ReceiveQueue queue;
  EXPECT_TRUE(memory.insert_early(queue, {10}, Bytes(stream).first(1), 1, 2));
  EXPECT_TRUE(memory.insert_early(queue, {20}, Bytes(stream).first(1), 2, 2));
  EXPECT_FALSE(memory.insert_early(queue, {30}, Bytes(stream).first(1), 3, 2));
}

}  // namespace
}  // namespace tailrace::net
