#include "runtime/data_core.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/aligned.h"
#include "kafka/gen/api_versions.h"
#include "log/core_log.h"
#include "runtime/limits.h"
#include "support/kafka_client.h"

namespace tailrace::runtime {
namespace {

struct ScriptedTransport final : io::Transport {
  std::size_t poll(Instant, std::span<StreamEvent> events) override {
    std::size_t count = 0;
    while (count < events.size() && !incoming.empty()) {
      events[count++] = incoming.front();
      incoming.pop_front();
    }
    return count;
  }
  void release(std::uint64_t token) override { trace += "release " + std::to_string(token) + "; "; }
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) override {
    if (refusals > 0) return --refusals, false;
    trace += "send to " + std::to_string(conn) + "; ";
    for (const Bytes slice : slices) sent.insert(sent.end(), slice.begin(), slice.end());
    incoming.push_back({.kind = StreamEvent::Kind::sent, .conn = conn, .token = token});
    return true;
  }
  void pause(ConnId) override {}
  void resume(ConnId) override {}
  void close(ConnId conn) override { end(conn); }
  void abort(ConnId conn) override { end(conn); }
  void end(ConnId conn) {
    trace += "close " + std::to_string(conn) + "; ";
    incoming.push_back({.kind = StreamEvent::Kind::closed, .conn = conn});
  }
  ConnId connect(std::string_view) override { return 0; }
  std::uint64_t refused_count() const override { return refused; }
  Instant next_deadline() const override { return never(); }

  std::deque<StreamEvent> incoming;
  int refusals = 0;
  std::uint64_t refused = 0;
  std::string trace;
  test::Buffer sent;
};

struct DeadDisk final : io::Disk {
  std::size_t submit(std::span<const DiskOp>) override { return 0; }
  std::size_t poll(std::span<DiskDone>) override { return 0; }
  Result<std::vector<io::DirEntry>> list(std::string_view) override { return fail(Errc::io); }
  io::DiskSpace space() override { return ++space_calls, io::DiskSpace{1 << 30, 1 << 30}; }
  int space_calls = 0;
};

Profile small_profile() {
  Profile profile;
  profile.cache_bytes = 16 << 20;
  profile.dirty_bytes_max = 4 << 20;
  profile.request_bytes_max = 1 << 20;
  profile.request_memory_bytes = 1 << 20;
  profile.connections_max = 16;
  return profile;
}

struct Rig {
  void turn() {
    now.instant = now.instant + milliseconds(1);
    core.run_once(now);
  }
  void give_image() {
    exchange.send(bus::control_core, {0, {.kind = bus::MessageKind::image_published,
                                          .object = &image, .word = 1}});
  }
  const Profile profile = small_profile();
  AlignedBuffer memory{log::CoreLog::memory_bytes(log_limits(profile))};
  log::CoreLog log{log_limits(profile), memory.bytes()};
  broker::StaticConfig config;
  broker::CoreBroker broker{broker_limits(profile), 0, log, config};
  ScriptedTransport transport;
  DeadDisk disk;
  Exchange exchange{1, 64};
  DataCore core{0, broker, transport, disk, exchange};
  bus::MetadataImage image{.version = 1, .node_id = 1, .controller_id = 1};
  Now now{.instant = {1'000'000'000}, .wall_ms = 1};
};

TEST(DataCore, ARefusedSendStaysFirstUntilItIsTaken) {
  Rig rig;
  rig.give_image();
  rig.transport.incoming.push_back({.kind = StreamEvent::Kind::accepted, .conn = 7});
  const test::Buffer request = test::build_request(kafka::ApiVersionsRequest{}, 0, 42);
  rig.transport.incoming.push_back(
      {.kind = StreamEvent::Kind::data, .conn = 7, .bytes = request, .token = 9});
  rig.transport.refusals = 2;
  for (int i = 0; i < 2; ++i) rig.turn();
  EXPECT_EQ(rig.transport.trace.find("send"), std::string::npos) << rig.transport.trace;
  for (int i = 0; i < 3; ++i) rig.turn();
  EXPECT_NE(rig.transport.trace.find("send to 7"), std::string::npos) << rig.transport.trace;
  EXPECT_NE(rig.transport.trace.find("release 9"), std::string::npos) << rig.transport.trace;
  test::FrameCutter cutter;
  cutter.add(rig.transport.sent);
  const auto frame = cutter.take();
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(test::correlation_id_of(*frame), 42);
}

TEST(DataCore, SpaceIsLookedAtOnceASecond) {
  Rig rig;
  for (int i = 0; i < 500; ++i) rig.turn();
  EXPECT_EQ(rig.disk.space_calls, 1);
  for (int i = 0; i < 1000; ++i) rig.turn();
  EXPECT_EQ(rig.disk.space_calls, 2);
}

// It refuses before the broker hears of the connection, so the broker's own count would stay 0.
TEST(DataCore, WhatTheTransportRefusesIsCounted) {
  Rig rig;
  rig.transport.refused = 3;
  rig.turn();
  EXPECT_EQ(rig.broker.counters().connections_refused.load(), 3u);
  rig.transport.refused = 5;
  for (int i = 0; i < 2; ++i) rig.turn();
  EXPECT_EQ(rig.broker.counters().connections_refused.load(), 5u);
}

TEST(DataCore, AFullMailboxIsOfferedAgainSoon) {
  Rig rig;
  Exchange exchange(1, 1);  // Room for one message to control.
  DataCore core(0, rig.broker, rig.transport, rig.disk, exchange);
  for (std::uint64_t version = 1; version <= 2; ++version) {
    rig.image.version = version;
    exchange.send(bus::control_core, {0, {.kind = bus::MessageKind::image_published,
                                          .object = &rig.image, .word = version}});
    core.run_once(rig.now);
  }
  // The second image_adopted waits: nobody would wake this core when control makes room.
  EXPECT_EQ(rig.broker.messages().size(), 1u);
  EXPECT_LE(core.next_deadline(), rig.now.instant + milliseconds(1));
  std::vector<bus::Message> messages(exchange.batch_messages(1));
  EXPECT_EQ(exchange.receive(bus::control_core, messages), 1u);
  core.run_once(rig.now);
  EXPECT_TRUE(rig.broker.messages().empty());
}

TEST(DataCore, StoppingClosesConnections) {
  Rig rig;
  rig.give_image();
  rig.transport.incoming.push_back({.kind = StreamEvent::Kind::accepted, .conn = 7});
  rig.turn();
  rig.core.request_stop();
  rig.turn();
  EXPECT_NE(rig.transport.trace.find("close 7"), std::string::npos) << rig.transport.trace;
}

}  // namespace
}  // namespace tailrace::runtime
