#include "control/transaction_records.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

ByteString from_hex(std::string_view hex) {
  ByteString made;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    made.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return made;
}

// The bytes are those of Kafka's own schemas, written by hand.
TEST(TransactionRecords, KeysAreKafkas) {
  const ByteString key = encode_transaction_key("tx");
  EXPECT_EQ(key, from_hex("0000" "00027478"));
  EXPECT_EQ(*parse_transaction_key(key), "tx");
  EXPECT_EQ(parse_transaction_key(from_hex("0001" "00027478")).error().code, Errc::unsupported);
  EXPECT_FALSE(parse_transaction_key(from_hex("ffff" "00027478")));
  EXPECT_FALSE(parse_transaction_key(from_hex("0000" "0003747")));
  EXPECT_FALSE(parse_transaction_key({}));
}

TEST(TransactionRecords, ValuesAreKafkasVersionOne) {
  TransactionRecord record;
  record.producer_id = 258;
  record.previous_producer_id = 257;
  record.producer_epoch = 3;
  record.timeout_ms = 60'000;
  record.state = TransactionState::ongoing;
  record.partitions = {{"a", 0}, {"a", 2}, {"b", 1}};
  record.update_ms = 2;
  record.start_ms = 1;
  record.client_version = 2;
  const ByteString made = encode_transaction_value(record);
  EXPECT_EQ(made, from_hex("0001" "0000000000000102" "0003" "0000ea60" "01"
                           "03" "0261" "03" "00000000" "00000002" "00"
                           "0262" "02" "00000001" "00"
                           "0000000000000002" "0000000000000001"
                           "02" "0008" "0000000000000101" "0202" "0002"));
  EXPECT_EQ(*parse_transaction_value(made), record);
}

TEST(TransactionRecords, OneWithoutTransactionHasNoPartitions) {
  TransactionRecord record;
  record.producer_id = 1;
  record.producer_epoch = 0;
  const ByteString made = encode_transaction_value(record);
  EXPECT_EQ(made, from_hex("0001" "0000000000000001" "0000" "00000000" "00" "00"
                           "ffffffffffffffff" "ffffffffffffffff" "00"));
  EXPECT_EQ(*parse_transaction_value(made), record);
}

TEST(TransactionRecords, ThoseOfOlderBrokersAreRead) {
  const ByteString old = from_hex("0000" "0000000000000102" "0003" "0000ea60" "02"
                                  "00000001" "000161" "00000001" "00000007"
                                  "0000000000000002" "0000000000000001");
  const Result<TransactionRecord> record = parse_transaction_value(old);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->state, TransactionState::prepare_commit);
  EXPECT_EQ(record->partitions, (std::set<NamedPartition>{{"a", 7}}));
  EXPECT_EQ(record->client_version, 0);
}

TEST(TransactionRecords, BadOnesAreRefused) {
  TransactionRecord record;
  record.state = TransactionState::ongoing;
  record.partitions = {{"a", 0}};
  record.next_producer_id = 5;
  const ByteString good = encode_transaction_value(record);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_transaction_value(Bytes(good).first(size))) << size;
  }
  ByteString state = good;
  state[16] = std::byte{8};
  EXPECT_FALSE(parse_transaction_value(state)) << "there are eight states";
  ByteString newer = good;
  newer[1] = std::byte{2};
  EXPECT_EQ(parse_transaction_value(newer).error().code, Errc::unsupported);
}

TEST(TransactionRecords, StatesHaveKafkasNames) {
  for (std::int8_t i = 0; i < 8; ++i) {
    const auto state = static_cast<TransactionState>(i);
    EXPECT_EQ(transaction_state_of(to_text(state)), state);
  }
  EXPECT_EQ(to_text(TransactionState::prepare_commit), "PrepareCommit");
  EXPECT_FALSE(transaction_state_of("ongoing"));
}

}  // namespace
}  // namespace tailrace::control
