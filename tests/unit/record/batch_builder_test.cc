#include "record/batch_builder.h"

#include <gtest/gtest.h>

#include <string>

#include "record/batch_check.h"
#include "record/record_iterator.h"

namespace tailrace::record {
namespace {

TEST(BatchBuilder, RefusesARecordThatDoesNotFitAndKeepsTheRest) {
  BatchBuilder builder(header_bytes + 30);
  builder.start();
  const std::string ten(10, 'x');
  EXPECT_TRUE(builder.add({.value = std::string_view(ten)}));
  const std::size_t size = builder.size_bytes();
  EXPECT_EQ(size, header_bytes + record_bytes({.value = std::string_view(ten)}, 0, 0));
  EXPECT_FALSE(builder.add({.value = std::string_view(ten)}));
  EXPECT_EQ(builder.size_bytes(), size);
  EXPECT_EQ(builder.record_count(), 1);
  const Result<Bytes> made = builder.finish();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->size(), size);
}

TEST(BatchBuilder, WithoutARecordThereIsNoBatch) {
  BatchBuilder builder(1000);
  builder.start();
  EXPECT_EQ(builder.finish().error().code, Errc::invalid_argument);
}

TEST(BatchBuilder, EveryFieldIsReadBackAsItWasGiven) {
  BatchBuilder builder(1000);
  builder.start({.attributes = transactional_bit, .producer_id = 7, .producer_epoch = 2,
                 .base_sequence = 11});
  const NewHeader headers[] = {{"trace", "abc"}, {"", nullptr}};
  ASSERT_TRUE(builder.add({.timestamp = 500, .key = "key", .value = "value", .headers = headers}));
  ASSERT_TRUE(builder.add({.timestamp = 400, .key = nullptr, .value = nullptr}));
  ASSERT_TRUE(builder.add({.timestamp = 600, .key = "", .value = ""}));
  const Result<BatchView> batch = parse_batch(*builder.finish());
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->header.producer_id, 7);
  EXPECT_EQ(batch->header.base_sequence, 11);
  EXPECT_EQ(batch->header.last_sequence(), 13);
  EXPECT_TRUE(batch->header.is_transactional());
  EXPECT_EQ(batch->header.max_timestamp, 600);

  RecordIterator records(batch->records());
  Result<RecordFields> record = records.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(as_text({record->key, 3}), "key");
  EXPECT_EQ(as_text({record->value, 5}), "value");
  EXPECT_EQ(record->header_count, 2);
  record = records.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->timestamp_delta, -100);
  EXPECT_EQ(record->key_size, -1);
  EXPECT_EQ(record->value_size, -1);
  record = records.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->offset_delta, 2);
  EXPECT_EQ(record->key_size, 0);
  EXPECT_TRUE(records.finish());
}

TEST(BatchBuilder, ExtremeTimestampsSurvive) {
  BatchBuilder builder(1000);
  builder.start();
  ASSERT_TRUE(builder.add({.timestamp = INT64_MIN}));
  ASSERT_TRUE(builder.add({.timestamp = INT64_MAX}));
  const Result<BatchView> batch = parse_batch(*builder.finish());
  BatchChecker checker(4096);
  const Result<FoundRecord> found = checker.find_timestamp(*batch, INT64_MAX);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->offset, 1);
  EXPECT_EQ(found->timestamp, INT64_MAX);
}

}  // namespace
}  // namespace tailrace::record
