#include "io/userstack/user_transport.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "../fake_queue.h"

namespace tailrace::io {
namespace {

struct End {
  std::unique_ptr<UserTransport> transport;
  FakeQueue* device = nullptr;
  ConnId conn = 0;
  std::string host;
  std::string received;
  std::vector<std::uint64_t> sent;
  std::vector<std::uint64_t> kept;   // tokens of data events
  bool keeps = false;
  bool connected = false;
  bool closed = false;
};

// Two transports on one wire, on which frames that are sent have arrived at once; end 1 listens.
struct Wire {
  Wire() {
    for (std::size_t i = 0; i < 2; ++i) {
      auto device = std::make_unique<FakeQueue>(512);
      ends[i].device = device.get();
      device->send = [this, i](auto frame) {
        if (ends[i ^ 1].transport == nullptr) return;
        ends[i ^ 1].device->arrived.push_back(std::move(frame));
      };
      const auto last = static_cast<std::uint8_t>(i + 1);
      UserTransport::Options options{.start = now};
      options.interface.mac = {{2, 0, 0, 0, 0, last}};
      options.interface.addresses = {{net::IpAddress::v4(10, 0, 0, last), 24}};
      options.limits.connections_max = 16;
      if (i == 1) options.listen = {{net::IpAddress::v4(10, 0, 0, 2), 9092}};
      ends[i].transport = std::make_unique<UserTransport>(options, std::move(device));
    }
  }
  ~Wire() {
    for (End& end : ends) end.transport.reset();
  }
  void open() {
    ends[0].conn = ends[0].transport->connect("10.0.0.2:9092");
    ASSERT_NE(ends[0].conn, 0u);
    run();
    ASSERT_TRUE(ends[0].connected);
    ASSERT_NE(ends[1].conn, 0u);
  }
  void run(int turns = 200) {
    for (int turn = 0; turn < turns; ++turn) {
      now = now + microseconds(100);
      for (End& end : ends) {
        if (end.transport != nullptr) step(end);
      }
    }
  }
  void step(End& end) {
    std::array<StreamEvent, 8> events;
    const std::size_t count = end.transport->poll(now, events);
    for (std::size_t i = 0; i < count; ++i) on_event(end, events[i]);
    end.transport->flush(now);
  }
  static void on_event(End& end, const StreamEvent& event) {
    using Kind = StreamEvent::Kind;
    switch (event.kind) {
      case Kind::accepted:
        end.conn = event.conn;
        end.host = as_text(event.bytes);
        break;
      case Kind::connected: end.connected = true; break;
      case Kind::data:
        end.received += as_text(event.bytes);
        end.kept.push_back(event.token);
        if (!end.keeps) release(end);
        break;
      case Kind::sent: end.sent.push_back(event.token); break;
      case Kind::closed: end.closed = true; break;
    }
  }
  static void release(End& end) {
    for (const std::uint64_t token : end.kept) end.transport->release(token);
    end.kept.clear();
  }
  bool send(int from, std::string_view text, std::uint64_t token = 1) {
    const Bytes bytes = as_bytes(text);
    return ends[from].transport->send(ends[from].conn, {&bytes, 1}, token);
  }

  Instant now{seconds(1000).ns};
  std::array<End, 2> ends;
};

TEST(UserTransport, TellsWhatTheKernelsWouldTell) {
  Wire wire;
  wire.open();
  EXPECT_EQ(wire.ends[1].host, "10.0.0.1");
  EXPECT_TRUE(wire.send(0, "question", 7));
  wire.run(1000);  // The acknowledgement is delayed.
  EXPECT_EQ(wire.ends[1].received, "question");
  EXPECT_EQ(wire.ends[0].sent, std::vector<std::uint64_t>{7});
  EXPECT_TRUE(wire.send(1, "answer", 8));
  wire.run();
  EXPECT_EQ(wire.ends[0].received, "answer");
  wire.ends[0].transport->close(wire.ends[0].conn);
  wire.run();
  EXPECT_TRUE(wire.ends[0].closed);
  EXPECT_TRUE(wire.ends[1].closed) << "the peer's end of stream closes our side, too";
}

TEST(UserTransport, WhatWasSentBeforeTheCloseArrives) {
  Wire wire;
  wire.open();
  const std::string text(300'000, 'x');
  EXPECT_TRUE(wire.send(1, text));
  wire.ends[1].transport->close(wire.ends[1].conn);
  wire.run(2000);
  EXPECT_EQ(wire.ends[0].received, text);
  EXPECT_TRUE(wire.ends[0].closed);
  EXPECT_TRUE(wire.ends[1].closed);
}

TEST(UserTransport, KeptBytesCloseTheWindowAndFramesComeBack) {
  Wire wire;
  wire.open();
  wire.ends[1].keeps = true;
  const std::string text(500'000, 'y');
  EXPECT_TRUE(wire.send(0, text));
  wire.run(2000);
  EXPECT_LT(wire.ends[1].received.size(), text.size());
  EXPECT_GT(wire.ends[1].device->lent_count(), 0u);
  wire.ends[1].keeps = false;
  Wire::release(wire.ends[1]);
  wire.run(60'000);
  EXPECT_EQ(wire.ends[1].received, text);
  EXPECT_EQ(wire.ends[1].device->lent_count(), 0u);
}

TEST(UserTransport, OffersAgainWhatAFullDeviceDidNotTake) {
  Wire wire;
  wire.open();
  wire.ends[0].device->accepts = 1;
  const std::string text(100'000, 'z');
  EXPECT_TRUE(wire.send(0, text));
  wire.step(wire.ends[0]);
  EXPECT_GT(wire.ends[0].transport->next_deadline(), wire.now) << "no spinning meanwhile";
  EXPECT_LE(wire.ends[0].transport->next_deadline(), wire.now + milliseconds(1));
  wire.run(5000);
  EXPECT_EQ(wire.ends[1].received, text);
  EXPECT_EQ(wire.ends[0].transport->stack().counters().of(net::Count::retransmits), 0u);
}

TEST(UserTransport, PausedNothingComes) {
  Wire wire;
  wire.open();
  wire.ends[1].transport->pause(wire.ends[1].conn);
  EXPECT_TRUE(wire.send(0, "later"));
  wire.run();
  EXPECT_TRUE(wire.ends[1].received.empty());
  wire.ends[1].transport->resume(wire.ends[1].conn);
  wire.run();
  EXPECT_EQ(wire.ends[1].received, "later");
}

TEST(UserTransport, AnAddressThatIsNoneIsNoConnection) {
  Wire wire;
  EXPECT_EQ(wire.ends[0].transport->connect("nowhere:9092"), 0u);
  EXPECT_EQ(wire.ends[0].transport->connect("192.168.1.1:9092"), 0u) << "no way there";
}

// Found end to end: a node whose device was deleted needed half a minute to stop.
TEST(UserTransport, WithoutADeviceAConnectionEndsAtOnce) {
  Wire wire;
  wire.open();
  EXPECT_TRUE(wire.send(0, "never acknowledged", 3));
  wire.ends[0].device->is_gone = true;
  wire.ends[0].device->send = nullptr;
  EXPECT_TRUE(wire.ends[0].transport->failed());
  wire.ends[0].transport->close(wire.ends[0].conn);
  wire.run(2);
  EXPECT_EQ(wire.ends[0].sent, std::vector<std::uint64_t>{3});
  EXPECT_TRUE(wire.ends[0].closed);
}

TEST(UserTransport, PeersHearOfTheEnd) {
  Wire wire;
  wire.open();
  wire.ends[1].transport.reset();
  wire.run();
  EXPECT_TRUE(wire.ends[0].closed);
}

}  // namespace
}  // namespace tailrace::io
