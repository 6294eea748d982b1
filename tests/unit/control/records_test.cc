#include "control/records.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace tailrace::control {
namespace {

Uuid some_id() {
  Prng prng(5);
  return random_uuid(prng);
}

std::vector<Record> samples() {
  const PartitionRecord partition{1, 4, 2, {1, 2}, {2}};
  return {
      ClusterRecord{"abc"},
      NodeRecord{3, "rack-a", {{"host", 9092}, {"::1", 65535}}},
      TopicRecord{some_id(), "orders", false, {partition, partition}, {{"retention.ms", "5"}}},
      PartitionsAddedRecord{some_id(), {partition}},
      TopicDeletedRecord{some_id()},
      TopicConfigRecord{some_id(), {{"a", ""}, {"b", std::nullopt}}},
      BrokerConfigRecord{-1, {{"num.partitions", "3"}}},
      ProducerIdsRecord{2000},
      PartitionChangedRecord{some_id(), 3, partition},
      ClientQuotaRecord{{{"user", "u"}, {"client-id", std::nullopt}}, "request_percentage", 1.5},
      GroupConfigRecord{"g", {{"consumer.session.timeout.ms", "50000"}, {"b", std::nullopt}}},
  };
}

std::vector<std::byte> bytes_of(const std::vector<Record>& records) {
  std::vector<std::byte> bytes;
  for (const Record& record : records) encode_record(record, bytes);
  return bytes;
}

TEST(Records, SurviveTheirBytes) {
  ASSERT_EQ(samples().size(), std::variant_size_v<Record>);
  const auto read = decode_records(bytes_of(samples()));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, samples());
  for (const Record& record : samples()) {
    EXPECT_EQ(encoded_bytes(record), bytes_of({record}).size());
  }
}

TEST(Records, ADiskFormatOfToday) {
  // Bytes that are on somebody's disk: a change of the format must not change what they say.
  const std::vector<std::byte> bytes = bytes_of({ProducerIdsRecord{0x0102}});
  const unsigned char wanted[] = {8, 0, 1, 0, 8, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0};
  ASSERT_EQ(bytes.size(), sizeof wanted);
  EXPECT_EQ(std::memcmp(bytes.data(), wanted, sizeof wanted), 0);
}

TEST(Records, CutBytesAreRefusedAndNeverHalfRead) {
  for (const Record& record : samples()) {
    const std::vector<std::byte> bytes = bytes_of({record});
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_records(Bytes(bytes).first(size)).has_value());
    }
  }
}

TEST(Records, UnknownTypesAndNewerVersionsAreToldApartFromNonsense) {
  std::vector<std::byte> bytes = bytes_of({ProducerIdsRecord{1}});
  bytes[0] = std::byte{99};
  EXPECT_EQ(decode_records(bytes).error(), (Error{Errc::unsupported, 99}));
  bytes[0] = std::byte{8};
  bytes[2] = std::byte{2};
  EXPECT_EQ(decode_records(bytes).error(), (Error{Errc::unsupported, 2}));
  bytes[2] = std::byte{1};
  bytes[15] = std::byte{0x80};
  EXPECT_EQ(decode_records(bytes).error().code, Errc::malformed) << "a negative id";
}

TEST(Records, AQuotaIsOfSomebodyAndAboveZero) {
  const auto is_read = [](const ClientQuotaRecord& record) {
    return decode_records(bytes_of({record})).has_value();
  };
  const QuotaEntity user = {{"user", "u"}};
  EXPECT_TRUE(is_read({user, "k", std::nullopt})) << "taken back";
  EXPECT_FALSE(is_read({{}, "k", 1}));
  EXPECT_FALSE(is_read({user, "", 1}));
  EXPECT_FALSE(is_read({user, "k", 0}));
  EXPECT_FALSE(is_read({user, "k", -1}));
  EXPECT_FALSE(is_read({user, "k", std::numeric_limits<double>::infinity()}));
}

TEST(Records, HaveATextForPeople) {
  std::string all;
  for (const Record& record : samples()) all += to_text(record) + "\n";
  EXPECT_NE(all.find("topic 'orders' ("), std::string::npos);
  EXPECT_NE(all.find("2 partitions, first on nodes 1 2 retention.ms=5"), std::string::npos);
  EXPECT_NE(all.find("node 3 registered host:9092 ::1:65535 rack rack-a"), std::string::npos);
  EXPECT_NE(all.find("brokers' configs: num.partitions=3"), std::string::npos);
  EXPECT_NE(all.find("b=(default)"), std::string::npos);
  EXPECT_NE(all.find("partition 3 is led by node 1, epoch 4"), std::string::npos);
  EXPECT_NE(all.find("group 'g' configs: consumer.session.timeout.ms=50000 b=(default)"),
            std::string::npos);
  EXPECT_NE(all.find("quota of client-id (default) user u: request_percentage=1.5"),
            std::string::npos);
}

TEST(Records, ConfigsAreOfAGroupWithAName) {
  EXPECT_FALSE(decode_records(bytes_of({GroupConfigRecord{"", {{"a", "b"}}}})).has_value());
}

}  // namespace
}  // namespace tailrace::control
