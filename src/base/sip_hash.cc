#include "base/sip_hash.h"

#include <bit>
#include <cstring>

namespace tailrace {
namespace {

static_assert(std::endian::native == std::endian::little);

std::uint64_t load(const void* from) {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

struct State {
  std::uint64_t v0;
  std::uint64_t v1;
  std::uint64_t v2;
  std::uint64_t v3;

  void rounds(int count) {
    for (; count > 0; --count) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32) + v3;
      v2 += v1;
      v3 = std::rotl(v3, 21) ^ v0;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  std::uint64_t result() const { return v0 ^ v1 ^ v2 ^ v3; }
};

}  // namespace

Hash128 sip_hash_128(const SipKey& key, Bytes bytes) {
  const std::uint64_t k0 = load(key.data());
  const std::uint64_t k1 = load(key.data() + 8);
  State s{k0 ^ 0x736f'6d65'7073'6575U, k1 ^ 0x646f'7261'6e64'6f6dU ^ 0xeeU,
          k0 ^ 0x6c79'6765'6e65'7261U, k1 ^ 0x7465'6462'7974'6573U};
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) s.take(load(bytes.data() + at));
  std::uint64_t last = std::uint64_t{bytes.size()} << 56;
  // An empty span may have no address at all.
  if (at < bytes.size()) std::memcpy(&last, bytes.data() + at, bytes.size() - at);
  s.take(last);
  s.v2 ^= 0xeeU;
  s.rounds(4);
  Hash128 hash;
  hash.low = s.result();
  s.v1 ^= 0xddU;
  s.rounds(4);
  hash.high = s.result();
  return hash;
}

}  // namespace tailrace
