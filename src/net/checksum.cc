#include "net/checksum.h"

#include "base/assert.h"

namespace tailrace::net {
namespace {

// Four words of 64 bits: one register with AVX2, two without.
using Lanes [[gnu::vector_size(32)]] = std::uint64_t;
constexpr std::size_t lanes_bytes = sizeof(Lanes);

// The blocks of 64 bytes that `bytes` begins with. Both halves of a word are added into 64 bits,
// which have room for the carries of 16 GiB.
[[gnu::always_inline]] inline std::uint64_t sum_blocks(const std::byte* at, std::size_t blocks) {
  Lanes low{};
  Lanes high{};
  for (; blocks > 0; --blocks, at += 2 * lanes_bytes) {
    Lanes first;
    Lanes second;
    std::memcpy(&first, at, lanes_bytes);
    std::memcpy(&second, at + lanes_bytes, lanes_bytes);
    low += (first & 0xffff'ffffU) + (second & 0xffff'ffffU);
    high += (first >> 32) + (second >> 32);
  }
  const Lanes both = low + high;
  return both[0] + both[1] + both[2] + both[3];
}

std::uint64_t sum_blocks_plain(const std::byte* at, std::size_t blocks) {
  return sum_blocks(at, blocks);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] std::uint64_t sum_blocks_avx2(const std::byte* at, std::size_t blocks) {
  return sum_blocks(at, blocks);
}
const auto sum_blocks_best =
    __builtin_cpu_supports("avx2") != 0 ? sum_blocks_avx2 : sum_blocks_plain;
#else
constexpr auto sum_blocks_best = sum_blocks_plain;
#endif

// In words as they lie in memory: the sum of swapped words is the swapped sum (RFC 1071, 2.B).
std::uint64_t sum_of(Bytes bytes) {
  constexpr std::size_t block_bytes = 2 * lanes_bytes;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t sum = 0;
  if (left >= block_bytes) {
    sum = sum_blocks_best(at, left / block_bytes);
    at += left / block_bytes * block_bytes;
    left %= block_bytes;
  }
  for (; left >= 4; left -= 4, at += 4) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    sum += word;
  }
  if (left > 0) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, left);
    sum += word;
  }
  return sum;
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

void ChecksumSum::add(Bytes bytes) {
  if (bytes.empty()) return;
  std::uint16_t sum = fold(sum_of(bytes));
  if (is_odd_) sum = byte_swapped(sum);
  sum_ += sum;
  is_odd_ ^= (bytes.size() & 1) != 0;
}

std::uint16_t checksum_of(Bytes bytes) {
  ChecksumSum sum;
  sum.add(bytes);
  return sum.checksum();
}

void complete_checksum(TxFrame& frame) {
  if (frame.checksum_pos == 0) return;
  TR_ASSERT(frame.segment_bytes == 0);
  const std::size_t start = std::size_t{frame.link_bytes} + frame.network_bytes;
  ChecksumSum sum;
  sum.add(Bytes(frame.header).subspan(start, frame.header_bytes - start));
  for (const Bytes slice : frame.payload()) sum.add(slice);
  store_checksum(frame.header.data() + start + frame.checksum_pos, sum.checksum());
  frame.checksum_pos = 0;
}

}  // namespace tailrace::net
