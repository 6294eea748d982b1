// Stories of the simulated byte streams.
#include "sim_transport.h"

#include <gtest/gtest.h>

namespace tailrace::sim {
namespace {

struct Wire {
  explicit Wire(const NetworkPace& pace = {}, std::uint64_t seed = 1)
      : transport(clock, trace, Prng(seed), pace, "core") {}

  std::vector<StreamEvent> poll() {
    std::array<StreamEvent, 16> events;
    const std::size_t count = transport.poll(clock.instant(), events);
    return {events.begin(), events.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  void wait(std::int64_t ms) { clock.advance_to(clock.instant() + milliseconds(ms)); }
  ConnId connect() {
    const ConnId conn = transport.client_connect(0);
    wait(1);
    EXPECT_EQ(poll().front().kind, StreamEvent::Kind::accepted);
    return conn;
  }

  SimClock clock;
  Trace trace;
  SimTransport transport;
};

TEST(SimTransport, BytesArriveInOrderInPieces) {
  Wire wire({.piece_bytes_max = 7});
  const ConnId conn = wire.connect();
  const std::string text = "all of it, and in this order";
  EXPECT_TRUE(wire.transport.client_send(conn, as_bytes(text)));
  wire.wait(1);
  std::string got;
  while (got.size() < text.size()) {
    for (const StreamEvent& event : wire.poll()) {
      EXPECT_EQ(event.kind, StreamEvent::Kind::data);
      got += as_text(event.bytes);
      wire.transport.release(event.token);
    }
  }
  EXPECT_EQ(got, text);
  EXPECT_EQ(wire.transport.buffers_held(), 0U);
}

TEST(SimTransport, ReleasedBuffersAreNotWhatTheyWere) {
  Wire wire;
  const ConnId conn = wire.connect();
  wire.transport.client_send(conn, as_bytes("ab"));
  wire.wait(1);
  const auto events = wire.poll();
  ASSERT_EQ(events.size(), 1U);
  wire.transport.release(events[0].token);
  wire.transport.release(events[0].token);
  EXPECT_EQ(wire.transport.misuses(), 1U);
}

TEST(SimTransport, PausedConnectionsDeliverNothing) {
  Wire wire;
  const ConnId conn = wire.connect();
  wire.transport.pause(conn);
  wire.transport.client_send(conn, as_bytes("later"));
  wire.wait(10);
  EXPECT_TRUE(wire.poll().empty());
  EXPECT_EQ(wire.transport.next_deadline(), never());
  wire.transport.resume(conn);
  EXPECT_EQ(wire.poll().size(), 1U);
}

TEST(SimTransport, ASendIsReportedOnceItsBytesHaveGone) {
  Wire wire;
  const ConnId conn = wire.connect();
  const std::string first = "first ";
  const std::string second = "second";
  const std::array<Bytes, 2> slices = {as_bytes(first), as_bytes(second)};
  EXPECT_TRUE(wire.transport.send(conn, slices, 77));
  std::vector<StreamEvent> events;
  while (events.empty()) {
    wire.wait(1);
    events = wire.poll();
  }
  EXPECT_EQ(events[0].kind, StreamEvent::Kind::sent);
  EXPECT_EQ(events[0].token, 77U);
  wire.wait(10);
  std::vector<std::byte> got;
  EXPECT_TRUE(wire.transport.client_receive(conn, got));
  EXPECT_EQ(as_text(got), "first second");
}

TEST(SimTransport, PendingSendsAreReportedBeforeClosed) {
  Wire wire;
  const ConnId conn = wire.connect();
  const std::string text = "x";
  const Bytes slice = as_bytes(text);
  wire.transport.send(conn, {&slice, 1}, 1);
  wire.transport.send(conn, {&slice, 1}, 2);
  wire.transport.abort(conn);
  std::vector<StreamEvent::Kind> kinds;
  for (int i = 0; i < 10; ++i) {
    for (const StreamEvent& event : wire.poll()) kinds.push_back(event.kind);
    wire.wait(1);
  }
  using Kind = StreamEvent::Kind;
  EXPECT_EQ(kinds, (std::vector{Kind::sent, Kind::sent, Kind::closed}));
  std::vector<std::byte> rest;
  EXPECT_FALSE(wire.transport.client_receive(conn, rest));
}

TEST(SimTransport, RefusesSendsOnlyWhileOneIsUnderWay) {
  Wire wire({.refuse = 1'000'000});
  const ConnId conn = wire.connect();
  const std::string text = "x";
  const Bytes slice = as_bytes(text);
  EXPECT_TRUE(wire.transport.send(conn, {&slice, 1}, 1));
  EXPECT_FALSE(wire.transport.send(conn, {&slice, 1}, 2));
}

TEST(SimTransport, NoDataWhileAllReceiveBuffersAreHeld) {
  Wire wire({.piece_bytes_max = 1, .receive_buffers = 2});
  const ConnId conn = wire.connect();
  wire.transport.client_send(conn, as_bytes("abc"));
  wire.wait(1);
  const auto events = wire.poll();
  EXPECT_EQ(events.size(), 2U);
  EXPECT_TRUE(wire.poll().empty());
  wire.transport.release(events[0].token);
  EXPECT_EQ(wire.poll().size(), 1U);
}

}  // namespace
}  // namespace tailrace::sim
