#include "kafka/errors.h"

#include <gtest/gtest.h>

#include <string_view>

namespace tailrace::kafka {
namespace {

TEST(Errors, EveryErrorOfOursHasACodeForClients) {
  int count = 0;
  for (std::uint16_t number = 1; std::string_view(to_string(Errc{number})) != "unknown"; ++number) {
    EXPECT_NE(to_error_code(Errc{number}), ErrorCode::unknown_server_error)
        << to_string(Errc{number});
    ++count;
  }
  EXPECT_GE(count, 21);
}

TEST(Errors, ADuplicateIsNoErrorAndItsNumbersAreKafkas) {
  EXPECT_EQ(to_wire(to_error_code(Errc::duplicate)), 0);
  EXPECT_EQ(to_wire(to_error_code(Errc::corrupt)), 2);
  EXPECT_EQ(to_wire(to_error_code(Errc::too_large)), 10);
  EXPECT_EQ(to_wire(to_error_code(Errc::invalid_timestamp)), 32);
  EXPECT_EQ(to_wire(to_error_code(Errc::out_of_order)), 45);
  EXPECT_EQ(to_wire(to_error_code(Errc::stale_epoch)), 47);
  EXPECT_EQ(to_wire(to_error_code(Errc::unsupported_codec)), 76);
  EXPECT_EQ(to_wire(to_error_code(Errc::malformed)), 87);
}

}  // namespace
}  // namespace tailrace::kafka
