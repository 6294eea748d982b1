#include "runtime/admin.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace tailrace::runtime {
namespace {

TEST(Admin, ServesItsPages) {
  std::string why;
  const auto admin = Admin::listen(
      {"127.0.0.1", 0},
      {.metrics = [] { return std::string("m 1\n"); },
       .status = [] { return std::string("ok\n"); },
       .net = [] { return std::string("none\n"); }},
      why);
  ASSERT_NE(admin, nullptr) << why;
  const std::string address = "127.0.0.1:" + std::to_string(admin->port());
  std::string text;
  EXPECT_TRUE(admin_get(address, "/metrics", text));
  EXPECT_EQ(text, "m 1\n");
  EXPECT_TRUE(admin_get(address, "/status", text));
  EXPECT_EQ(text, "ok\n");
  EXPECT_TRUE(admin_get(address, "/", text));
  EXPECT_EQ(text, "try /metrics, /status or /net\n");
  EXPECT_TRUE(admin_get(address, "/net", text));
  EXPECT_EQ(text, "none\n");
}

TEST(Admin, SaysWhyItCannotListen) {
  std::string why;
  EXPECT_EQ(Admin::listen({"localhost", 1}, {}, why), nullptr);
  EXPECT_EQ(why, "admin address localhost:1: the host is not numeric");
}

TEST(Admin, AQuestionToNoAddressSaysSo) {
  std::string text;
  EXPECT_FALSE(admin_get("[fe80::1%lo]:9644", "/status", text));
  EXPECT_NE(text.find("fe80::1%lo"), std::string::npos) << text;
}

TEST(Admin, AQuestionToNobodySaysSo) {
  std::string text;
  EXPECT_FALSE(admin_get("127.0.0.1:1", "/status", text));
  EXPECT_NE(text.find("nothing answers at 127.0.0.1:1: Connection refused"), std::string::npos);
}

TEST(Admin, AQuestionToSomethingElseSaysSo) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread other([fd] {
    const int peer = accept(fd, nullptr, nullptr);
    char question[512];
    EXPECT_GT(recv(peer, question, sizeof question, 0), 0);
    const std::string_view reply = "HTTP/1.0 200 OK\r\nServer: other\r\n\r\nwelcome";
    send(peer, reply.data(), reply.size(), MSG_NOSIGNAL);
    close(peer);
  });
  std::string text;
  EXPECT_FALSE(admin_get("127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "/status", text));
  EXPECT_NE(text.find("is not the admin server of a tailrace"), std::string::npos) << text;
  other.join();
  close(fd);
}

}  // namespace
}  // namespace tailrace::runtime
