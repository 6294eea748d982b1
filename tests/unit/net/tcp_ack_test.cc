// What an ACK may cost: whatever its SACK blocks say, work and memory are bounded.
#include <gtest/gtest.h>

#include "script_runner.h"

namespace tailrace::net {
namespace {

ScriptCase case_of(std::initializer_list<const char*> lines) {
  ScriptCase script{"inline", "", 1, {}};
  std::size_t number = 0;
  for (const char* line : lines) script.lines.emplace_back(++number, line);
  return script;
}

// CVE-2019-11477 and 11478: blocks that cut what was sent into single bytes.
TEST(tcp_ack, a_flood_of_tiny_blocks_takes_bounded_memory) {
  ScriptCase script = case_of({"option sack on", "reach listen", "in S 0:0 mss 1460 sackok",
                               "out S. 0:0 ack 1", "in . 1:1 ack 1 win 65535", "send 14600",
                               "skip 10"});
  for (int i = 0; i < 3000; ++i) {
    const int at = 1 + (i * 37) % 14'000;
    script.lines.emplace_back(0, "in . 1:1 ack 1 sack " + std::to_string(at) + ":" +
                                     std::to_string(at + 1));
  }
  script.lines.emplace_back(0, "in . 1:1 ack 14601");
  EXPECT_EQ(run_case(script), "");
}

TEST(tcp_ack, blocks_at_borders_are_taken_exactly) {
  EXPECT_EQ(run_case(case_of({"option sack on", "reach listen", "in S 0:0 mss 1460 sackok",
                              "out S. 0:0 ack 1", "in . 1:1 ack 1 win 65535", "event accepted",
                              "send 4380", "skip 3", "in . 1:1 ack 1 sack 1461:4381",
                              "wait 1", "in . 1:1 ack 4381", "event sent", "count timeouts 0"})),
            "");
}

// RFC 6298, 3 (Karn): nothing is measured of what was sent twice.
TEST(tcp_ack, a_retransmission_says_nothing_about_the_round_trip) {
  EXPECT_EQ(run_case(case_of({"option rto_min 1000", "reach established", "send 100",
                              "wait 1100", "skip 2", "wait 700", "in . 1:1 ack 101",
                              "event sent", "send 100", "out P. 101:201", "wait 1050",
                              "out P. 101:201"})),
            "");
}

}  // namespace
}  // namespace tailrace::net
