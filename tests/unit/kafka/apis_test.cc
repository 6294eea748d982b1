#include "kafka/apis.h"

#include <gtest/gtest.h>

#include "../../support/kafka_messages.h"

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

// What is advertised can be read: only Produce says less than it can (librdkafka, KAFKA-18659).
TEST(Apis, AdvertiseWhatTheCodecsSpeak) {
  for (const ApiInfo& api : apis()) {
    for (const bool is_request : {true, false}) {
      test::visit_message(api.key, is_request, [&]<class Message>(Message*) {
        EXPECT_EQ(Message::api_key, static_cast<std::int16_t>(api.key)) << api.name;
        EXPECT_EQ(Message::version_max, api.version_max) << api.name;
        EXPECT_EQ(Message::first_flexible, api.first_flexible) << api.name;
        EXPECT_EQ(Message::version_min, api.key == ApiKey::produce ? 3 : api.version_min);
      });
    }
  }
}

}  // namespace
}  // namespace tailrace::kafka
