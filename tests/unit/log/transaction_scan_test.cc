#include "log/transaction_scan.h"

#include <gtest/gtest.h>

namespace tailrace::log {
namespace {

TEST(TransactionScanTest, RecordsOfAnAbortedTransactionAreKnown) {
  TransactionScan scan;
  scan.start({{7, 20, 29}, {5, 10, 15}});
  EXPECT_FALSE(scan.on_records(5, 8));
  EXPECT_TRUE(scan.on_records(5, 10));
  EXPECT_FALSE(scan.on_records(7, 12));
  EXPECT_FALSE(scan.on_marker(5));
  EXPECT_FALSE(scan.on_records(5, 21));
  EXPECT_TRUE(scan.on_records(7, 22));
  EXPECT_TRUE(scan.on_records(7, 28));
}

TEST(TransactionScanTest, ItMayBeginInTheMiddleAndWithoutTheMarker) {
  TransactionScan scan;
  scan.start({{5, 10, 15}, {5, 30, 40}});
  EXPECT_TRUE(scan.on_records(5, 12));
  EXPECT_FALSE(scan.on_records(5, 16));  // The marker is gone.
  EXPECT_TRUE(scan.on_records(5, 35));
  EXPECT_FALSE(scan.on_records(5, 41));
}

TEST(TransactionScanTest, AMarkerWithNothingBeforeItIsKnown) {
  TransactionScan scan;
  scan.start({});
  EXPECT_FALSE(scan.on_marker(5));
  scan.on_records(5, 10);
  EXPECT_FALSE(scan.on_marker(5)) << "they were there, but did not stay";
  scan.on_records(5, 12);
  scan.on_kept(5);
  EXPECT_FALSE(scan.on_marker(6));
  EXPECT_TRUE(scan.on_marker(5));
  EXPECT_FALSE(scan.on_marker(5));
  scan.on_kept(5);
  scan.start({});
  EXPECT_FALSE(scan.on_marker(5));
}

}  // namespace
}  // namespace tailrace::log
