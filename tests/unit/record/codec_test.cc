#include "record/codec.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zstd.h>

#include <string>
#include <vector>

#include "base/prng.h"

namespace tailrace::record {
namespace {

constexpr std::size_t bytes_max = 4 << 20;
constexpr Codec codecs[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

struct Decoded {
  std::string text;
  Errc error{};
};

Decoded decode(Decoder& decoder, Codec codec, std::string_view packed) {
  Decoded decoded;
  if (auto started = decoder.start(static_cast<std::uint8_t>(codec), as_bytes(packed)); !started) {
    decoded.error = started.error().code;
    return decoded;
  }
  while (true) {
    const MutableBytes window = decoder.window();
    const Result<std::size_t> made = decoder.next(window);
    if (!made) {
      decoded.error = made.error().code;
      return decoded;
    }
    if (*made == 0) return decoded;
    decoded.text += as_text(window.first(*made));
  }
}

std::string encode(Encoder& encoder, Codec codec, std::string_view plain, std::int32_t level = 0) {
  std::string packed(Encoder::bound(plain.size()), '\0');
  const Result<std::size_t> size = encoder.compress(
      codec, level, as_bytes(plain), {reinterpret_cast<std::byte*>(packed.data()), packed.size()});
  EXPECT_TRUE(size);
  packed.resize(size ? *size : 0);
  return packed;
}

std::string some_text(std::uint64_t seed, std::size_t size) {
  Prng prng(seed, "codec");
  std::string text;
  while (text.size() < size) text += "record " + std::to_string(prng.below(1000)) + ";";
  text.resize(size);
  return text;
}

// Frames made by the codecs' own command-line tools from `told`.
const std::string told = "tailrace tailrace tailrace";
const std::string made_by_gzip(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x49\xcc\xcc\x29\x4a\x4c\x4e\x55\x28\x41\x67\x00"
    "\x00\x07\x15\x43\x7d\x1a\x00\x00\x00", 32);
// The header is byte for byte that of Kafka's Java client: 64 KiB independent blocks, no sizes.
const std::string made_by_lz4(
    "\x04\x22\x4d\x18\x60\x40\x82\x12\x00\x00\x00\x98\x74\x61\x69\x6c\x72\x61\x63\x65\x20\x09\x00"
    "\x50\x6c\x72\x61\x63\x65\x00\x00\x00\x00", 33);
// Streamed: a window of 2 MiB and no content size, as Java's and librdkafka's.
const std::string made_by_zstd(
    "\x28\xb5\x2f\xfd\x00\x58\x7d\x00\x00\x48\x74\x61\x69\x6c\x72\x61\x63\x65\x20\x01\x00\x9c\xcb"
    "\x11", 24);
// By hand: 26 bytes, literal "tailrace ", copy of 17 from 9 back.
const std::string snappy_raw("\x1a\x20tailrace \x42\x09\x00", 14);
const std::string xerial_head("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01", 16);
const std::string snappy_xerial = xerial_head + std::string("\x00\x00\x00\x0e", 4) + snappy_raw;

TEST(Decoder, ReadsWhatOthersWrote) {
  Decoder decoder(bytes_max);
  EXPECT_EQ(decode(decoder, Codec::gzip, made_by_gzip).text, told);
  EXPECT_EQ(decode(decoder, Codec::lz4, made_by_lz4).text, told);
  EXPECT_EQ(decode(decoder, Codec::zstd, made_by_zstd).text, told);
  EXPECT_EQ(decode(decoder, Codec::snappy, snappy_raw).text, told);
  EXPECT_EQ(decode(decoder, Codec::snappy, snappy_xerial).text, told);
  const std::string two = snappy_xerial + snappy_xerial.substr(16);
  EXPECT_EQ(decode(decoder, Codec::snappy, two).text, told + told);
}

TEST(Decoder, ReadsSeveralMembersAndFramesInARow) {
  Decoder decoder(bytes_max);
  EXPECT_EQ(decode(decoder, Codec::gzip, made_by_gzip + made_by_gzip).text, told + told);
  EXPECT_EQ(decode(decoder, Codec::zstd, made_by_zstd + made_by_zstd).text, told + told);
}

TEST(Decoder, EveryTruncationIsCorrupt) {
  Decoder decoder(bytes_max);
  const std::pair<Codec, std::string> frames[] = {
      {Codec::gzip, made_by_gzip},   {Codec::lz4, made_by_lz4}, {Codec::zstd, made_by_zstd},
      {Codec::snappy, snappy_raw}};
  for (const auto& [codec, frame] : frames) {
    for (std::size_t size = codec == Codec::snappy ? 1 : 0; size < frame.size(); ++size) {
      const Decoded decoded = decode(decoder, codec, std::string_view(frame).substr(0, size));
      EXPECT_EQ(decoded.error, Errc::corrupt) << static_cast<int>(codec) << " at " << size;
    }
  }
  for (std::size_t size = 17; size < snappy_xerial.size(); ++size) {
    EXPECT_EQ(decode(decoder, Codec::snappy, snappy_xerial.substr(0, size)).error, Errc::corrupt);
  }
}

TEST(Decoder, BytesBehindTheEndAreCorrupt) {
  Decoder decoder(bytes_max);
  EXPECT_EQ(decode(decoder, Codec::gzip, made_by_gzip + "x").error, Errc::corrupt);
  EXPECT_EQ(decode(decoder, Codec::lz4, made_by_lz4 + "x").error, Errc::corrupt);
  EXPECT_EQ(decode(decoder, Codec::zstd, made_by_zstd + "x").error, Errc::corrupt);
  EXPECT_EQ(decode(decoder, Codec::snappy, snappy_raw + "x").error, Errc::corrupt);
}

TEST(Decoder, WorksAgainAfterAnError) {
  Decoder decoder(bytes_max);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(decode(decoder, Codec::gzip, made_by_gzip.substr(0, 20)).error, Errc::corrupt);
    EXPECT_EQ(decode(decoder, Codec::gzip, made_by_gzip).text, told);
    EXPECT_EQ(decode(decoder, Codec::lz4, made_by_lz4.substr(0, 20)).error, Errc::corrupt);
    EXPECT_EQ(decode(decoder, Codec::lz4, made_by_lz4).text, told);
    EXPECT_EQ(decode(decoder, Codec::zstd, made_by_zstd.substr(0, 20)).error, Errc::corrupt);
    EXPECT_EQ(decode(decoder, Codec::zstd, made_by_zstd).text, told);
  }
}

TEST(Decoder, UnknownCodecsAreNamed) {
  Decoder decoder(bytes_max);
  for (const std::uint8_t bits : std::initializer_list<std::uint8_t>{0, 5, 6, 7}) {
    EXPECT_EQ(decoder.start(bits, {}).error().code, Errc::unsupported_codec);
  }
}

// What Java's consumers cannot read must not get into a log.
TEST(Decoder, Lz4BlocksThatLeanOnEachOtherAreRefused) {
  const std::string text = some_text(1, 200'000);
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockLinked;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  std::string packed(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
  packed.resize(LZ4F_compressFrame(packed.data(), packed.size(), text.data(), text.size(),
                                   &preferences));
  Decoder decoder(bytes_max);
  EXPECT_EQ(decode(decoder, Codec::lz4, packed).error, Errc::corrupt);
}

TEST(Decoder, Lz4WithSizesAndChecksumsIsRead) {
  const std::string text = some_text(2, 300'000);
  for (const auto block_size : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.blockSizeID = block_size;
    preferences.frameInfo.contentSize = text.size();
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
    std::string packed(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
    packed.resize(LZ4F_compressFrame(packed.data(), packed.size(), text.data(), text.size(),
                                     &preferences));
    Decoder decoder(bytes_max);
    EXPECT_EQ(decode(decoder, Codec::lz4, packed).text, text);
    packed[packed.size() - 1] = static_cast<char>(packed.back() ^ 1);
    EXPECT_EQ(decode(decoder, Codec::lz4, packed).error, Errc::corrupt);
  }
}

// lz4's own reset keeps the size that a broken-off frame announced, and finds the next too short.
TEST(Decoder, ABrokenLz4FrameSpoilsNothingForTheNext) {
  const std::string text = some_text(9, 1000);
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.contentSize = text.size();
  std::string packed(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
  packed.resize(
      LZ4F_compressFrame(packed.data(), packed.size(), text.data(), text.size(), &preferences));
  Decoder decoder(bytes_max);
  EXPECT_EQ(decode(decoder, Codec::lz4, packed.substr(0, 30)).error, Errc::corrupt);
  EXPECT_EQ(decode(decoder, Codec::lz4, made_by_lz4).text, told);
}

TEST(Decoder, ZstandardsLargestWindowIsRead) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  const std::string text = some_text(3, 1'000'000);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue);  // So that the size stays unknown.
  ASSERT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0U);
  ZSTD_freeCCtx(context);
  Decoder decoder(bytes_max);
  EXPECT_EQ(decode(decoder, Codec::zstd, packed.substr(0, out.pos)).text, text);
}

TEST(Decoder, StopsAtItsLimitAndTakesExactlyThatMuch) {
  constexpr std::size_t limit = 200'000;
  Decoder decoder(limit);
  Encoder encoder;
  for (const Codec codec : codecs) {
    const std::string fits(limit, 'x');
    EXPECT_EQ(decode(decoder, codec, encode(encoder, codec, fits)).text.size(), limit);
    const std::string bomb(limit + 1, 'x');
    EXPECT_EQ(decode(decoder, codec, encode(encoder, codec, bomb)).error, Errc::too_large);
    const std::string large(50 * limit, 'x');
    const Decoded decoded = decode(decoder, codec, encode(encoder, codec, large));
    EXPECT_EQ(decoded.error, Errc::too_large);
    EXPECT_LE(decoded.text.size(), limit);
  }
  std::string raw;
  const std::string too_large(limit + 1, 'y');
  snappy::Compress(too_large.data(), too_large.size(), &raw);
  EXPECT_EQ(decode(decoder, Codec::snappy, raw).error, Errc::too_large);
  // A block that only says that it is large.
  EXPECT_EQ(decode(decoder, Codec::snappy, "\xff\xff\xff\xff\x0f").error, Errc::too_large);
}

TEST(Encoder, EveryLevelComesBack) {
  Decoder decoder(bytes_max);
  Encoder encoder;
  const std::string text = some_text(4, 150'000);
  for (const Codec codec : codecs) {
    for (const std::int32_t level : {-131072, -5, -1, 0, 1, 3, 6, 9, 12, 17, 22, 100}) {
      const std::string packed = encode(encoder, codec, text, level);
      ASSERT_EQ(decode(decoder, codec, packed).text, text) << static_cast<int>(codec) << level;
      EXPECT_LE(packed.size(), Encoder::bound(text.size()));
    }
  }
}

TEST(Encoder, AHigherLevelIsSmaller) {
  Encoder encoder;
  const std::string text = some_text(5, 500'000);
  const auto size = [&](Codec codec, std::int32_t level) {
    return encode(encoder, codec, text, level).size();
  };
  EXPECT_LT(size(Codec::gzip, 9), size(Codec::gzip, 1));
  EXPECT_LT(size(Codec::zstd, 19), size(Codec::zstd, 1));
  EXPECT_LT(size(Codec::zstd, 1), size(Codec::zstd, -5));
  EXPECT_LT(size(Codec::lz4, 12), size(Codec::lz4, 1));
  EXPECT_LT(size(Codec::lz4, 1), size(Codec::lz4, 9));
}

// What Kafka has for each codec when nobody says anything.
TEST(Encoder, KafkasDefaultLevelsAreTheCodecsOwn) {
  Encoder encoder;
  const std::string text = some_text(5, 200'000);
  for (const auto& [codec, level] : {std::pair(Codec::gzip, -1), std::pair(Codec::gzip, 6),
                                     std::pair(Codec::lz4, 9), std::pair(Codec::zstd, 3)}) {
    EXPECT_EQ(encode(encoder, codec, text, level), encode(encoder, codec, text, 0))
        << static_cast<int>(codec);
  }
}

TEST(Encoder, LevelsBeyondTheCodecsOwnAreItsLast) {
  Encoder encoder;
  const std::string text = some_text(5, 200'000);
  EXPECT_EQ(encode(encoder, Codec::lz4, text, 17), encode(encoder, Codec::lz4, text, 12));
  EXPECT_EQ(encode(encoder, Codec::gzip, text, 10), encode(encoder, Codec::gzip, text, 9));
  EXPECT_EQ(encode(encoder, Codec::zstd, text, 23), encode(encoder, Codec::zstd, text, 22));
  EXPECT_NE(encode(encoder, Codec::zstd, text, -1), encode(encoder, Codec::zstd, text, 3));
}

TEST(Encoder, NoiseOfEverySizeFitsTheBound) {
  Prng prng(6, "codec");
  Decoder decoder(bytes_max);
  Encoder encoder;
  for (const std::size_t size : {0U, 1U, 100U, 32768U, 65536U, 65537U, 1'000'000U}) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(prng.below(256));
    for (const Codec codec : codecs) {
      EXPECT_EQ(decode(decoder, codec, encode(encoder, codec, noise)).text, noise);
    }
  }
}

TEST(Encoder, TellsWhenThereIsNoRoom) {
  Encoder encoder;
  const std::string text = some_text(7, 10'000);
  std::vector<std::byte> room(64);
  for (const Codec codec : codecs) {
    const Result<std::size_t> made = encoder.compress(codec, -1, as_bytes(text), room);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::too_large);
    EXPECT_TRUE(encode(encoder, codec, text).size() > 0);  // And goes on afterwards.
  }
}

TEST(Encoder, SnappyIsFramedAsJavaFramesIt) {
  Encoder encoder;
  const std::string text = some_text(8, 70'000);
  std::string packed = encode(encoder, Codec::snappy, text);
  EXPECT_EQ(packed.substr(0, 16), xerial_head);
  std::string back;
  for (std::size_t at = 16; at < packed.size();) {
    const auto size = load_be<std::uint32_t>(reinterpret_cast<std::byte*>(packed.data()) + at);
    std::string block;
    ASSERT_TRUE(snappy::Uncompress(packed.data() + at + 4, size, &block));
    EXPECT_LE(block.size(), 32768U);
    back += block;
    at += 4 + size;
  }
  EXPECT_EQ(back, text);
}

TEST(Encoder, Lz4HasKafkasHeader) {
  Encoder encoder;
  EXPECT_EQ(encode(encoder, Codec::lz4, told).substr(0, 7), made_by_lz4.substr(0, 7));
}

}  // namespace
}  // namespace tailrace::record
