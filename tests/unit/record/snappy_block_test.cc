#include "record/snappy_block.h"

#include <gtest/gtest.h>
#include <snappy.h>

#include <string>

#include "base/prng.h"

namespace tailrace::record {
namespace {

// What the library makes of our bytes.
std::string there_and_back(SnappyBlockWriter& writer, const std::string& plain) {
  std::string packed(SnappyBlockWriter::bound(plain.size()), '\0');
  const std::size_t size =
      writer.compress(as_bytes(plain), reinterpret_cast<std::byte*>(packed.data()));
  std::string back;
  EXPECT_TRUE(snappy::Uncompress(packed.data(), size, &back));
  return back;
}

TEST(SnappyBlock, TheLibraryReadsWhatWeWrite) {
  SnappyBlockWriter writer;
  constexpr std::size_t sizes[] = {0, 1, 3, 4, 5, 59, 60, 61, 62, 255, 256, 257, 32768};
  for (const std::size_t size : sizes) {
    EXPECT_EQ(there_and_back(writer, std::string(size, 'a')), std::string(size, 'a')) << size;
  }
}

TEST(SnappyBlock, RandomMixturesSurvive) {
  Prng prng(1, "snappy");
  SnappyBlockWriter writer;
  for (int round = 0; round < 300; ++round) {
    std::string plain;
    const std::size_t size = prng.below(SnappyBlockWriter::block_bytes_max + 1);
    while (plain.size() < size) {
      if (!plain.empty() && prng.chance(1, 2)) {  // Something said before.
        const std::size_t from = prng.below(plain.size());
        plain += plain.substr(from, prng.between(1, 200));
      } else {
        for (std::uint64_t n = prng.between(1, 300); n > 0; --n) {
          plain += static_cast<char>(prng.below(256));
        }
      }
    }
    plain.resize(size);
    ASSERT_EQ(there_and_back(writer, plain), plain) << "round " << round;
  }
}

TEST(SnappyBlock, RepetitionShrinksAndNoiseHardlyGrows) {
  SnappyBlockWriter writer;
  std::string packed(SnappyBlockWriter::bound(SnappyBlockWriter::block_bytes_max), '\0');
  auto* to = reinterpret_cast<std::byte*>(packed.data());
  const std::string same(SnappyBlockWriter::block_bytes_max, 'z');
  EXPECT_LT(writer.compress(as_bytes(same), to), same.size() / 15);
  Prng prng(2, "snappy");
  std::string noise(SnappyBlockWriter::block_bytes_max, '\0');
  for (char& c : noise) c = static_cast<char>(prng.below(256));
  EXPECT_LT(writer.compress(as_bytes(noise), to), noise.size() + 64);
}

}  // namespace
}  // namespace tailrace::record
