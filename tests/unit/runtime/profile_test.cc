#include "runtime/profile.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace tailrace::runtime {
namespace {

std::vector<std::string> errors_of(std::string_view text) {
  Profile profile;
  std::vector<std::string> errors;
  const bool good = parse_profile(text, "p.toml", profile, errors);
  EXPECT_EQ(good, errors.empty());
  return errors;
}

TEST(Profile, TheLaptopFileSaysTheDefaults) {
  Profile profile;
  std::vector<std::string> errors;
  ASSERT_TRUE(read_profile("hw-profiles/laptop.toml", profile, errors)) << errors[0];
  const Profile defaults;
  for (const ProfileKey& key : profile_keys()) {
    if (key.number != nullptr) {
      EXPECT_EQ(profile.*key.number, defaults.*key.number) << key.name;
    }
    if (key.text != nullptr) {
      EXPECT_EQ(profile.*key.text, defaults.*key.text) << key.name;
    }
    if (key.flag != nullptr) {
      EXPECT_EQ(profile.*key.flag, defaults.*key.flag) << key.name;
    }
  }
}

TEST(Profile, EveryFileThatShipsIsGood) {
  for (const char* file : {"hw-profiles/ci-2core.toml", "hw-profiles/server-4core.toml"}) {
    Profile profile;
    std::vector<std::string> errors;
    EXPECT_TRUE(read_profile(file, profile, errors)) << errors[0];
  }
}

TEST(Profile, EveryFileThatShipsExplainsEveryKey) {
  for (const char* file : {"hw-profiles/laptop.toml", "hw-profiles/ci-2core.toml",
                           "hw-profiles/server-4core.toml"}) {
    std::ifstream stream(file);
    std::map<std::string, bool> explained;  // by key: has a comment on its line
    for (std::string line; std::getline(stream, line);) {
      const std::string name = line.substr(0, line.find(' '));
      explained[name] |= line.find(" = ") != std::string::npos && line.find('#') < line.size();
    }
    for (const ProfileKey& key : profile_keys()) {
      EXPECT_TRUE(explained[std::string(key.name)]) << file << ": " << key.name;
    }
  }
}

TEST(Profile, AMistakeIsToldWithLineFindingAndWhatIsAllowed) {
  EXPECT_EQ(errors_of("[threads]\ncores = 0\n")[0],
            "p.toml:2: threads.cores: found 0, allowed: a whole number from 1 to 64");
  EXPECT_EQ(errors_of("[threads]\nidle = \"lazy\"\n")[0],
            "p.toml:2: threads.idle: found \"lazy\", allowed: \"wait\" or \"spin\"");
  EXPECT_EQ(errors_of("[threads]\ncoers = 2\n")[0],
            "p.toml:2: found \"coers\", allowed in [threads]: cores, idle, spin_us_max");
  EXPECT_EQ(errors_of("[storage]\n\ndirect = 1\n")[0],
            "p.toml:3: storage.direct: found 1, allowed: true or false");
  EXPECT_NE(errors_of("[thread]\ncores = 1\n")[0].find("p.toml:1: found \"thread\""),
            std::string::npos);
  EXPECT_NE(errors_of("cores = = 1\n")[0].find("p.toml:1: "), std::string::npos);
}

TEST(Profile, AllMistakesAreToldAtOnce) {
  EXPECT_EQ(errors_of("[threads]\ncores = 0\nidle = 3\n").size(), 2u);
}

TEST(Profile, RelationsBetweenKeysAreChecked) {
  EXPECT_NE(errors_of("[storage]\ndirty_bytes_max = 268435456\n")[0].find("half of wal_bytes"),
            std::string::npos);
  EXPECT_NE(errors_of("[storage]\ncache_bytes = 67108865\n")[0].find("multiple of 4096"),
            std::string::npos);
}

TEST(Profile, ConsumerTimesLieWithinWhatAGroupMayHave) {
  const auto only = [](std::string_view keys) {
    const auto errors = errors_of("[groups]\n" + std::string(keys) + "\n");
    EXPECT_EQ(errors.size(), 1U) << keys;
    return errors.empty() ? "" : errors[0];
  };
  EXPECT_EQ(only("consumer_session_timeout_ms = 44999"),
            "p.toml:2: groups.consumer_session_timeout_ms: found 44999, allowed: at least "
            "consumer_session_timeout_min_ms, 45000");
  EXPECT_EQ(only("consumer_session_timeout_max_ms = 45000\nconsumer_session_timeout_ms = 45001"),
            "p.toml:3: groups.consumer_session_timeout_ms: found 45001, allowed: at most "
            "consumer_session_timeout_max_ms, 45000");
  EXPECT_EQ(only("consumer_heartbeat_interval_ms = 4999"),
            "p.toml:2: groups.consumer_heartbeat_interval_ms: found 4999, allowed: at least "
            "consumer_heartbeat_interval_min_ms, 5000");
  EXPECT_EQ(only("consumer_heartbeat_interval_ms = 15001"),
            "p.toml:2: groups.consumer_heartbeat_interval_ms: found 15001, allowed: at most "
            "consumer_heartbeat_interval_max_ms, 15000");
  EXPECT_EQ(only("consumer_heartbeat_interval_max_ms = 45000\n"
                 "consumer_heartbeat_interval_ms = 45000"),
            "p.toml:3: groups.consumer_heartbeat_interval_ms: found 45000, allowed: less than "
            "consumer_session_timeout_ms, 45000");
}

TEST(Profile, AMissingFileIsAnError) {
  Profile profile;
  std::vector<std::string> errors;
  EXPECT_FALSE(read_profile("no/such.toml", profile, errors));
  EXPECT_EQ(errors[0], "no/such.toml: cannot be read: No such file or directory");
}

TEST(Profile, ADirectoryIsNoEmptyFile) {
  Profile profile;
  std::vector<std::string> errors;
  EXPECT_FALSE(read_profile("hw-profiles", profile, errors));
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find("hw-profiles: cannot be read: Is a directory"), std::string::npos)
      << errors[0];
}

TEST(Profile, ARelationNamesTheLineOfTheKeyThatIsThere) {
  EXPECT_EQ(errors_of("[storage]\n\ncache_bytes = 67108865\n")[0],
            "p.toml:3: storage.cache_bytes: found 67108865, allowed: a multiple of 4096, such as "
            "67108864 or 67112960");
  // Of the two, only this one is in the file.
  EXPECT_EQ(errors_of("[storage]\ndirty_bytes_max = 134217728\n")[0],
            "p.toml:2: storage.cache_bytes: found 67108864 (its default), allowed: at least "
            "dirty_bytes_max and two frames (frame_bytes_max), 138412032");
  EXPECT_TRUE(errors_of("[network]\n\n\nrequest_bytes_max = 1073741824\n")[0].starts_with(
      "p.toml:4: network.request_memory_bytes: found 134217728"));
}

TEST(Profile, ASyntaxErrorNamesItsKey) {
  EXPECT_TRUE(errors_of("[threads]\ncores = two\n")[0].starts_with("p.toml:2: cores: "))
      << errors_of("[threads]\ncores = two\n")[0];
}

// toml++ asserts on the first and has undefined behaviour on the second.
TEST(Profile, AKeyThatIsNoneIsToldAndNothingBreaks) {
  EXPECT_EQ(errors_of("[storage]\n=1\n").size(), 1U);
  EXPECT_EQ(errors_of("\xce\x9d = 1\n").size(), 1U);
  EXPECT_TRUE(errors_of("# \xce\x9d in a comment\n").empty());
}

}  // namespace
}  // namespace tailrace::runtime
