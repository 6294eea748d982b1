// Stories of DeleteRecords.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Deletes : public LookUpStory {};

TEST_F(Deletes, DeletedRecordsAreGoneAndTheLowWatermarkIsTold) {
  put(1000, 1);
  put(1000, 1);
  put(1000, 1);
  EXPECT_EQ(remove(2), (Deleted{0, 2}));
  EXPECT_EQ(list(-2).offset, 2);
  FetchMaker fetch;
  EXPECT_EQ(only(client->call<kafka::FetchResponse>(fetch({.offset = 1}), 11).response).error_code,
            1);
  EXPECT_EQ(remove(1), (Deleted{0, 2}));  // It never goes back.
  EXPECT_EQ(remove(4), (Deleted{1, -1}));
  EXPECT_EQ(remove(-2), (Deleted{1, -1}));
  EXPECT_EQ(remove(-1), (Deleted{0, 3}));
}

// The log's start moves at once, but for whoever asks again it is as durable as it is.
TEST_F(Deletes, WhatIsDeletedAlreadyIsToldWhenItIsDurable) {
  put(1000, 1);
  node.disks[0].fail_next(DiskOpKind::sync, EIO);
  EXPECT_EQ(remove(1), (Deleted{56, -1}));
  EXPECT_EQ(remove(1), (Deleted{56, -1}));
  EXPECT_EQ(remove(0), (Deleted{56, -1}));
}

TEST_F(Deletes, RecordsOfACompactedTopicAreNotDeleted) {
  put(1000, 1);
  node.images.change_topic("orders").configs = {{"cleanup.policy", "compact"}};
  node.publish();
  EXPECT_EQ(remove(-1), (Deleted{44, -1}));
}

}  // namespace
}  // namespace tailrace::broker
