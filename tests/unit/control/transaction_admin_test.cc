// What operators are told of transactions.
#include "transaction_rig.h"

namespace tailrace::control {
namespace {

class TransactionAdmin : public testing::Test, protected ReadyTransactions {
 protected:
  // "id/State" of all that pass, in a line; states that are none at the end.
  std::string list(kafka::ListTransactionsRequest request = {}) {
    if (request.duration_filter == 0) request.duration_filter = -1;
    const auto told = rig.ask<kafka::ListTransactionsResponse>(request, 2);
    if (told.error_code != 0) return "error " + std::to_string(told.error_code);
    std::string line;
    for (const auto& one : told.transaction_states) {
      line += std::string(one.transactional_id) + "/" + std::string(one.transaction_state) + " ";
    }
    for (const std::string_view text : told.unknown_state_filters) line += "?" + std::string(text);
    return line;
  }
};

TEST_F(TransactionAdmin, OneIsDescribedWithItsPartitions) {
  EXPECT_EQ(rig.init("tx", 30'000), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 2), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "other", 1), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  kafka::DescribeTransactionsRequest request;
  std::array<std::string_view, 2> ids{"tx", "nothing"};
  request.transactional_ids = ids;
  const auto told = rig.ask<kafka::DescribeTransactionsResponse>(request, 0);
  ASSERT_EQ(told.transaction_states.size(), 2U);
  const auto& one = told.transaction_states[0];
  EXPECT_EQ(one.transaction_state, "Ongoing");
  EXPECT_EQ(one.transaction_timeout_ms, 30'000);
  EXPECT_EQ(one.transaction_start_time_ms, rig.now.wall_ms);
  ASSERT_EQ(one.topics.size(), 2U);
  EXPECT_EQ(one.topics[0].topic, "orders");
  ASSERT_EQ(one.topics[0].partitions.size(), 2U);
  EXPECT_EQ(one.topics[0].partitions[1], 2);
  EXPECT_EQ(told.transaction_states[1].error_code, 105);
}

TEST_F(TransactionAdmin, TheyAreListedByStateProducerAndAge) {
  EXPECT_EQ(rig.init("a"), "1000/0");
  EXPECT_EQ(rig.init("b"), "1001/0");
  EXPECT_EQ(rig.add("b", {1001, 0}, "orders", 0), 0);
  EXPECT_EQ(list(), "a/Empty b/Ongoing ");
  kafka::ListTransactionsRequest request;
  std::array<std::string_view, 2> states{"Ongoing", "Strange"};
  request.state_filters = states;
  EXPECT_EQ(list(request), "b/Ongoing ?Strange");
  request.state_filters = {states.data() + 1, 1};
  EXPECT_EQ(list(request), "?Strange") << "nothing is in no state";
  request = {};
  std::int64_t id = 1000;
  request.producer_id_filters = {&id, 1};
  EXPECT_EQ(list(request), "a/Empty ");
  request = {};
  request.duration_filter = 5000;
  EXPECT_EQ(list(request), "");
  rig.pass(seconds(6));
  EXPECT_EQ(list(request), "b/Ongoing ");
}

TEST_F(TransactionAdmin, TheyAreListedByPattern) {
  EXPECT_EQ(rig.init("orders-1"), "1000/0");
  EXPECT_EQ(rig.init("payments-1"), "1001/0");
  kafka::ListTransactionsRequest request;
  request.transactional_id_pattern = "orders-.*";
  EXPECT_EQ(list(request), "orders-1/Empty ");
  request.transactional_id_pattern = "orders";
  EXPECT_EQ(list(request), "") << "the whole id";
  request.transactional_id_pattern = "";
  EXPECT_EQ(list(request), "orders-1/Empty payments-1/Empty ");
  request.transactional_id_pattern = "(";
  EXPECT_EQ(list(request), "error 128");
}

TEST_F(TransactionAdmin, NothingIsListedBeforeAllIsRead) {
  rig.held = [](const NamedPartition&) { return true; };
  TransactionRig again(logs, state);
  again.held = rig.held;
  again.start();
  const auto told = again.ask<kafka::ListTransactionsResponse>(kafka::ListTransactionsRequest{}, 1);
  EXPECT_EQ(told.error_code, 14);
}

}  // namespace
}  // namespace tailrace::control
