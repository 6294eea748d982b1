#include "runtime/exchange.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

struct CountingIdle final : io::Idle {
  void wait(Instant) override {}
  void wake() override { ++wakes; }
  int wakes = 0;
};

bus::Outgoing to(bus::CoreId core, std::uint64_t word) {
  return {.to = core, .message = {.kind = bus::MessageKind::image_adopted, .word = word}};
}

TEST(Exchange, TakesAnEvenShareFromEverySenderControlFirst) {
  Exchange exchange(2, 8);
  for (std::uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(exchange.send(1, to(0, 10 + i)));
    ASSERT_TRUE(exchange.send(bus::control_core, to(0, 20 + i)));
  }
  std::array<bus::Message, 6> messages;
  ASSERT_EQ(exchange.receive(0, messages), 4u);
  EXPECT_EQ(messages[0].word, 20u);
  EXPECT_EQ(messages[2].word, 10u);
}

TEST(Exchange, AFullMailboxRefuses) {
  Exchange exchange(1, 2);
  EXPECT_TRUE(exchange.send(bus::control_core, to(0, 1)));
  EXPECT_TRUE(exchange.send(bus::control_core, to(0, 2)));
  EXPECT_FALSE(exchange.send(bus::control_core, to(0, 3)));
}

TEST(Exchange, WakesOnlyASleeper) {
  Exchange exchange(1, 8);
  CountingIdle idle;
  exchange.set_idle(0, &idle);
  ASSERT_TRUE(exchange.send(bus::control_core, to(0, 1)));
  EXPECT_EQ(idle.wakes, 0);
  EXPECT_FALSE(exchange.prepare_sleep(0)) << "a message waits";
  std::array<bus::Message, 8> messages;
  ASSERT_EQ(exchange.receive(0, messages), 1u);
  ASSERT_TRUE(exchange.prepare_sleep(0));
  ASSERT_TRUE(exchange.send(bus::control_core, to(0, 2)));
  EXPECT_EQ(idle.wakes, 1);
  exchange.end_sleep(0);
}

}  // namespace
}  // namespace tailrace::runtime
