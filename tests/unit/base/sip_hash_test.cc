#include "base/sip_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace tailrace {
namespace {

SipKey counting_key() {
  SipKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  return key;
}

std::string hex(const Hash128& hash) {
  std::string text;
  for (const std::uint64_t half : {hash.low, hash.high}) {
    for (int i = 0; i < 8; ++i) {
      constexpr char digits[] = "0123456789abcdef";
      const auto byte = static_cast<std::uint8_t>(half >> (8 * i));
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
  }
  return text;
}

// From the reference's table: messages of 0, 1, 2, ... counting up.
TEST(SipHashTest, GivesWhatTheReferenceGives) {
  const std::vector<std::byte> message = {std::byte{0}, std::byte{1}};
  EXPECT_EQ(hex(sip_hash_128(counting_key(), {})), "a3817f04ba25a8e66df67214c7550293");
  EXPECT_EQ(hex(sip_hash_128(counting_key(), Bytes(message).first(1))),
            "da87c1d86b99af44347659119b22fc45");
  EXPECT_EQ(hex(sip_hash_128(counting_key(), Bytes(message))), "8177228da4a45dc7fca38bdef60affe4");
}

TEST(SipHashTest, EveryByteAndTheLengthAndTheKeyCount) {
  std::set<std::string> seen;
  std::vector<std::byte> message(40);
  for (std::size_t size = 0; size <= message.size(); ++size) {
    EXPECT_TRUE(seen.insert(hex(sip_hash_128({}, Bytes(message).first(size)))).second);
  }
  for (std::byte& byte : message) {
    byte = std::byte{1};
    EXPECT_TRUE(seen.insert(hex(sip_hash_128({}, Bytes(message)))).second);
  }
  EXPECT_TRUE(seen.insert(hex(sip_hash_128(counting_key(), Bytes(message)))).second);
}

}  // namespace
}  // namespace tailrace
