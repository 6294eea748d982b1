#include "base/uuid.h"

#include <gtest/gtest.h>

namespace tailrace {
namespace {

TEST(Uuid, TextFormRoundTrips) {
  Prng prng(7, "uuid");
  for (int i = 0; i < 1000; ++i) {
    const Uuid id = random_uuid(prng);
    const std::string text = to_string(id);
    ASSERT_EQ(text.size(), 22u);
    ASSERT_EQ(uuid_from_text(text).value(), id);
  }
}

TEST(Uuid, TextFormIsBase64Url) {
  Uuid id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(to_string(id), "AAECAwQFBgcICQoLDA0ODw");
  EXPECT_EQ(to_string(Uuid{}), "AAAAAAAAAAAAAAAAAAAAAA");
}

TEST(Uuid, RefusesOtherTexts) {
  EXPECT_FALSE(uuid_from_text("").has_value());
  EXPECT_FALSE(uuid_from_text("AAECAwQFBgcICQoLDA0OD").has_value());
  EXPECT_FALSE(uuid_from_text("AAECAwQFBgcICQoLDA0OD!").has_value());
}

}  // namespace
}  // namespace tailrace
