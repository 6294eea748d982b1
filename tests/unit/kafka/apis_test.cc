#include "kafka/apis.h"

#include <gtest/gtest.h>

namespace tailrace::kafka {
namespace {

TEST(Apis, AreOrderedByKeyWithRangesThatHold) {
  std::int16_t last = -1;
  for (const ApiInfo& api : apis()) {
    EXPECT_GT(static_cast<std::int16_t>(api.key), last) << api.name;
    last = static_cast<std::int16_t>(api.key);
    EXPECT_LE(api.version_min, api.version_max) << api.name;
    EXPECT_EQ(find_api(last), &api);
  }
}

TEST(Apis, WhatIsNotAdvertisedIsNotFound) {
  EXPECT_EQ(find_api(-1), nullptr);
  EXPECT_EQ(find_api(4), nullptr);   // LeaderAndIsr
  EXPECT_EQ(find_api(999), nullptr);
}

// Old librdkafka stops compressing when Produce starts above 0 (KAFKA-18659).
TEST(Apis, ProduceIsAdvertisedFromZero) { EXPECT_EQ(find_api(0)->version_min, 0); }

}  // namespace
}  // namespace tailrace::kafka
