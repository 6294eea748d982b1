// Stories of the simulated links: what their parts find out, and that a network at peace is dull.
#include "links.h"

#include <gtest/gtest.h>

#include "../sim_node.h"

namespace tailrace::sim {
namespace {

struct Card {
  explicit Card(DevicePlan plan = {}) : device(prepared(plan), Prng(1), clock, [this](auto frame) {
    wire.push_back(std::move(frame));
  }) {}
  static DevicePlan prepared(DevicePlan plan) {
    plan.offers.frames_max = 2;
    return plan;
  }
  static TxFrame frame_of(Bytes payload, std::uint32_t hold) {
    TxFrame frame{};
    frame.header_bytes = 54;
    frame.link_bytes = 14;
    frame.network_bytes = 20;
    frame.slice_count = 1;
    frame.slices[0] = payload;
    frame.payload_bytes = static_cast<std::uint32_t>(payload.size());
    frame.hold = hold;
    return frame;
  }
  std::size_t finished() {
    std::array<std::uint32_t, 8> holds;
    return device.take_finished(holds);
  }
  void wait(std::int64_t ms) { clock.advance_to(clock.instant() + milliseconds(ms)); }

  SimClock clock;
  std::vector<std::vector<std::byte>> wire;
  LinkDevice device;
};

TEST(LinkDevice, ReadsAPayloadLateAndGivesItBackLater) {
  Card card({.read_delay_max = milliseconds(10), .finish_delay_max = milliseconds(10)});
  std::string text = "before";
  const TxFrame frame = Card::frame_of(as_bytes(text), 7);
  EXPECT_EQ(card.device.transmit({&frame, 1}), 1u);
  EXPECT_EQ(card.finished(), 0u);
  card.wait(20);
  EXPECT_EQ(card.finished(), 1u);
  ASSERT_EQ(card.wire.size(), 1u);
  EXPECT_EQ(card.wire[0].size(), 54 + text.size());
  EXPECT_EQ(card.device.held_count(), 0u);
  EXPECT_EQ(card.device.changed_payloads(), 0u);
}

TEST(LinkDevice, APayloadThatChangesWhileItIsHeldIsFound) {
  Card card({.finish_delay_max = milliseconds(10)});
  std::string text = "before";
  const TxFrame frame = Card::frame_of(as_bytes(text), 7);
  card.device.transmit({&frame, 1});
  text = "behind";
  card.wait(20);
  EXPECT_EQ(card.finished(), 1u);
  EXPECT_EQ(card.device.changed_payloads(), 1u);
}

TEST(LinkDevice, TakesNoMoreThanItHasRoomFor) {
  Card card({.transmit_ring = 2, .finish_delay_max = milliseconds(10)});
  const std::string text = "text";
  const std::array frames = {Card::frame_of(as_bytes(text), 1), Card::frame_of(as_bytes(text), 2),
                             Card::frame_of(as_bytes(text), 3)};
  EXPECT_EQ(card.device.transmit(frames), 2u);
  card.wait(20);
  EXPECT_EQ(card.finished(), 2u);
  EXPECT_EQ(card.device.transmit(std::span(frames).subspan(2)), 1u);
}

TEST(LinkDevice, LendsWhatItHasAndCountsWhatIsGivenBackTwice) {
  Card card;
  for (int i = 0; i < 3; ++i) card.device.arrive(std::vector<std::byte>(60));
  std::array<RxFrame, 8> frames;
  EXPECT_EQ(card.device.receive(frames), 2u);
  EXPECT_EQ(card.device.lent_count(), 2u);
  EXPECT_EQ(card.device.next_deadline(), never());   // Nothing is free to take the third.
  const std::uint64_t token = frames[0].token;
  card.device.release({&token, 1});
  EXPECT_EQ(card.device.misuses(), 0u);
  EXPECT_EQ(card.device.receive(frames), 1u);
  card.device.release({&token, 1});
  card.device.release({&token, 1});
  EXPECT_EQ(card.device.misuses(), 1u);
}

TEST(Stream, OnlyWhatWasSentIsRight) {
  Stream stream;
  const std::string text = "a request";
  const std::array slices = {as_bytes(text)};
  stream.sent(End::client, slices);
  EXPECT_FALSE(stream.received(End::client, as_bytes("a")));    // Its own.
  EXPECT_TRUE(stream.received(End::server, as_bytes("a re")));
  EXPECT_FALSE(stream.received(End::server, as_bytes("a re"))); // Twice.
  EXPECT_TRUE(stream.received(End::server, as_bytes("quest")));
  EXPECT_FALSE(stream.received(End::server, as_bytes("!")));
}

// A core that echoes, and a client on a machine.
struct Echo {
  explicit Echo(std::uint64_t seed) : links(world, seed, milliseconds(100)) {
    links.heal();
    links.begin_life(1);
    transport = links.make_transport(0, nullptr);
  }
  void run(int turns = 20'000) {
    for (int i = 0; i < turns; ++i) {
      world.clock.advance_to(world.clock.instant() + microseconds(5));
      links.step();
      turn();
    }
  }
  void turn() {
    std::array<StreamEvent, 16> events;
    const std::size_t count = transport->poll(world.clock.instant(), events);
    for (const StreamEvent& event : std::span(events).first(count)) {
      if (event.kind != StreamEvent::Kind::data) continue;
      texts.push_back(std::string(as_text(event.bytes)));
      const std::array slices = {as_bytes(texts.back())};
      EXPECT_TRUE(transport->send(event.conn, slices, texts.size()));
      transport->release(event.token);
    }
    transport->flush(world.clock.instant());
  }
  World world{false};
  Links links;
  std::unique_ptr<LinkTransport> transport;
  std::deque<std::string> texts;
};

TEST(Links, BytesGoThereAndBackAndNothingStays) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Echo echo(seed);
    LinkMachine& machine = echo.links.machine(seed);
    const ConnId conn = machine.connect(echo.links.address(0));
    ASSERT_NE(conn, 0u);
    EXPECT_TRUE(machine.client_send(conn, as_bytes("hello")));
    echo.run();
    std::vector<std::byte> got;
    EXPECT_TRUE(machine.client_receive(conn, got));
    EXPECT_EQ(as_text(got), "hello") << seed;
    echo.links.hang_up();
    echo.run();
    EXPECT_EQ(echo.links.what_is_left(), "") << seed;
    EXPECT_EQ(echo.transport->what_is_left(), "") << seed;
    echo.links.check(*echo.transport, "core");
    echo.links.check_machines();
    EXPECT_TRUE(echo.world.verdicts.all_kept()) << seed;
    echo.links.remove(0, false);
  }
}

TEST(Links, MemoryOfASendThatChangesIsFound) {
  Echo echo(1);
  LinkMachine& machine = echo.links.machine(0);
  const ConnId conn = machine.connect(echo.links.address(0));
  machine.client_send(conn, as_bytes("hello"));
  for (int i = 0; i < 20'000 && echo.texts.empty(); ++i) echo.run(1);
  ASSERT_FALSE(echo.texts.empty());
  echo.texts.front() = "hallo";
  echo.run();
  EXPECT_EQ(echo.transport->changed_sends() > 0, true);
  echo.links.remove(0, true);
}

TEST(Links, ANodeThatCrashesIsSilent) {
  Echo echo(3);
  LinkMachine& machine = echo.links.machine(0);
  const ConnId conn = machine.connect(echo.links.address(0));
  machine.client_send(conn, as_bytes("hello"));
  echo.run();
  std::vector<std::byte> got;
  EXPECT_TRUE(machine.client_receive(conn, got));
  echo.links.remove(0, true);
  echo.transport.reset();
  for (int i = 0; i < 20'000; ++i) {
    echo.world.clock.advance_to(echo.world.clock.instant() + microseconds(5));
    echo.links.step();
  }
  EXPECT_TRUE(machine.client_receive(conn, got));   // Nobody told it.
  // A new life knows nothing of the connection, and says so.
  echo.links.begin_life(1);
  echo.transport = echo.links.make_transport(0, nullptr);
  EXPECT_TRUE(machine.client_send(conn, as_bytes("again")));
  bool is_open = true;
  for (int i = 0; i < 50 && is_open; ++i) {
    echo.run();
    is_open = machine.client_receive(conn, got);
  }
  EXPECT_FALSE(is_open);
  echo.links.remove(0, true);
}

}  // namespace
}  // namespace tailrace::sim
