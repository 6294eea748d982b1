// Stories of the appender: what is added in one go is one batch, order stays, and each write
// learns its own end.
#include "control/log_appender.h"

#include <gtest/gtest.h>

#include "record/record_iterator.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

struct Named : LogAppender::Write {
  explicit Named(std::string text) : name(std::move(text)) {}
  std::string name;
};

class Appending : public testing::Test {
 protected:
  bool add(std::string name, std::vector<std::string> keys, std::int32_t partition = 0) {
    std::vector<LogAppender::Record> records;
    for (const std::string& key : keys) {
      const Bytes bytes = as_bytes(key);
      records.push_back({{bytes.begin(), bytes.end()}, {}, false});
    }
    const LogAppender::Target target{.owner = 1, .partition = partition, .leader_epoch = epoch};
    return appender.add(target, std::make_shared<Named>(std::move(name)), records, 1000);
  }
  // "0:abc": the partition and the keys of each batch.
  std::string flush() {
    tasks.clear();
    appender.flush(tasks);
    std::string line;
    for (const bus::LogTask* task : tasks) {
      const auto batch = record::parse_batch(task->records);
      EXPECT_TRUE(batch && record::crc_matches(batch->bytes));
      line += (line.empty() ? "" : " ") + std::to_string(task->partition) + ":";
      record::RecordIterator iterator(batch->records());
      for (std::int32_t i = 0; i < batch->header.record_count; ++i) {
        line += static_cast<char>(iterator.next()->key[0]);
      }
    }
    return line;
  }
  // Which writes end with that, "name=code".
  std::string done(std::size_t index, ErrorCode error = ErrorCode::none) {
    tasks[index]->error = to_wire(error);
    LogAppender::Writes ended;
    EXPECT_TRUE(appender.on_done(tasks[index], ended));
    return names(ended);
  }
  static std::string names(const LogAppender::Writes& ended) {
    std::string line;
    for (const auto& write : ended) {
      line += (line.empty() ? "" : " ") + static_cast<Named&>(*write).name + "=" +
              std::to_string(to_wire(write->error));
    }
    return line;
  }

  LogAppender appender{1000};
  std::vector<bus::LogTask*> tasks;
  std::int32_t epoch = 1;
};

TEST_F(Appending, WhatIsAddedInOneGoIsOneBatchOfEachPartition) {
  add("first", {"a", "b"});
  add("other", {"x"}, 3);
  add("second", {"c"});
  EXPECT_EQ(flush(), "0:abc 3:x");
  EXPECT_EQ(done(0), "first=0 second=0");
  EXPECT_EQ(done(1), "other=0");
  EXPECT_EQ(flush(), "");
  EXPECT_EQ(appender.bytes(), 0U);
}

TEST_F(Appending, WhatComesWhileABatchIsOutGoesWithTheNext) {
  add("first", {"a"});
  EXPECT_EQ(flush(), "0:a");
  bus::LogTask* task = tasks[0];
  add("second", {"b"});
  add("third", {"c"});
  EXPECT_EQ(flush(), "") << "one at a time";
  tasks = {task};
  EXPECT_EQ(done(0), "first=0");
  EXPECT_EQ(flush(), "0:bc");
  EXPECT_EQ(done(0, ErrorCode::kafka_storage_error), "second=56 third=56");
}

TEST_F(Appending, AWriteOfSeveralBatchesEndsWithTheLastAndAnyErrorIsItsOwn) {
  const std::string large(400, 'L');
  add("large", {large, large, large});
  add("small", {"s"});
  EXPECT_EQ(flush(), "0:LL");
  EXPECT_EQ(done(0, ErrorCode::not_leader_or_follower), "");
  EXPECT_EQ(flush(), "0:Ls");
  EXPECT_EQ(done(0), "large=6 small=0");
}

TEST_F(Appending, WithARecordThatIsTooLargeNothingOfTheWriteIsAppended) {
  EXPECT_FALSE(add("a", {"x", std::string(1000, 'y')}));
  EXPECT_TRUE(add("b", {"z"}));
  EXPECT_EQ(flush(), "0:z");
}

TEST_F(Appending, ABatchTooLargeForItsTopicIsSentInHalves) {
  add("a", {"a"});
  add("b", {"b"});
  add("c", {"c"});
  add("d", {"d"});
  EXPECT_EQ(flush(), "0:abcd");
  EXPECT_EQ(done(0, ErrorCode::message_too_large), "");
  EXPECT_EQ(flush(), "0:ab");
  EXPECT_EQ(done(0, ErrorCode::message_too_large), "");
  EXPECT_EQ(flush(), "0:a");
  EXPECT_EQ(done(0, ErrorCode::message_too_large), "a=10") << "it alone is too large";
  EXPECT_EQ(flush(), "0:b");
  EXPECT_EQ(done(0), "b=0");
  EXPECT_EQ(flush(), "0:cd") << "more again after a success";
  EXPECT_EQ(done(0), "c=0 d=0");
}

TEST_F(Appending, APartitionThatIsLostEndsWhoWaitsAndLaterWhatIsOut) {
  add("out", {"a"});
  flush();
  bus::LogTask* task = tasks[0];
  add("waits", {"b"});
  LogAppender::Writes ended;
  appender.drop(0, ended);
  EXPECT_EQ(names(ended), "waits=16");
  epoch = 2;  // It comes back, as another life.
  add("new", {"n"});
  EXPECT_EQ(flush(), "0:n");
  tasks.push_back(task);
  EXPECT_EQ(done(1, ErrorCode::message_too_large), "out=10");
  EXPECT_EQ(done(0), "new=0");
  EXPECT_EQ(appender.bytes(), 0U);
  add("more", {"m", "n"});
  flush();
  task = tasks[0];
  appender.drop(0, ended = {});
  tasks = {task};
  EXPECT_EQ(done(0, ErrorCode::message_too_large), "more=16") << "not sent again";
  EXPECT_EQ(appender.bytes(), 0U);
}

}  // namespace
}  // namespace tailrace::control
