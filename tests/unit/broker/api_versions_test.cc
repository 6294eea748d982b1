// Stories of ApiVersions, the first request of every client.
#include "kafka/apis.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using kafka::ApiVersionsRequest;
using kafka::ApiVersionsResponse;

class Versions : public ClusterStory {};

TEST_F(Versions, ApiVersionsTellsEveryRange) {
  const ApiVersionsRequest request{.client_software_name = "librdkafka",
                                   .client_software_version = "2.15.0"};
  for (std::int16_t version = 0; version <= 4; ++version) {
    const auto answer = client->call<ApiVersionsResponse>(request, version);
    EXPECT_EQ(answer->error_code, 0);
    ASSERT_EQ(answer->api_keys.size(), kafka::apis().size());
    for (const auto& api : answer->api_keys) EXPECT_LE(api.min_version, api.max_version);
    EXPECT_EQ(answer->api_keys[0].api_key, 0);
    EXPECT_EQ(answer->api_keys[0].min_version, 0);  // librdkafka < 2.11.1 wants it.
  }
}

TEST_F(Versions, ApiVersionsTellsWhichFeaturesAreOn) {
  const ApiVersionsRequest request{.client_software_name = "a", .client_software_version = "1"};
  EXPECT_TRUE(client->call<ApiVersionsResponse>(request, 2)->finalized_features.empty());
  for (const std::int16_t version : std::array<std::int16_t, 2>{3, 4}) {
    const auto answer = client->call<ApiVersionsResponse>(request, version);
    EXPECT_GE(answer->finalized_features_epoch, 0) << "clients believe them only then";
    std::string line;
    for (const auto& feature : answer->finalized_features) {
      line += std::string(feature.name) + "=" + std::to_string(feature.max_version_level) + " ";
    }
    EXPECT_EQ(line, "group.version=1 metadata.version=25 transaction.version=2 ");
    ASSERT_EQ(answer->supported_features.size(), answer->finalized_features.size());
    for (std::size_t i = 0; i < answer->supported_features.size(); ++i) {
      const auto& supported = answer->supported_features[i];
      EXPECT_EQ(supported.name, answer->finalized_features[i].name);
      EXPECT_GT(supported.min_version, 0) << "clients before version 4 do not bear a lowest of 0";
      EXPECT_EQ(supported.min_version, answer->finalized_features[i].min_version_level);
      EXPECT_EQ(supported.max_version, answer->finalized_features[i].max_version_level);
    }
  }
}

TEST_F(Versions, AnApiVersionsFromTheFutureIsAnsweredAtVersionZero) {
  for (const std::int16_t version : std::array<std::int16_t, 3>{5, 99, 32767}) {
    // The body must not be read: here it is none at all.
    client->send_bytes(test::build_raw_request(18, version, 0));
    node.settle();
    auto frame = client->received.take();
    ASSERT_TRUE(frame);
    const auto answer = test::parse_response<ApiVersionsResponse>(*frame, 0);
    ASSERT_TRUE(answer.ok);
    EXPECT_EQ(answer->error_code, 35);
    ASSERT_EQ(answer->api_keys.size(), 1u);
    EXPECT_EQ(answer->api_keys[0].api_key, 18);
    EXPECT_EQ(answer->api_keys[0].max_version, 4);
  }
  EXPECT_FALSE(client->is_closed);
}

TEST_F(Versions, ABadClientNameIsAnInvalidRequest) {
  for (const char* name : {"", "-a", "a-", "a b", "\xc3\xa4"}) {
    const ApiVersionsRequest request{.client_software_name = name,
                                     .client_software_version = "1"};
    EXPECT_EQ(client->call<ApiVersionsResponse>(request, 3)->error_code, 42) << name;
  }
  EXPECT_EQ(client->call<ApiVersionsResponse>(ApiVersionsRequest{}, 2)->error_code, 0);
}

}  // namespace
}  // namespace tailrace::broker
