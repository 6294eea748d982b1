#include "runtime/memory_plan.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

constexpr std::uint64_t GiB = std::uint64_t{1} << 30;

std::string refusal_of(std::string_view text, std::uint64_t usable_bytes) {
  Profile profile;
  std::vector<std::string> errors;
  std::string why;
  EXPECT_TRUE(parse_profile(text, "p.toml", profile, errors)) << errors[0];
  const bool fits = memory_fits(profile, {.usable_bytes = usable_bytes, .source = "a test"}, why);
  EXPECT_EQ(fits, why.empty());
  return why;
}

TEST(MemoryPlan, TheDefaultsFitASmallMachine) {
  EXPECT_EQ(refusal_of("", GiB), "");
}

TEST(MemoryPlan, ACacheBeyondTheMachineIsRefusedWithItsLine) {
  const std::string why = refusal_of("[storage]\n\ncache_bytes = 999999995904\n", 20 * GiB);
  EXPECT_TRUE(why.starts_with("p.toml:3: storage.cache_bytes: found 999999995904, allowed: at "
                              "most 2")) << why;
  EXPECT_NE(why.find("a test says 20480 MiB"), std::string::npos) << why;
}

TEST(MemoryPlan, WhatIsSaidToBeAllowedIsAllowed) {
  const std::string why = refusal_of("[storage]\ncache_bytes = 999999995904\n", 20 * GiB);
  const std::int64_t most = std::stoll(why.substr(why.find("at most ") + 8));
  const auto profile_with = [](std::int64_t bytes) {
    return "[storage]\ncache_bytes = " + std::to_string(bytes / 4096 * 4096) + "\n";
  };
  EXPECT_EQ(refusal_of(profile_with(most), 20 * GiB), "");
  EXPECT_NE(refusal_of(profile_with(most + 8192), 20 * GiB), "");
}

// They were taken out of the machine's memory before.
TEST(MemoryPlan, WhatLiesInHugePagesIsNotCounted) {
  Profile profile;
  const std::uint64_t usual = plan_memory(profile).total_bytes();
  profile.transport = "dpdk";
  EXPECT_LT(plan_memory(profile).total_bytes() + static_cast<std::uint64_t>(profile.cache_bytes),
            usual + 1);
  profile.huge_pages = false;
  EXPECT_GT(plan_memory(profile).total_bytes(), usual);
}

TEST(MemoryPlan, CountsCostAsWell) {
  EXPECT_NE(refusal_of("[network]\nconnections_max = 1000000\n[threads]\ncores = 4\n", 4 * GiB)
                .find("p.toml:2: network.connections_max: found 1000000, allowed: at most "),
            std::string::npos);
  EXPECT_NE(refusal_of("[network]\nrequest_memory_bytes = 1099511627776\n", 4 * GiB)
                .find("network.request_memory_bytes"), std::string::npos);
  EXPECT_NE(refusal_of("[groups]\ngroup_bytes_max = 8589934592\n", 4 * GiB)
                .find("groups.group_bytes_max"), std::string::npos);
  EXPECT_NE(refusal_of("[storage]\nread_buffer_count = 4096\n", 4 * GiB)
                .find("storage.read_buffer_count"), std::string::npos);
}

TEST(MemoryPlan, ManyCoresMayNotFitWithAnyCache) {
  const std::string why = refusal_of("[threads]\ncores = 64\n", 2 * GiB);
  EXPECT_NE(why.find("all limits of 64 cores"), std::string::npos) << why;
  EXPECT_NE(why.find("less of the others too"), std::string::npos) << why;
}

TEST(MemoryPlan, ReadsTheKernelsTexts) {
  EXPECT_EQ(available_bytes("MemTotal:  9 kB\nMemAvailable:   22 kB\n"), 22U * 1024);
  EXPECT_EQ(available_bytes("MemTotal:  9 kB\n"), UINT64_MAX);
  EXPECT_EQ(limit_bytes("1048576\n"), 1048576U);
  EXPECT_EQ(limit_bytes("max\n"), UINT64_MAX);
  EXPECT_EQ(limit_bytes(""), UINT64_MAX);
  EXPECT_GT(read_machine_memory().usable_bytes, 0U);
}

}  // namespace
}  // namespace tailrace::runtime
