#include "runtime/core_unit.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "runtime/clock_system.h"
#include "runtime/limits.h"
#include "support/locked_file.h"

namespace tailrace::runtime {
namespace {

namespace fs = std::filesystem;

Profile small_profile() {
  Profile profile;
  profile.cache_bytes = 16 << 20;
  profile.dirty_bytes_max = 4 << 20;
  profile.request_bytes_max = 1 << 20;
  profile.request_memory_bytes = 1 << 20;
  profile.connections_max = 16;
  profile.open_files_max = 64;
  return profile;
}

int connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

struct Rig {
  Rig() {
    char pattern[] = TR_BUILD_ROOT "/tailrace-core-XXXXXX";
    folder = mkdtemp(pattern);
  }
  ~Rig() {
    unit.reset();
    fs::remove_all(folder);
  }
  bool make(const std::vector<std::string>& listen) {
    auto memory = std::make_unique<MappedMemory>(log::CoreLog::memory_bytes(log_limits(profile)));
    auto log = std::make_unique<log::CoreLog>(log_limits(profile), memory->bytes());
    unit = CoreUnit::create({.profile = profile, .core = 0, .directory = folder.string(),
                             .lock_fd = lock.fd(), .listen = listen, .network = nullptr,
                             .config = config,
                             .refusing_cores = refusing_cores},
                            std::move(memory), std::move(log), exchange, why);
    return unit != nullptr;
  }
  const Profile profile = small_profile();
  fs::path folder;
  broker::StaticConfig config;
  std::atomic<int> refusing_cores{0};
  Exchange exchange{1, 64};
  test::LockedFile lock;
  std::string why;
  std::unique_ptr<CoreUnit> unit;
};

TEST(CoreUnit, ListensAndTurns) {
  Rig rig;
  ASSERT_TRUE(rig.make({"127.0.0.1:0"})) << rig.why;
  EXPECT_GT(rig.unit->port(0), 0);
  EXPECT_FALSE(rig.unit->ring_description().empty());
  ClockSystem clock;
  for (int i = 0; i < 3; ++i) rig.unit->run_once(clock.now());
  EXPECT_EQ(rig.unit->broker_counters().connections_opened.load(), 0u);
}

// A turn counts when the next begins, if it found something to do.
TEST(CoreUnit, TellsTheTimeOfTurnsThatFoundWork) {
  Rig rig;
  ASSERT_TRUE(rig.make({"127.0.0.1:0"})) << rig.why;
  Now now = ClockSystem().now();
  std::uint64_t expected_us = 0;
  const int client = connect_to(rig.unit->port(0));
  bool had_work = false;
  for (int i = 0; i < 100 || (expected_us == 0 && i < 100'000); ++i) {
    if (had_work) expected_us += 1000;
    had_work = rig.unit->run_once(now) > 0;
    ASSERT_EQ(rig.unit->busy_us(), expected_us);
    now.instant = now.instant + milliseconds(1);
  }
  close(client);
  EXPECT_GT(expected_us, 0U);         // Somebody has come.
  EXPECT_LT(expected_us, 100'000U);   // There was nothing for it to do in the end.
}

TEST(CoreUnit, ItsRingHoldsTheLockOfTheDirectory) {
  Rig rig;
  ASSERT_TRUE(rig.make({"127.0.0.1:0"})) << rig.why;
  rig.lock.close();
  EXPECT_FALSE(rig.lock.is_free());
  rig.unit.reset();
  EXPECT_TRUE(rig.lock.becomes_free());
}

TEST(CoreUnit, AnAddressThatCannotBeBoundIsNamed) {
  Rig rig;
  EXPECT_FALSE(rig.make({"192.0.2.1:9092"}));
  EXPECT_NE(rig.why.find("192.0.2.1"), std::string::npos) << rig.why;
}

}  // namespace
}  // namespace tailrace::runtime
