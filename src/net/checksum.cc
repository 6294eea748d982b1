#include "net/checksum.h"

#include "base/assert.h"

namespace tailrace::net {
namespace {

// In words as they lie in memory: the sum of swapped words is the swapped sum (RFC 1071, 2.B).
// Adding 32-bit words into 64 bits has room for the carries of 16 GiB.
std::uint64_t sum_of(Bytes bytes) {
  std::uint64_t sum = 0;
  std::uint64_t other = 0;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 16; left -= 16, at += 16) {
    std::uint64_t words[2];
    std::memcpy(words, at, 16);
    sum += (words[0] & 0xffff'ffffU) + (words[0] >> 32);
    other += (words[1] & 0xffff'ffffU) + (words[1] >> 32);
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
  return sum + other;
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

void ChecksumSum::add_number(std::uint32_t number) { sum_ += byte_swapped(number); }

void ChecksumSum::add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                                    std::uint8_t protocol, std::uint32_t length) {
  const std::size_t from = source.is_v4() ? 12 : 0;
  add(::tailrace::Bytes(reinterpret_cast<const std::byte*>(source.bytes.data()) + from, 16 - from));
  add(::tailrace::Bytes(reinterpret_cast<const std::byte*>(destination.bytes.data()) + from,
                        16 - from));
  add_number(length);
  add_number(protocol);
}

std::uint16_t ChecksumSum::folded() const { return fold(sum_); }

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
