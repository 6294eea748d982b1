#include "runtime/admin.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace tailrace::runtime {
namespace {

TEST(Admin, ServesItsPages) {
  std::string why;
  const auto admin = Admin::listen(
      {"127.0.0.1", 0},
      {.metrics = [] { return std::string("m 1\n"); },
       .status = [] { return std::string("ok\n"); },
       .net = [] { return std::string("none\n"); },
       .capture = {}},
      why);
  ASSERT_NE(admin, nullptr) << why;
  const std::string address = "127.0.0.1:" + std::to_string(admin->port());
  std::string text;
  EXPECT_TRUE(admin_get(address, "/metrics", text));
  EXPECT_EQ(text, "m 1\n");
  EXPECT_TRUE(admin_get(address, "/status", text));
  EXPECT_EQ(text, "ok\n");
  EXPECT_TRUE(admin_get(address, "/", text));
  EXPECT_EQ(text, "try /metrics, /status, /net or /capture\n");
  EXPECT_TRUE(admin_get(address, "/net", text));
  EXPECT_EQ(text, "none\n");
}

// Numbers without an end, one at each look.
struct Numbers final : AdminStream {
  explicit Numbers(std::atomic<int>& how_many) : alive(how_many) { ++alive; }
  ~Numbers() override { --alive; }
  std::size_t read(std::span<char> to) override {
    if (is_finished) {
      if (has_told_end) return 0;
      has_told_end = true;
      return std::string_view("end").copy(to.data(), to.size());
    }
    is_odd = !is_odd;
    return is_odd ? std::string_view("more ").copy(to.data(), to.size()) : 0;
  }
  bool has_ended() const override { return has_told_end; }
  void finish() override { is_finished = true; }
  std::atomic<int>& alive;
  bool is_odd = false;
  bool is_finished = false;
  bool has_told_end = false;
};

struct StreamServer {
  StreamServer() {
    std::string why;
    admin = Admin::listen({"127.0.0.1", 0},
                          {.metrics = {}, .status = [] { return std::string("ok\n"); }, .net = {},
                           .capture = [this](const AdminQuery& query, AdminRefusal& refusal)
                               -> std::unique_ptr<AdminStream> {
                             if (query("no") != nullptr) {
                               refusal = {.status = 409, .text = "no\n"};
                               return nullptr;
                             }
                             return std::make_unique<Numbers>(alive);
                           }},
                          why);
    address = "127.0.0.1:" + std::to_string(admin->port());
    fd = admin_open(address, "/capture", 5, why);
  }
  ~StreamServer() { close(fd); }
  // All that comes until the server ends it, or `enough`.
  std::string read(std::size_t enough = SIZE_MAX) const {
    std::string text;
    char buffer[64];
    ssize_t got = 0;
    while (text.size() < enough && (got = recv(fd, buffer, sizeof buffer, 0)) > 0) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }
  bool wait_gone() const {
    for (int i = 0; i < 5000 && alive != 0; ++i) usleep(1000);
    return alive == 0;
  }
  std::atomic<int> alive{0};
  std::unique_ptr<Admin> admin;
  std::string address;
  int fd = -1;
};

TEST(Admin, AStreamGoesOnBesideOtherPagesUntilItsReaderHasEnough) {
  const StreamServer server;
  const std::string begin = server.read(400);
  unsigned status = 0;
  EXPECT_TRUE(admin_status(begin, status));
  EXPECT_EQ(status, 200u);
  EXPECT_NE(begin.find("more more "), std::string::npos);
  std::string text;
  EXPECT_TRUE(admin_get(server.address, "/status", text));
  EXPECT_EQ(text, "ok\n");
  shutdown(server.fd, SHUT_WR);
  const std::string rest = server.read();
  EXPECT_TRUE(rest.ends_with("end")) << rest;
  EXPECT_TRUE(server.wait_gone());
}

TEST(Admin, AReaderWhoGoesEndsTheStream) {
  StreamServer server;
  server.read(300);
  close(server.fd);
  EXPECT_TRUE(server.wait_gone());
}

TEST(Admin, AStreamHasItsEndWhenTheServerEnds) {
  StreamServer server;
  server.read(300);
  server.admin.reset();
  EXPECT_TRUE(server.read().ends_with("end"));
  EXPECT_EQ(server.alive, 0);
}

TEST(Admin, AStreamThatIsRefusedSaysWhy) {
  const StreamServer server;
  std::string why;
  const int fd = admin_open(server.address, "/capture?no=1", 5, why);
  char buffer[1024];
  const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  close(fd);
  ASSERT_GT(got, 0);
  const std::string_view reply(buffer, static_cast<std::size_t>(got));
  unsigned status = 0;
  EXPECT_TRUE(admin_status(reply, status));
  EXPECT_EQ(status, 409u);
  EXPECT_TRUE(reply.ends_with("\r\n\r\nno\n"));
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
