#include "kafka/topic_name.h"

#include <gtest/gtest.h>

#include <string>

namespace tailrace::kafka {
namespace {

TEST(TopicName, LettersDigitsDotsUnderscoresAndDashes) {
  const std::string longest(topic_name_bytes_max, 'x');
  for (const std::string_view good :
       {std::string_view("a"), std::string_view("A.b_c-9"), std::string_view("..."),
        std::string_view("__consumer_offsets"), std::string_view(longest)}) {
    EXPECT_TRUE(is_topic_name(good)) << good;
  }
}

TEST(TopicName, EachFaultIsTold) {
  EXPECT_EQ(fault_of_topic_name(""), TopicNameFault::empty);
  EXPECT_EQ(fault_of_topic_name("."), TopicNameFault::dots);
  EXPECT_EQ(fault_of_topic_name(".."), TopicNameFault::dots);
  EXPECT_EQ(fault_of_topic_name(std::string(topic_name_bytes_max + 1, 'x')),
            TopicNameFault::too_long);
  for (const std::string_view bad : {"a/b", "a b", "\xc3\xa9", "a:b"}) {
    EXPECT_EQ(fault_of_topic_name(bad), TopicNameFault::bad_character) << bad;
  }
  EXPECT_EQ(fault_of_topic_name(std::string_view("a\0b", 3)), TopicNameFault::bad_character);
  EXPECT_EQ(fault_of_topic_name("__cluster_metadata"), TopicNameFault::reserved);
}

}  // namespace
}  // namespace tailrace::kafka
