// Decompression of anything at all stays within its bound; compression of anything comes back.
#include <algorithm>

#include "../support/fuzz_target.h"
#include "record/codec.h"

namespace {

using namespace tailrace;
using namespace tailrace::record;

constexpr std::size_t decompressed_bytes_max = 1 << 18;

struct Decoded {
  bool good = false;
  std::string bytes;
};

Decoded decode(Decoder& decoder, std::uint8_t codec, Bytes packed) {
  Decoded decoded;
  if (!decoder.start(codec, packed)) return decoded;
  while (true) {
    const MutableBytes window = decoder.window();
    const Result<std::size_t> made = decoder.next(window);
    if (!made) return decoded;
    TR_ASSERT(*made <= window.size());
    decoded.bytes += as_text(window.first(*made));
    TR_ASSERT(decoded.bytes.size() <= decompressed_bytes_max);
    if (*made == 0) break;
  }
  decoded.good = true;
  return decoded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Decoder decoder(decompressed_bytes_max);
  static Encoder encoder;
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  const auto codec = static_cast<std::uint8_t>(choice % 4 + 1);
  if ((choice & 4) == 0) {
    (void)decode(decoder, codec, input);
    return 0;
  }
  const std::int32_t level = choice / 8 - 2;
  std::vector<std::byte> packed(Encoder::bound(input.size()));
  const Result<std::size_t> made =
      encoder.compress(static_cast<Codec>(codec), level, input, packed);
  TR_ASSERT(made);
  const Decoded back = decode(decoder, codec, Bytes(packed).first(*made));
  if (input.size() > decompressed_bytes_max) return 0;
  TR_ASSERT(back.good);
  TR_ASSERT(back.bytes == as_text(input));
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  Encoder encoder;
  for (int codec = 1; codec <= 4; ++codec) {
    for (const std::size_t size : {0U, 1U, 100U, 70'000U}) {
      std::string plain;
      while (plain.size() < size) plain += "text " + std::to_string(plain.size());
      std::string packed(Encoder::bound(plain.size()) + 1, '\0');
      packed[0] = static_cast<char>(codec - 1);
      const MutableBytes room{reinterpret_cast<std::byte*>(packed.data()), packed.size()};
      const Result<std::size_t> made =
          encoder.compress(static_cast<Codec>(codec), -1, as_bytes(plain), room.subspan(1));
      packed.resize(*made + 1);
      seeds.push_back(packed);
      if (size == 100) seeds.push_back(static_cast<char>(codec + 3) + plain);
    }
  }
  // Raw snappy, which the encoder does not make.
  seeds.push_back(std::string("\x01\x1a\x20tailrace \x42\x09\x00", 15));
  return seeds;
}
