#include "runtime/start_up.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace tailrace::runtime {
namespace {

namespace fs = std::filesystem;

Profile small_profile() {
  Profile profile;
  profile.wal_bytes = 16 << 20;
  profile.frame_bytes_max = 1 << 20;
  profile.cache_bytes = 16 << 20;
  profile.dirty_bytes_max = 4 << 20;
  profile.open_files_max = 64;
  profile.connections_max = 16;
  return profile;
}

struct Place {
  Place() {
    char pattern[] = TR_BUILD_ROOT "/tailrace-start-XXXXXX";
    folder = mkdtemp(pattern);
    directory = DataDirectory::open(folder / "data", prng, why);
  }
  ~Place() { fs::remove_all(folder); }
  fs::path folder;
  Prng prng{3};
  std::string why;
  std::unique_ptr<DataDirectory> directory;
};

std::unique_ptr<MappedMemory> reserve(std::size_t bytes) {
  return std::make_unique<MappedMemory>(bytes);
}

TEST(StartUp, AGoodPlaceIsDescribed) {
  Place place;
  PlaceReport report;
  ASSERT_TRUE(check_place(small_profile(), place.folder, 1, report, place.why)) << place.why;
  EXPECT_FALSE(report.description.empty());
}

TEST(StartUp, TooManyOpenFilesAreRefusedWithTheNumber) {
  Place place;
  Profile profile = small_profile();
  profile.cores = 64;
  profile.open_files_max = 1'000'000;
  profile.connections_max = 1'000'000;
  PlaceReport report;
  const bool allowed = check_place(profile, place.folder, 1, report, place.why);
  EXPECT_FALSE(allowed);
  EXPECT_NE(place.why.find("128"), std::string::npos) << place.why;  // 128 million
}

// The number of cores may change from start to start.
TEST(StartUp, LogsAreFormattedThenFoundWhateverTheNumberOfCores) {
  Place place;
  for (const std::int64_t cores : {1, 2, 1}) {
    Profile profile = small_profile();
    profile.cores = cores;
    std::vector<BootedCore> booted;
    ASSERT_TRUE(boot_logs(profile, *place.directory, reserve, place.prng, booted, place.why))
        << place.why;
    EXPECT_EQ(booted.size(), static_cast<std::size_t>(cores));
    for (const BootedCore& core : booted) EXPECT_NE(core.log, nullptr);
    ASSERT_TRUE(place.directory->mark_complete(place.why)) << place.why;
  }
}

std::size_t wal_file_count(const Place& place) {
  const fs::path wal = place.folder / "data" / "wal";
  if (!fs::exists(wal)) return 0;
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(wal), {}));
}

TEST(StartUp, AStopWhileFormattingLeavesNoHalfWalAndTheNextStartGoesThrough) {
  Place place;
  std::vector<BootedCore> booted;
  int turns = 0;
  EXPECT_FALSE(boot_logs(small_profile(), *place.directory, reserve, place.prng, booted, place.why,
                         [&turns] { return ++turns > 12; }));
  EXPECT_EQ(place.why, "");
  EXPECT_EQ(wal_file_count(place), 0U);
  booted.clear();
  EXPECT_TRUE(boot_logs(small_profile(), *place.directory, reserve, place.prng, booted, place.why))
      << place.why;
}

TEST(StartUp, AWalThatCannotFitIsRefusedBeforeItIsBegun) {
  Place place;
  Profile profile = small_profile();
  profile.wal_bytes = std::int64_t{1} << 40;
  profile.cores = 64;
  std::vector<BootedCore> booted;
  EXPECT_FALSE(boot_logs(profile, *place.directory, reserve, place.prng, booted, place.why));
  EXPECT_NE(place.why.find("MiB free, needed: "), std::string::npos) << place.why;
  EXPECT_EQ(wal_file_count(place), 0U);
}

TEST(StartUp, MemoryThatIsNotThereIsToldOf) {
  Place place;
  std::vector<BootedCore> booted;
  const auto none = [](std::size_t) { return std::make_unique<MappedMemory>(MutableBytes{}); };
  EXPECT_FALSE(boot_logs(small_profile(), *place.directory, none, place.prng, booted, place.why));
  EXPECT_NE(place.why.find("cannot reserve"), std::string::npos) << place.why;
}

TEST(StartUp, LostLogsAreNotTakenForAFreshStart) {
  Place place;
  ASSERT_TRUE(place.directory->mark_complete(place.why)) << place.why;
  std::vector<BootedCore> booted;
  EXPECT_FALSE(
      boot_logs(small_profile(), *place.directory, reserve, place.prng, booted, place.why));
  EXPECT_FALSE(place.why.empty());
}

TEST(StartUp, MetadataIsMadeAndReadAgain) {
  Place place;
  const control::NodeSetup setup{.node_id = 1, .core_count = 1,
                                 .endpoints = {{"127.0.0.1", 9092}},
                                 .cluster_id = to_string(place.directory->meta().cluster_id)};
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(try_metadata(small_profile(), *place.directory, setup, place.prng, place.why))
        << place.why;
  }
}

}  // namespace
}  // namespace tailrace::runtime
