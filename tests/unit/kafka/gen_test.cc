// The generated codecs: every API at every version against bytes made by other code, and some
// messages written out by hand from the protocol's definition.
#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <tuple>

#include "../../support/kafka_messages.h"

namespace tailrace::kafka {
namespace {

// Bytes from hex digits; blanks are for the reader. Kept, since messages point into them.
const std::string& hex(std::string_view digits) {
  static std::deque<std::string> kept;
  std::string& bytes = kept.emplace_back();
  std::string pair;
  for (const char c : digits) {
    if (c == ' ') continue;
    pair += c;
    if (pair.size() < 2) continue;
    bytes += static_cast<char>(std::strtol(pair.c_str(), nullptr, 16));
    pair.clear();
  }
  EXPECT_TRUE(pair.empty());
  return bytes;
}

// Decodes all of `bytes`, which outlives the message, and checks that it is written back alike.
template <class Message>
Message read_back(const std::string& bytes, std::int16_t version, Arena& arena) {
  Reader in(as_bytes(bytes));
  const Result<Message> message = Message::decode(in, version, arena);
  EXPECT_TRUE(message);
  if (!message) return {};
  EXPECT_EQ(in.rest().size(), 0U);
  EXPECT_EQ(test::encoded(*message, version), bytes);
  return *message;
}

TEST(Gen, EveryApiAndVersionReadsAndWritesTheSamplesAlike) {
  std::set<std::tuple<ApiKey, bool, std::int16_t>> seen;
  for (const test::Sample& sample : test::read_samples(TR_KAFKA_SAMPLES)) {
    seen.insert({sample.key, sample.is_request, sample.version});
    SCOPED_TRACE(testing::Message() << find_api(static_cast<std::int16_t>(sample.key))->name << " "
                                    << sample.is_request << " v" << sample.version);
    Arena arena(1 << 20);
    test::visit_message(sample.key, sample.is_request, [&]<class Message>(Message*) {
      read_back<Message>(sample.bytes, sample.version, arena);
    });
  }
  for (const ApiInfo& api : apis()) {
    for (const bool is_request : {true, false}) {
      test::visit_message(api.key, is_request, [&]<class Message>(Message*) {
        for (std::int16_t v = Message::version_min; v <= Message::version_max; ++v) {
          EXPECT_EQ(seen.count({api.key, is_request, v}), 1U) << api.name << " v" << v;
        }
      });
    }
  }
}

// Cut anywhere, a message is an error and never a crash: only one that ends in an optional part
// that is whole could pass, and Kafka has none.
TEST(Gen, EveryTruncationOfASampleIsRefused) {
  Arena arena(1 << 20);
  for (const test::Sample& sample : test::read_samples(TR_KAFKA_SAMPLES)) {
    test::visit_message(sample.key, sample.is_request, [&]<class Message>(Message*) {
      for (std::size_t size = 0; size < sample.bytes.size(); ++size) {
        arena.reset();
        Reader in(as_bytes(std::string_view(sample.bytes).substr(0, size)));
        ASSERT_FALSE(Message::decode(in, sample.version, arena))
            << find_api(Message::api_key)->name << " v" << sample.version << " at " << size;
      }
    });
  }
}

class Golden : public ::testing::Test {
 protected:
  Arena arena_{1 << 16};
};

// What librdkafka 2.x sends first on a connection.
TEST_F(Golden, ApiVersionsRequest3) {
  const std::string& bytes = hex("0b 6c696272646b61666b61 06 322e302e32 00");
  const auto request = read_back<ApiVersionsRequest>(bytes, 3, arena_);
  EXPECT_EQ(request.client_software_name, "librdkafka");
  EXPECT_EQ(request.client_software_version, "2.0.2");
}

// The answer to a version that is too new: error 35, a body of version 0, one key (KIP-511).
TEST_F(Golden, ApiVersionsResponse0Unsupported) {
  const std::string& bytes = hex("0023 00000001 0012 0000 0004");
  const auto response = read_back<ApiVersionsResponse>(bytes, 0, arena_);
  EXPECT_EQ(response.error_code, 35);
  ASSERT_EQ(response.api_keys.size(), 1U);
  EXPECT_EQ(response.api_keys[0].api_key, 18);
  EXPECT_EQ(response.api_keys[0].max_version, 4);
}

// throttle_time_ms comes after the keys here, unlike elsewhere; the features are tags.
TEST_F(Golden, ApiVersionsResponse3WithFinalizedEpoch) {
  const std::string& bytes = hex("0000 02 0000 0003 000d 00 00000005 01 01 08 0000000000000007");
  const auto response = read_back<ApiVersionsResponse>(bytes, 3, arena_);
  EXPECT_EQ(response.throttle_time_ms, 5);
  EXPECT_EQ(response.finalized_features_epoch, 7);
}

TEST_F(Golden, MetadataRequestForAllTopics) {
  // Version 0: an empty list means all; from version 1 on null does.
  EXPECT_FALSE(read_back<MetadataRequest>(hex("00000000"), 0, arena_).topics.null);
  EXPECT_TRUE(read_back<MetadataRequest>(hex("ffffffff"), 1, arena_).topics.null);
  const auto request = read_back<MetadataRequest>(hex("00 01 00 00"), 12, arena_);
  EXPECT_TRUE(request.topics.null);
  EXPECT_TRUE(request.allow_auto_topic_creation);
}

TEST_F(Golden, MetadataRequest12ByNameAndById) {
  const std::string& bytes = hex(
      "03 00000000000000000000000000000000 04 666f6f 00"
      "   000102030405460789aabbccddeeff00 00 00"
      "00 00 00");
  const auto request = read_back<MetadataRequest>(bytes, 12, arena_);
  ASSERT_EQ(request.topics.items.size(), 2U);
  EXPECT_EQ(request.topics.items[0].name, NullableString("foo"));
  EXPECT_TRUE(request.topics.items[1].name.is_null());
  EXPECT_EQ(request.topics.items[1].topic_id.bytes[15], 0);
  EXPECT_EQ(request.topics.items[1].topic_id.bytes[1], 1);
}

TEST_F(Golden, MetadataResponse1) {
  const std::string& bytes = hex(
      "00000001 00000001 0009 6c6f63616c686f7374 00002384 ffff"  // broker 1 at localhost:9092
      "00000001"                                                 // the controller
      "00000001 0000 0003 666f6f 00"                             // foo, not internal
      "00000001 0000 00000000 00000001 00000001 00000001 00000001 00000001");
  const auto response = read_back<MetadataResponse>(bytes, 1, arena_);
  EXPECT_EQ(response.brokers[0].port, 9092);
  EXPECT_EQ(response.topics[0].partitions[0].replica_nodes[0], 1);
}

TEST_F(Golden, ProduceRequest7) {
  const std::string& bytes = hex(
      "ffff ffff 00007530 00000001 0003 666f6f 00000001 00000002 00000004 01020304");
  const auto request = read_back<ProduceRequest>(bytes, 7, arena_);
  EXPECT_TRUE(request.transactional_id.is_null());
  EXPECT_EQ(request.acks, -1);
  EXPECT_EQ(request.timeout_ms, 30000);
  EXPECT_EQ(request.topic_data[0].name, "foo");
  EXPECT_EQ(request.topic_data[0].partition_data[0].index, 2);
  EXPECT_EQ(request.topic_data[0].partition_data[0].records.value.size(), 4U);
}

TEST_F(Golden, ProduceRequest9And13) {
  const auto named = read_back<ProduceRequest>(
      hex("00 0001 000005dc 02 04 666f6f 02 00000000 05 01020304 00 00 00"), 9, arena_);
  EXPECT_EQ(named.acks, 1);
  EXPECT_EQ(named.topic_data[0].name, "foo");
  const auto by_id = read_back<ProduceRequest>(
      hex("00 0001 000005dc 02 000102030405460789aabbccddeeff00 02 00000000 05 01020304 00 00 00"),
      13, arena_);
  EXPECT_EQ(by_id.topic_data[0].topic_id.bytes[5], 5);
}

// throttle_time_ms comes last, after the topics.
TEST_F(Golden, ProduceResponse9) {
  const std::string& bytes = hex(
      "02 04 666f6f 02 00000000 0057 ffffffffffffffff ffffffffffffffff 0000000000000000"
      "02 00000003 04 626164 00  01 00 00 00000000 00");
  const auto response = read_back<ProduceResponse>(bytes, 9, arena_);
  const auto& partition = response.responses[0].partition_responses[0];
  EXPECT_EQ(partition.error_code, 87);
  EXPECT_EQ(partition.base_offset, -1);
  EXPECT_EQ(partition.record_errors[0].batch_index, 3);
  EXPECT_EQ(partition.record_errors[0].batch_index_error_message, NullableString("bad"));
  EXPECT_EQ(partition.error_message, NullableString(""));
}

// The oldest fetch that is still spoken (rskafka).
TEST_F(Golden, FetchRequest4) {
  const std::string& bytes = hex(
      "ffffffff 000001f4 00000001 03200000 01"
      "00000001 0003 666f6f 00000001 00000000 000000000000002a 00100000");
  const auto request = read_back<FetchRequest>(bytes, 4, arena_);
  EXPECT_EQ(request.max_wait_ms, 500);
  EXPECT_EQ(request.isolation_level, 1);
  EXPECT_EQ(request.topics[0].partitions[0].fetch_offset, 42);
}

// The replica id became a tag in version 15; topics have ids since 13.
TEST_F(Golden, FetchRequest15FromAReplica) {
  const std::string& bytes = hex(
      "000001f4 00000001 03200000 00 00000000 00000000"
      "02 000102030405460789aabbccddeeff00"
      "02 00000000 00000003 000000000000002a 00000002 ffffffffffffffff 00100000 00 00"
      "01 01 01 01 0d 00000005 0000000000000006 00");
  const auto request = read_back<FetchRequest>(bytes, 15, arena_);
  EXPECT_EQ(request.topics[0].partitions[0].current_leader_epoch, 3);
  EXPECT_EQ(request.topics[0].partitions[0].last_fetched_epoch, 2);
  EXPECT_EQ(request.replica_state.replica_id, 5);
  EXPECT_EQ(request.replica_state.replica_epoch, 6);
  EXPECT_EQ(request.session_epoch, 0);
}

TEST_F(Golden, FetchResponse12WithADivergingEpoch) {
  const std::string& bytes = hex(
      "00000000 0000 00000000 02 04 666f6f 02"
      "00000000 0000 000000000000000a 000000000000000a 0000000000000000 00 ffffffff 01"
      "01 00 0d 00000002 0000000000000007 00"
      "00 00");
  const auto response = read_back<FetchResponse>(bytes, 12, arena_);
  const auto& partition = response.responses[0].partitions[0];
  EXPECT_TRUE(partition.aborted_transactions.null);
  EXPECT_EQ(partition.diverging_epoch.epoch, 2);
  EXPECT_EQ(partition.diverging_epoch.end_offset, 7);
  EXPECT_FALSE(partition.records.is_null());
}

TEST_F(Golden, ListOffsets1) {
  const auto request = read_back<ListOffsetsRequest>(
      hex("ffffffff 00000001 0003 666f6f 00000001 00000000 fffffffffffffffe"), 1, arena_);
  EXPECT_EQ(request.topics[0].partitions[0].timestamp, -2);  // The earliest.
  const auto response = read_back<ListOffsetsResponse>(
      hex("00000001 0003 666f6f 00000001 00000000 0000 ffffffffffffffff 0000000000000064"), 1,
      arena_);
  EXPECT_EQ(response.topics[0].partitions[0].offset, 100);
}

TEST_F(Golden, CreateTopicsRequest2) {
  const std::string& bytes = hex(
      "00000001 0003 666f6f 00000003 0001 00000000"
      "00000001 000c 726574656e74696f6e2e6d73 0004 31303030"
      "0000ea60 00");
  const auto request = read_back<CreateTopicsRequest>(bytes, 2, arena_);
  EXPECT_EQ(request.topics[0].num_partitions, 3);
  EXPECT_EQ(request.topics[0].configs[0].name, "retention.ms");
  EXPECT_EQ(request.topics[0].configs[0].value, NullableString("1000"));
  EXPECT_EQ(request.timeout_ms, 60000);
  EXPECT_FALSE(request.validate_only);
}

TEST_F(Golden, InitProducerIdRequest4AndResponse) {
  const auto request = read_back<InitProducerIdRequest>(
      hex("00 7fffffff ffffffffffffffff ffff 00"), 4, arena_);
  EXPECT_TRUE(request.transactional_id.is_null());
  EXPECT_EQ(request.producer_id, -1);
  const auto response = read_back<InitProducerIdResponse>(
      hex("00000000 0000 00000000000003e8 0000 00"), 4, arena_);
  EXPECT_EQ(response.producer_id, 1000);
}

// Tags this broker does not know are skipped, wherever they stand.
TEST_F(Golden, UnknownTagsAreSkipped) {
  const std::string& bytes =
      hex("00 0001 000005dc 02 04 666f6f 02 00000000 05 01020304"
          "01 63 02 abcd 01 07 00 01 0a 01 ff");
  Reader in(as_bytes(bytes));
  const Result<ProduceRequest> request = ProduceRequest::decode(in, 9, arena_);
  ASSERT_TRUE(request);
  EXPECT_TRUE(in.rest().empty());
  EXPECT_EQ(request->topic_data[0].partition_data[0].records.value.size(), 4U);
}

// A small message that claims a large array is refused before anything is reserved.
TEST_F(Golden, AnArrayThatCannotBeThereIsRefused) {
  const std::string& bytes = hex("ffff ffff 00007530 7fffffff 0003 666f6f");
  Reader in(as_bytes(bytes));
  const Result<ProduceRequest> request = ProduceRequest::decode(in, 7, arena_);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, Errc::malformed);
  EXPECT_EQ(arena_.used_bytes(), 0U);
}

}  // namespace
}  // namespace tailrace::kafka
