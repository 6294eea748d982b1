#include "runtime/control_unit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "runtime/clock_system.h"
#include "support/locked_file.h"

namespace tailrace::runtime {
namespace {

namespace fs = std::filesystem;

struct Rig {
  Rig() {
    char pattern[] = TR_BUILD_ROOT "/tailrace-control-XXXXXX";
    folder = mkdtemp(pattern);
  }
  ~Rig() { fs::remove_all(folder); }
  std::unique_ptr<ControlUnit> make(const std::string& directory) {
    return ControlUnit::create(Profile{}, directory, lock.fd(),
                               {.node_id = 1, .core_count = 1,
                                .endpoints = {{"127.0.0.1", 9092}}},
                               prng, exchange, why);
  }
  fs::path folder;
  Prng prng{5};
  Exchange exchange{1, 64};
  test::LockedFile lock;
  std::string why;
};

TEST(ControlUnit, IsReadyOnceItsMetadataIsOnDisk) {
  Rig rig;
  const auto unit = rig.make(rig.folder);
  ASSERT_NE(unit, nullptr) << rig.why;
  ClockSystem clock;
  for (int i = 0; i < 100'000 && !unit->ready() && !unit->failed(); ++i) {
    if (unit->run_once(clock.now()) == 0) unit->idle().wait(clock.now().instant + milliseconds(10));
  }
  EXPECT_TRUE(unit->ready());
  EXPECT_FALSE(fs::is_empty(rig.folder / "metadata"));
}

TEST(ControlUnit, ItsRingHoldsTheLockOfTheDirectory) {
  Rig rig;
  auto unit = rig.make(rig.folder);
  ASSERT_NE(unit, nullptr) << rig.why;
  rig.lock.close();
  EXPECT_FALSE(rig.lock.is_free());
  unit.reset();
  EXPECT_TRUE(rig.lock.becomes_free());
}

TEST(ControlUnit, AMissingDirectoryIsTold) {
  Rig rig;
  EXPECT_EQ(rig.make(rig.folder / "nowhere"), nullptr);
  EXPECT_FALSE(rig.why.empty());
}

}  // namespace
}  // namespace tailrace::runtime
