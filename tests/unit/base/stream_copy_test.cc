#include "base/stream_copy.h"

#include <gtest/gtest.h>

#include <vector>

namespace tailrace {
namespace {

TEST(StreamCopy, copies_every_size_from_and_to_every_alignment) {
  std::vector<std::byte> source(1600);
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::byte>(i * 7 + 1);
  for (std::size_t from = 0; from < 64; from += 7) {
    for (std::size_t to = 0; to < 64; to += 3) {
      for (std::size_t size = 960; size <= 1280; size += 31) {
        std::vector<std::byte> target(1600);
        stream_copy(target.data() + to, Bytes(source).subspan(from, size));
        for (std::size_t i = 0; i < target.size(); ++i) {
          const bool inside = i >= to && i < to + size;
          ASSERT_EQ(target[i], inside ? source[from + i - to] : std::byte{0}) << i;
        }
      }
    }
  }
}

TEST(StreamCopy, of_nothing_touches_nothing) { stream_copy(nullptr, {}); }

}  // namespace
}  // namespace tailrace
