#include "runtime/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace tailrace::runtime {
namespace {

struct TwoCores {
  TwoCores() {
    one.connections_opened.add(5);
    one.connections_closed.add(2);
    one.requests[0].add(7);
    one.bytes_in.add(100);
    two.bytes_in.add(11);
    two.produce_us.record(2000);
    views = {{.broker = &one, .others = {{"wal_syncs_total", "Syncs", true, 3}},
              .space = {.free_bytes = 1000}},
             {.broker = &two, .others = {{"wal_syncs_total", "Syncs", true, 4}},
              .space = {.free_bytes = 900, .refuses_produce = true}}};
  }
  broker::Counters one;
  broker::Counters two;
  std::vector<CoreView> views;
};

TEST(Metrics, NameEveryCounterByCore) {
  const TwoCores node;
  const std::string text = metrics_text(node.views);
  for (const char* line : {"tailrace_requests_total{core=\"0\",api=\"produce\"} 7\n",
                           "tailrace_connections{core=\"0\"} 3\n",
                           "tailrace_received_bytes_total{core=\"1\"} 11\n",
                           "tailrace_produce_seconds{core=\"1\",quantile=\"0.5\"} 0.002000\n",
                           "tailrace_produce_seconds_count{core=\"1\"} 1\n",
                           "tailrace_wal_syncs_total{core=\"1\"} 4\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(Metrics, GroupsAreCountedOncePerNode) {
  const TwoCores node;
  control::GroupCounters counters;
  counters.groups.set(3);
  counters.offset_commits.add(9);
  const std::string text = metrics_text(node.views, group_numbers(counters));
  EXPECT_NE(text.find("tailrace_groups 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("tailrace_group_commits_total 9\n"), std::string::npos) << text;
  EXPECT_NE(status_text(node.views, 1, group_numbers(counters)).find("groups  "),
            std::string::npos);
}

TEST(Metrics, TransactionsAreCountedOncePerNode) {
  const TwoCores node;
  control::TransactionCounters counters;
  counters.ongoing.set(2);
  counters.commits.add(5);
  const std::string text = metrics_text(node.views, transaction_numbers(counters));
  EXPECT_NE(text.find("tailrace_transactions_ongoing 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("tailrace_transaction_commits_total 5\n"), std::string::npos) << text;
}

TEST(Metrics, EverySampleBelongsToATypeToldBefore) {
  const TwoCores node;
  std::istringstream lines(metrics_text(node.views));
  std::string type_name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) type_name = line.substr(7, line.rfind(' ') - 7);
    if (line.starts_with("#")) continue;
    EXPECT_TRUE(line.starts_with(type_name)) << line;
  }
}

TEST(Status, AddsUpTheCores) {
  const TwoCores node;
  const std::string text = status_text(node.views, 61);
  EXPECT_NE(text.find("up          61 s, 2 cores\n"), std::string::npos) << text;
  EXPECT_NE(text.find("bytes       111 in, 0 out\n"), std::string::npos);
  EXPECT_NE(text.find("connections 3 now, 5 in all"), std::string::npos);
  EXPECT_NE(text.find("wal_syncs_total              7\n"), std::string::npos);
}

TEST(Status, ErrorsAreToldBesideTheRequestsTheyCameFrom) {
  EXPECT_NE(status_text(TwoCores().views, 1).find("answers with an error code in them, of "),
            std::string::npos);
}

TEST(Status, TellsOfAFullDisk) {
  TwoCores node;
  EXPECT_NE(status_text(node.views, 1).find("disk        900 bytes free, PRODUCE REFUSED for lack "
                                            "of space by 1 of 2 cores\n"), std::string::npos);
  EXPECT_NE(metrics_text(node.views).find("tailrace_produce_refused_for_space{core=\"1\"} 1\n"),
            std::string::npos);
  EXPECT_NE(metrics_text(node.views).find("tailrace_disk_free_bytes{core=\"0\"} 1000\n"),
            std::string::npos);
  node.views[1].space.refuses_produce = false;
  EXPECT_NE(status_text(node.views, 1).find("900 bytes free, produce accepted\n"),
            std::string::npos);
}

TEST(Metrics, TellOfEachReasonForADroppedFrame) {
  net::Counters counters;
  counters.add(net::Count::drop_tcp_checksum, 3);
  const auto numbers = net_numbers(counters);
  const auto found = std::find_if(numbers.begin(), numbers.end(), [](const NamedNumber& one) {
    return one.name == "net_drop_tcp_checksum_total";
  });
  ASSERT_NE(found, numbers.end());
  EXPECT_EQ(found->value, 3u);
}

TEST(Metrics, TellOfTheNetworkDevice) {
  io::DeviceNumbers device;
  device.missed_frames.add(4);
  LinkWatch link("tr0");
  link.look(io::Link::down);
  const auto numbers = device_numbers(device, link);
  const auto found = std::find_if(numbers.begin(), numbers.end(), [](const NamedNumber& one) {
    return one.name == "device_missed_frames_total";
  });
  ASSERT_NE(found, numbers.end());
  EXPECT_EQ(found->value, 4u);
}

TEST(Metrics, TellOfFramesBetweenCores) {
  io::Handover::Counters counters;
  counters.drop_no_turns.add(4);
  const auto numbers = handover_numbers(counters);
  ASSERT_EQ(numbers.size(), 3u);
  EXPECT_EQ(numbers[0].name, "net_frames_handed_over_total");
  EXPECT_EQ(numbers[2].name, "net_drop_no_turns_total");
  EXPECT_EQ(numbers[2].value, 4u);
}

TEST(Metrics, OfNoCoreAreEmpty) {
  EXPECT_EQ(metrics_text({}), "");
  EXPECT_NE(status_text({}, 0).find("0 cores"), std::string::npos);
}

}  // namespace
}  // namespace tailrace::runtime
