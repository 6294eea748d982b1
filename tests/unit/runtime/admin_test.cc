#include "runtime/admin.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

TEST(Admin, ServesItsPages) {
  std::string why;
  const auto admin = Admin::listen(
      "127.0.0.1:0",
      {.metrics = [] { return std::string("m 1\n"); },
       .status = [] { return std::string("ok\n"); }},
      why);
  ASSERT_NE(admin, nullptr) << why;
  const std::string address = "127.0.0.1:" + std::to_string(admin->port());
  std::string text;
  EXPECT_TRUE(admin_get(address, "/metrics", text));
  EXPECT_EQ(text, "m 1\n");
  EXPECT_TRUE(admin_get(address, "/status", text));
  EXPECT_EQ(text, "ok\n");
  EXPECT_TRUE(admin_get(address, "/", text));
  EXPECT_EQ(text, "try /metrics or /status\n");
}

TEST(Admin, SaysWhyItCannotListen) {
  std::string why;
  EXPECT_EQ(Admin::listen("localhost:1", {}, why), nullptr);
  EXPECT_NE(why.find("numeric"), std::string::npos);
}

TEST(Admin, AQuestionToNobodySaysSo) {
  std::string text;
  EXPECT_FALSE(admin_get("127.0.0.1:1", "/status", text));
  EXPECT_NE(text.find("no tailrace answers"), std::string::npos);
}

}  // namespace
}  // namespace tailrace::runtime
