#include "log/segment.h"

#include <gtest/gtest.h>

namespace tailrace::log {
namespace {

TEST(Segment, paths_name_topic_partition_incarnation_and_base_offset) {
  Prng prng(7);
  const PartitionKey key{random_uuid(prng), 12, 3};
  const std::string topic = "topics/" + to_string(key.topic);
  EXPECT_EQ(topic_directory(key.topic).text(), topic);
  EXPECT_EQ(partition_directory(key).text(), topic + "/12-3");
  EXPECT_EQ(segment_path(key, 4711).text(), topic + "/12-3/00000000000000004711.log");
  EXPECT_EQ(index_path(key, 4711).text(), topic + "/12-3/00000000000000004711.index");
  EXPECT_EQ(segment_path(key, 4711, 8).text(), topic + "/12-3/00000000000000004711-8.log");
  EXPECT_EQ(index_path(key, INT64_MAX, UINT32_MAX).text(),
            topic + "/12-3/09223372036854775807-4294967295.index");
}

TEST(Segment, the_longest_path_fits_a_file_name) {
  const PartitionKey key{{}, INT32_MAX, UINT32_MAX};
  EXPECT_EQ(base_offset_of_path(index_path(key, INT64_MAX).text()), INT64_MAX);
}

TEST(Segment, the_base_offset_is_read_back_from_a_path) {
  EXPECT_EQ(base_offset_of_path("topics/x/0-0/00000000000000000000.log"), 0);
  EXPECT_EQ(base_offset_of_path("00000000000000000017.index"), 17);
}

TEST(Segment, other_names_are_no_segments) {
  for (const char* name : {"", ".log", "17.log", "00000000000000000017", "00000000000000000017.tmp",
                           "0000000000000000001x.log", "000000000000000000017.log",
                           "99999999999999999999.log", "00000000000000000017.log/"}) {
    EXPECT_EQ(base_offset_of_path(name), -1) << name;
  }
}

}  // namespace
}  // namespace tailrace::log
