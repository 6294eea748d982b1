// A whole node in this process: the embedding API over real sockets and files.
#include "tailrace/appliance.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "kafka/gen/api_versions.h"
#include "runtime/address.h"
#include "support/kafka_client.h"

namespace tailrace::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* small_profile = R"(
[storage]
wal_bytes = 16777216
frame_bytes_max = 1048576
cache_bytes = 16777216
dirty_bytes_max = 4194304
[network]
request_bytes_max = 4194304
request_memory_bytes = 8388608
connections_max = 16
[limits]
open_files_max = 64
[log]
level = "error"
)";

struct Node {
  // In the build directory: /tmp may be in memory, which a node refuses.
  Node() {
    char pattern[] = TR_BUILD_ROOT "/tailrace-node-XXXXXX";
    folder = mkdtemp(pattern);
    std::ofstream(folder / "profile.toml") << small_profile;
    config = {.profile_path = folder / "profile.toml", .data_directory = folder / "data",
              .listen = {"127.0.0.1:0", "127.0.0.1:0"}};
  }
  ~Node() { fs::remove_all(folder); }
  std::unique_ptr<Appliance> open() { return Appliance::open(config, why); }
  fs::path folder;
  Config config;
  std::string why;
};

// A blocking client; `turn` is called while it waits.
template <class Turn>
std::int32_t ask_versions(const std::string& address, std::int32_t correlation_id, Turn turn) {
  HostPort host_port;
  std::string why;
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (!split_address(address, host_port, why)) return -1;
  to_socket_address(host_port, storage, size);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), size) != 0) return -2;
  const test::Buffer request =
      test::build_request(kafka::ApiVersionsRequest{}, 0, correlation_id);
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return -3;
  }
  test::FrameCutter cutter;
  for (int i = 0; i < 10'000; ++i) {
    turn();
    std::byte bytes[4096];
    const ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got == 0) break;
    if (got < 0) {
      usleep(1000);
      continue;
    }
    cutter.add(Bytes(bytes, static_cast<std::size_t>(got)));
    if (const auto frame = cutter.take()) {
      close(fd);
      return test::correlation_id_of(*frame);
    }
  }
  close(fd);
  return -4;
}

TEST(Appliance, AnswersOnEachAddressWithThreadsOfItsOwn) {
  Node node;
  const auto appliance = node.open();
  ASSERT_NE(appliance, nullptr) << node.why;
  appliance->start();
  ASSERT_EQ(appliance->addresses().size(), 2u);
  EXPECT_NE(appliance->addresses()[0], appliance->addresses()[1]);
  EXPECT_EQ(ask_versions(appliance->addresses()[0], 5, [] {}), 5);
  EXPECT_EQ(ask_versions(appliance->addresses()[1], 6, [] {}), 6);
  EXPECT_NE(appliance->metrics().find("tailrace_requests_total{core=\"0\",api=\"api_versions\"} 2"),
            std::string::npos);
  EXPECT_NE(appliance->banner().find("WAL 16 MiB"), std::string::npos) << appliance->banner();
  EXPECT_FALSE(appliance->failed());
  EXPECT_TRUE(appliance->stop());
}

TEST(Appliance, CanBeSteppedByItsHostAndStartedAgain) {
  Node node;
  for (int start = 0; start < 2; ++start) {
    const auto appliance = node.open();
    ASSERT_NE(appliance, nullptr) << node.why;
    EXPECT_EQ(ask_versions(appliance->addresses()[0], 7, [&] { appliance->run_once(); }), 7);
    EXPECT_TRUE(appliance->stop());
  }
}

// Whoever stops it may start the next one at once, though the kernel has not yet taken the rings
// down, which hold the directory's lock.
TEST(Appliance, WithThreadsItCanBeStartedAgainAtOnce) {
  Node node;
  for (int start = 0; start < 5; ++start) {
    const auto appliance = node.open();
    ASSERT_NE(appliance, nullptr) << node.why;
    appliance->start();
    EXPECT_TRUE(appliance->stop());
  }
}

TEST(Appliance, ASecondOneIsKeptOut) {
  Node node;
  const auto first = node.open();
  ASSERT_NE(first, nullptr) << node.why;
  EXPECT_EQ(node.open(), nullptr);
  EXPECT_NE(node.why.find("in use by process"), std::string::npos) << node.why;
}

TEST(Appliance, LostMetadataIsNotTakenForAFreshStart) {
  Node node;
  {
    const auto first = node.open();
    ASSERT_NE(first, nullptr) << node.why;
  }
  fs::remove_all(node.folder / "data" / "metadata");
  EXPECT_EQ(node.open(), nullptr);
  EXPECT_NE(node.why.find("metadata: missing or empty"), std::string::npos) << node.why;
}

TEST(Appliance, ABadProfileTouchesNothing) {
  Node node;
  std::ofstream(node.folder / "profile.toml") << "[threads]\ncores = 0\n";
  EXPECT_EQ(node.open(), nullptr);
  EXPECT_NE(node.why.find("profile.toml:2: threads.cores: found 0, allowed: "), std::string::npos)
      << node.why;
  EXPECT_FALSE(fs::exists(node.folder / "data"));
}

}  // namespace
}  // namespace tailrace::runtime
