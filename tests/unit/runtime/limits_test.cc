#include "runtime/limits.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

TEST(Limits, TheDefaultProfileGivesTheDefaultLimits) {
  const log::Limits limits = log_limits(Profile{});
  const log::Limits defaults;
  EXPECT_EQ(limits.wal_bytes, defaults.wal_bytes);
  EXPECT_EQ(limits.frame_bytes_max, defaults.frame_bytes_max);
  EXPECT_EQ(limits.cache_bytes, defaults.cache_bytes);
  EXPECT_EQ(limits.dirty_bytes_max, defaults.dirty_bytes_max);
  EXPECT_EQ(limits.cached_batches_max, defaults.cached_batches_max);
  EXPECT_EQ(limits.partitions_max, defaults.partitions_max);
  EXPECT_FALSE(limits.durable_writes);
  EXPECT_EQ(broker_limits(Profile{}).request_memory_bytes, broker::Limits{}.request_memory_bytes);
  EXPECT_EQ(broker_limits(Profile{}).answer_memory_bytes, broker::Limits{}.answer_memory_bytes);
  EXPECT_EQ(control_limits(Profile{}).groups_max, control::Limits{}.groups_max);
  EXPECT_EQ(control_limits(Profile{}).offsets_max, control::Limits{}.offsets_max);
  EXPECT_EQ(control_limits(Profile{}).group_bytes_max, control::Limits{}.group_bytes_max);
  EXPECT_EQ(control_limits(Profile{}).offsets_retention, control::Limits{}.offsets_retention);
  EXPECT_EQ(control_limits(Profile{}).offsets_partitions, control::Limits{}.offsets_partitions);
}

TEST(Limits, FollowTheProfile) {
  Profile profile;
  profile.cores = 3;
  profile.sync = "dsync";
  profile.receive_buffer_count = 8;
  profile.partitions_max = 12;
  profile.answer_memory_bytes = 5 << 20;
  EXPECT_TRUE(log_limits(profile).durable_writes);
  EXPECT_EQ(broker_limits(profile).core_count, 3);
  EXPECT_EQ(broker_limits(profile).events_held_max, 2u);
  EXPECT_EQ(broker_limits(profile).answer_memory_bytes, 5u << 20);
  EXPECT_EQ(control_limits(profile).partitions_max, 12u);
  EXPECT_EQ(control_limits(profile).batch_bytes_max, log_limits(profile).batch_bytes_max());
  profile.quota_entities_max = 5;
  EXPECT_EQ(control_limits(profile).quota_entities_max, 5u);
  EXPECT_EQ(broker_limits(profile).quota_accounts_max, 3 * broker_limits(profile).connections_max);
  profile.offsets_partitions = 7;
  profile.initial_delay_ms = 10;
  EXPECT_EQ(control_limits(profile).offsets_partitions, 7u);
  EXPECT_EQ(control_limits(profile).group_initial_delay, milliseconds(10));
  profile.consumer_session_timeout_ms = 20;
  profile.consumer_heartbeat_interval_ms = 5;
  EXPECT_EQ(control_limits(profile).consumer_session_timeout, milliseconds(20));
  EXPECT_EQ(control_limits(profile).consumer_heartbeat_interval, milliseconds(5));
  profile.consumer_session_timeout_min_ms = 1;
  profile.consumer_session_timeout_max_ms = 2;
  profile.consumer_heartbeat_interval_min_ms = 3;
  profile.consumer_heartbeat_interval_max_ms = 4;
  EXPECT_EQ(control_limits(profile).consumer_session_timeout_min, milliseconds(1));
  EXPECT_EQ(control_limits(profile).consumer_session_timeout_max, milliseconds(2));
  EXPECT_EQ(control_limits(profile).consumer_heartbeat_interval_min, milliseconds(3));
  EXPECT_EQ(control_limits(profile).consumer_heartbeat_interval_max, milliseconds(4));
}

// A topic is one entry of the metadata log.
TEST(Limits, ATopicMayHaveAllPartitionsOfTheNode) {
  Profile profile;
  for (const std::int64_t partitions : {1, 4096, 10'000, 40'000}) {
    profile.partitions_max = partitions;
    const control::Limits limits = control_limits(profile);
    EXPECT_GE(limits.entry_bytes_max, 24 * partitions + (32 << 10)) << partitions;
    EXPECT_EQ(limits.entry_bytes_max % 2048, 0u);
    EXPECT_GE(limits.journal_bytes, std::uint64_t{11} * limits.entry_bytes_max);
    EXPECT_EQ(limits.journal_bytes % 4096, 0u);
  }
}

TEST(Limits, OneConnectionCannotPinTheWholeCache) {
  const Profile profile;
  EXPECT_LT(broker_limits(profile).pinned_bytes_max,
            static_cast<std::uint64_t>(profile.cache_bytes - profile.dirty_bytes_max));
}

TEST(Limits, OpenFilesGrowWithCores) {
  Profile profile;
  const std::uint64_t one = open_files_needed(profile, 2);
  EXPECT_GE(one, static_cast<std::uint64_t>(profile.open_files_max + profile.connections_max));
  profile.cores = 4;
  EXPECT_GT(open_files_needed(profile, 2), 3 * one);
}

TEST(Limits, SizesAreToldExactly) {
  EXPECT_EQ(size_text(64 << 20), "64 MiB");
  EXPECT_EQ(size_text(1536), "1536 B");
  EXPECT_EQ(size_text(100 << 10), "100 KiB");
  EXPECT_EQ(size_text(0), "0 B");
}

TEST(Limits, AreToldAtStart) {
  const std::string text = limit_lines(Profile{});
  EXPECT_NE(text.find("WAL 256 MiB per core"), std::string::npos) << text;
  EXPECT_NE(text.find("at most 100 MiB"), std::string::npos) << text;
}

}  // namespace
}  // namespace tailrace::runtime
