// A node of several cores, each with a stack of its own and the same address, and a peer of one: on
// whatever queue a frame of the peer's comes, its connection goes on.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../fake_queue.h"
#include "base/prng.h"
#include "io/steering/steered_device.h"
#include "io/userstack/user_transport.h"

namespace tailrace::io {
namespace {

constexpr std::uint16_t core_count = 3;
constexpr std::size_t peer = core_count;   // its place among the ends

// Answers what it is sent with the same; of what it connects it keeps the answer.
struct End {
  std::unique_ptr<UserTransport> transport;
  FakeQueue* queue = nullptr;
  std::map<ConnId, bool> connections;             // and whether it connected itself
  std::map<ConnId, std::string> answers;
  std::map<std::uint64_t, std::string> sending;   // by token
  std::uint64_t next_token = 1;
  int accepted = 0;
  int connected = 0;
  int closed = 0;

  void send(ConnId conn, std::string_view text) {
    const std::uint64_t token = next_token++;
    sending[token] = std::string(text);
    const Bytes bytes = as_bytes(sending[token]);
    ASSERT_TRUE(transport->send(conn, {&bytes, 1}, token));
  }
  void on_event(const StreamEvent& event) {
    using Kind = StreamEvent::Kind;
    switch (event.kind) {
      case Kind::accepted:
        connections[event.conn] = false;
        ++accepted;
        break;
      case Kind::connected:
        connections[event.conn] = true;
        ++connected;
        break;
      case Kind::data: {
        const std::string text(as_text(event.bytes));
        transport->release(event.token);
        if (connections[event.conn]) {
          answers[event.conn] += text;
        } else {
          send(event.conn, text);
        }
        break;
      }
      case Kind::sent: sending.erase(event.token); break;
      case Kind::closed: ++closed; break;
    }
  }
  void step(Instant now) {
    std::array<StreamEvent, 16> events;
    const std::size_t count = transport->poll(now, events);
    for (std::size_t i = 0; i < count; ++i) on_event(events[i]);
    transport->flush(now);
  }
};

struct Network {
  // `queues`: of the device, that its frames may come on, as the seed says.
  Network(std::uint64_t seed, std::uint16_t queues, std::uint32_t frames_max)
      : prng(seed, "queues"), handover(core_count, frames_max / core_count) {
    for (std::uint16_t i = 0; i <= peer; ++i) {
      End& end = ends[i];
      auto queue = std::make_unique<FakeQueue>(frames_max);
      end.queue = queue.get();
      UserTransport::Options options{.key = {static_cast<std::uint8_t>(i + 1)}, .start = now};
      const std::uint8_t host = i == peer ? 2 : 1;
      const net::IpAddress address = net::IpAddress::v4(10, 0, 0, host);
      options.interface.mac = {{2, 0, 0, 0, 0, host}};
      options.interface.addresses = {{address, 24}};
      options.limits.connections_max = 64;
      options.listen = {{address, 9092}};
      std::unique_ptr<PacketDevice> device = std::move(queue);
      if (i != peer) {
        end.queue->send = [this](auto frame) { to(peer).push_back(std::move(frame)); };
        options.steering = &handover.steering();
        options.core = i;
        device = std::make_unique<SteeredDevice>(handover, i, std::move(device));
      } else {
        end.queue->send = [this, queues](auto frame) {
          to(prng.below(queues)).push_back(std::move(frame));
        };
      }
      end.transport = std::make_unique<UserTransport>(std::move(options), std::move(device));
    }
  }
  ~Network() {
    for (End& end : ends) end.queue->send = nullptr;   // Not into what has ended already.
  }
  std::deque<std::vector<std::byte>>& to(std::size_t end) { return ends[end].queue->arrived; }
  void run(int turns) {
    for (int turn = 0; turn < turns; ++turn) {
      now = now + microseconds(100);
      for (End& end : ends) end.step(now);
    }
  }
  std::uint64_t count(net::Count which) const {
    std::uint64_t sum = 0;
    for (const End& end : ends) sum += end.transport->stack().counters().of(which);
    return sum;
  }
  std::uint64_t dropped() const {
    std::uint64_t sum = 0;
    for (std::uint16_t i = 0; i < core_count; ++i) sum += handover.counters(i).drop_no_turns.load();
    return sum;
  }

  Instant now{seconds(1000).ns};
  Prng prng;
  Handover handover;
  std::array<End, core_count + 1> ends;
};

void expect_peers_are_served(std::uint16_t queues) {
  Network network(1, queues, 192);
  std::vector<ConnId> conns;
  for (int i = 0; i < 24; ++i) {
    conns.push_back(network.ends[peer].transport->connect("10.0.0.1:9092"));
  }
  network.run(3000);
  ASSERT_EQ(network.ends[peer].connected, 24);
  for (std::size_t i = 0; i < core_count; ++i) EXPECT_GT(network.ends[i].accepted, 0) << i;
  const std::string text(20'000, 'q');
  for (const ConnId conn : conns) network.ends[peer].send(conn, text);
  network.run(20'000);
  for (const ConnId conn : conns) EXPECT_EQ(network.ends[peer].answers[conn], text);
  EXPECT_EQ(network.count(net::Count::resets_out), 0u) << "a segment that came to another core";
}

TEST(SeveralCores, PeersAreServedFromOneQueue) { expect_peers_are_served(1); }

TEST(SeveralCores, PeersAreServedFromAnyQueue) { expect_peers_are_served(core_count); }

// What it connects to answers to a port whose hash is its own.
TEST(SeveralCores, EveryCoreConnects) {
  Network network(2, core_count, 192);
  std::vector<std::vector<ConnId>> conns(core_count);
  for (std::size_t core = 0; core < core_count; ++core) {
    for (int i = 0; i < 10; ++i) {
      conns[core].push_back(network.ends[core].transport->connect("10.0.0.2:9092"));
      EXPECT_NE(conns[core].back(), 0u);
    }
  }
  network.run(3000);
  EXPECT_EQ(network.ends[peer].accepted, 30);
  for (std::size_t core = 0; core < core_count; ++core) {
    ASSERT_EQ(network.ends[core].connected, 10) << core;
    for (const ConnId conn : conns[core]) network.ends[core].send(conn, "to and fro");
  }
  network.run(3000);
  for (std::size_t core = 0; core < core_count; ++core) {
    for (const ConnId conn : conns[core]) {
      EXPECT_EQ(network.ends[core].answers[conn], "to and fro");
    }
    EXPECT_EQ(network.ends[core].transport->connect("192.168.0.1:9092"), 0u) << "no way there";
  }
  EXPECT_EQ(network.count(net::Count::resets_out), 0u);
}

// A core stands still: its connections wait for it, the others notice nothing.
TEST(SeveralCores, ACoreThatStandsStillHoldsUpNobody) {
  Network network(3, 1, 192);
  std::vector<ConnId> conns;
  for (int i = 0; i < 24; ++i) {
    conns.push_back(network.ends[peer].transport->connect("10.0.0.1:9092"));
  }
  network.run(3000);
  const std::string text(100'000, 's');
  for (const ConnId conn : conns) network.ends[peer].send(conn, text);
  for (int turn = 0; turn < 20'000; ++turn) {
    network.now = network.now + microseconds(100);
    for (std::size_t i = 0; i <= peer; ++i) {
      if (i != 2) network.ends[i].step(network.now);
    }
  }
  EXPECT_GT(network.dropped(), 0u);
  std::size_t served = 0;
  for (const ConnId conn : conns) {
    if (network.ends[peer].answers[conn] == text) ++served;
  }
  EXPECT_EQ(served, 24u - network.ends[2].accepted);
  network.run(60'000);
  for (const ConnId conn : conns) EXPECT_EQ(network.ends[peer].answers[conn], text);
}

}  // namespace
}  // namespace tailrace::io
