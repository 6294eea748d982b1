#include "io/uring/uring_transport.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

#include <numeric>

#include "peer.h"
#include "support.h"

namespace tailrace::io {
namespace {

std::string pattern(std::size_t bytes, std::uint32_t seed = 1) {
  std::string text(bytes, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

ConnId accept_one(Loop& loop, std::size_t count = 1) {
  EXPECT_TRUE(loop.until([&] { return loop.accepted.size() == count; }));
  return loop.accepted.empty() ? 0 : loop.accepted.back();
}

TEST(UringTransport, EchoesOverManyConnections) {
  Loop loop(Loop::listening());
  loop.echo = true;
  std::vector<Peer> peers;
  std::vector<std::string> wanted, got(64);
  for (std::uint32_t i = 0; i < 64; ++i) {
    peers.emplace_back(loop.address());
    ASSERT_TRUE(peers.back().is_connected);
    wanted.push_back(pattern(1000 + i * 100, i));
    ASSERT_EQ(peers.back().write_some(wanted.back()), wanted.back().size());
  }
  EXPECT_TRUE(loop.until([&] {
    bool all = true;
    for (std::size_t i = 0; i < peers.size(); ++i) {
      got[i] += peers[i].read_some();
      all &= got[i].size() == wanted[i].size();
    }
    return all;
  }));
  EXPECT_EQ(got, wanted);
}

TEST(UringTransport, CarriesLargeMessagesBothWaysAtOnce) {
  Loop loop(Loop::listening());
  loop.echo = true;
  Peer peer(loop.address());
  const std::string wanted = pattern(16 << 20);
  std::size_t written = 0;
  std::string got;
  EXPECT_TRUE(loop.until([&] {
    written += peer.write_some(std::string_view(wanted).substr(written, 1 << 20));
    got += peer.read_some(1 << 20);
    return got.size() == wanted.size();
  }));
  EXPECT_TRUE(got == wanted);
}

TEST(UringTransport, SendsMoreSlicesThanOneCallTakesInOrder) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  const std::string wanted = pattern(1500 * 100);
  std::vector<Bytes> slices;
  for (std::size_t i = 0; i < 1500; ++i) slices.push_back(as_bytes(wanted).subspan(i * 100, 100));
  ASSERT_TRUE(loop.transport->send(conn, slices, 7));
  std::string got;
  EXPECT_TRUE(loop.until([&] {
    got += peer.read_some();
    return got.size() == wanted.size() && loop.sent.size() == 1;
  }));
  EXPECT_TRUE(got == wanted);
  EXPECT_EQ(loop.sent, std::vector<std::uint64_t>{7});
}

TEST(UringTransport, KeepsTheOrderOfSendsAndReportsEachOnce) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  std::vector<std::string> texts;
  std::string wanted;
  for (std::uint32_t i = 0; i < 300; ++i) texts.push_back(pattern(i % 7 == 0 ? 0 : i * 31, i));
  for (std::uint32_t i = 0; i < 300; ++i) {
    wanted += texts[i];
    ASSERT_TRUE(loop.send_text(conn, texts[i], i));
  }
  std::string got;
  EXPECT_TRUE(loop.until([&] {
    got += peer.read_some();
    return loop.sent.size() == 300 && got.size() == wanted.size();
  }));
  EXPECT_TRUE(got == wanted);
  std::vector<std::uint64_t> in_order(300);
  std::iota(in_order.begin(), in_order.end(), 0);
  EXPECT_EQ(loop.sent, in_order);
}

TEST(UringTransport, RefusesSendsBeyondItsRoomAndTakesThemLater) {
  TransportOptions options = Loop::listening();
  options.sends_max = 2;
  Loop loop(options);
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  const std::string text = "abc";
  EXPECT_TRUE(loop.send_text(conn, text, 1));
  EXPECT_TRUE(loop.send_text(conn, text, 2));
  EXPECT_FALSE(loop.send_text(conn, text, 3));
  EXPECT_TRUE(loop.until([&] { return loop.sent.size() == 2; }));
  EXPECT_TRUE(loop.send_text(conn, text, 3));
  EXPECT_TRUE(loop.until([&] { return loop.sent.size() == 3; }));
}

TEST(UringTransport, LeavesTheSendOfASlowReaderInFlight) {
  Loop loop(Loop::listening());
  Peer slow(loop.address(), 65536);
  const ConnId slow_conn = accept_one(loop);
  const std::string big = pattern(8 << 20);
  ASSERT_TRUE(loop.send_text(slow_conn, big, 1));
  Peer quick(loop.address());
  const ConnId quick_conn = accept_one(loop, 2);
  const std::string small = "hello";
  ASSERT_TRUE(loop.send_text(quick_conn, small, 2));
  EXPECT_TRUE(loop.until([&] { return loop.sent.size() == 1; }));
  loop.settle(milliseconds(50));
  EXPECT_EQ(loop.sent, std::vector<std::uint64_t>{2});
  std::string got;
  EXPECT_TRUE(loop.until([&] {
    got += slow.read_some(1 << 20);
    return got.size() == big.size();
  }));
  EXPECT_TRUE(loop.until([&] { return loop.sent.size() == 2; }));
  EXPECT_TRUE(got == big);
}

TEST(UringTransport, PausesUntilResumed) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  ASSERT_EQ(peer.write_some("one"), 3u);
  EXPECT_TRUE(loop.until([&] { return loop.received[conn] == "one"; }));
  loop.transport->pause(conn);
  // Far more than a receive buffer: the peer's window must close.
  const std::string wanted = pattern(32 << 20);
  std::size_t written = 0;
  for (int i = 0; i < 100; ++i) {
    written += peer.write_some(std::string_view(wanted).substr(written));
    loop.step();
  }
  EXPECT_LT(written, wanted.size());
  EXPECT_EQ(loop.received[conn], "one");
  loop.transport->resume(conn);
  EXPECT_TRUE(loop.until([&] {
    written += peer.write_some(std::string_view(wanted).substr(written));
    return loop.received[conn].size() == wanted.size() + 3;
  }));
  EXPECT_TRUE(loop.received[conn].substr(3) == wanted);
}

TEST(UringTransport, SurvivesPausingAndResumingAtAnyMoment) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  const std::string wanted = pattern(4 << 20);
  std::size_t written = 0;
  std::uint32_t step = 0;
  EXPECT_TRUE(loop.until([&] {
    written += peer.write_some(std::string_view(wanted).substr(written, 100'000));
    if (++step % 3 == 0) loop.transport->pause(conn);
    if (step % 5 == 0 || written == wanted.size()) loop.transport->resume(conn);
    return loop.received[conn].size() == wanted.size();
  }));
  EXPECT_TRUE(loop.received[conn] == wanted);
}

TEST(UringTransport, ThePeersEndComesAfterItsBytesEvenWhenPaused) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  ASSERT_EQ(peer.write_some("last words"), 10u);
  peer.close();
  // Both are in the queue of completions before the first poll looks at them.
  loop.ring->wait(Ring::monotonic_now() + milliseconds(20));
  loop.transport->pause(conn);
  loop.settle(milliseconds(30));
  EXPECT_EQ(loop.received[conn], "");
  EXPECT_TRUE(loop.closed.empty());
  loop.transport->resume(conn);
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  EXPECT_EQ(loop.received[conn], "last words");
}

TEST(UringTransport, ReportsSentBeforeClosedWhenThePeerBreaks) {
  Loop loop(Loop::listening());
  Peer peer(loop.address(), 4096);
  const ConnId conn = accept_one(loop);
  const std::string big = pattern(8 << 20);
  for (std::uint64_t i = 0; i < 5; ++i) ASSERT_TRUE(loop.send_text(conn, big, i));
  loop.settle(milliseconds(20));
  EXPECT_TRUE(loop.sent.empty());
  peer.reset();
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  EXPECT_EQ(loop.sent_before_closed[conn], 5u);
  EXPECT_EQ(loop.closed[conn], 1);
  EXPECT_EQ(loop.transport->connection_count(), 0u);
}

TEST(UringTransport, GivesTheMemoryOfALateSendBack) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  loop.transport->abort(conn);
  const std::string text = "late";
  EXPECT_TRUE(loop.send_text(conn, text, 1));   // Aborted, but `closed` was not polled yet.
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  EXPECT_EQ(loop.sent_before_closed[conn], 1u);
  loop.closed.clear();
  EXPECT_TRUE(loop.send_text(conn, text, 2));   // A stale id.
  EXPECT_TRUE(loop.until([&] { return loop.sent.size() == 2; }));
}

TEST(UringTransport, ClosesAfterAllSendsAlthoughThePeerKeepsTalking) {
  Loop loop(Loop::listening());
  Peer peer(loop.address(), 4096);
  const ConnId conn = accept_one(loop);
  const std::string big = pattern(4 << 20);
  ASSERT_TRUE(loop.send_text(conn, big, 1));
  loop.transport->close(conn);
  std::string got;
  EXPECT_TRUE(loop.until([&] {
    // Unread bytes at the time of closing would make the kernel reset the connection.
    if (!peer.ended) peer.write_some("and another thing");
    got += peer.read_some(100'000);
    return peer.ended;
  }));
  EXPECT_TRUE(got == big);
  EXPECT_EQ(peer.last_errno, 0);
  peer.close();
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  EXPECT_EQ(loop.sent_before_closed[conn], 1u);
  EXPECT_EQ(loop.received[conn], "");
}

TEST(UringTransport, ClosesAPeerThatNeverEndsAfterAWhile) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  loop.transport->close(conn);
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
}

TEST(UringTransport, AbortResetsAndDropsWhatWasNotSent) {
  Loop loop(Loop::listening());
  Peer peer(loop.address(), 4096);
  const ConnId conn = accept_one(loop);
  const std::string big = pattern(8 << 20);
  ASSERT_TRUE(loop.send_text(conn, big, 1));
  loop.settle(milliseconds(10));
  loop.transport->abort(conn);
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  EXPECT_EQ(loop.sent_before_closed[conn], 1u);
  EXPECT_TRUE(loop.until([&] {
    peer.read_some(1 << 20);
    return peer.last_errno == ECONNRESET;
  }));
}

TEST(UringTransport, HoldsAThousandIdleConnectionsAndServesOne) {
  TransportOptions options = Loop::listening();
  options.connections_max = 1100;
  options.receive_buffer_count = 4;
  Loop loop(options);
  std::vector<Peer> peers;
  for (int i = 0; i < 1000; ++i) {
    peers.emplace_back(loop.address());
    ASSERT_TRUE(peers.back().is_connected);
    if (i % 100 == 0) loop.settle(milliseconds(1));
  }
  accept_one(loop, 1000);
  loop.settle(milliseconds(20));
  const std::uint64_t enters = loop.ring->enter_count();
  loop.ring->wait(Ring::monotonic_now() + milliseconds(100));
  EXPECT_LE(loop.ring->enter_count() - enters, 1u);   // Nothing to do: one wait, no spinning.
  ASSERT_EQ(peers[777].write_some("hello"), 5u);
  EXPECT_TRUE(loop.until([&] { return loop.received_bytes() == 5; }));
}

TEST(UringTransport, RunsOutOfBuffersAndGoesOnWhenTheyComeBack) {
  TransportOptions options = Loop::listening();
  options.receive_buffer_count = 3;   // Not a power of two on purpose.
  options.receive_buffer_bytes = 4096;
  Loop loop(options);
  loop.keep_buffers = true;
  std::vector<Peer> peers;
  const std::string text = pattern(20'000);
  for (int i = 0; i < 10; ++i) {
    peers.emplace_back(loop.address());
    ASSERT_EQ(peers.back().write_some(text), text.size());
  }
  EXPECT_TRUE(loop.until([&] { return loop.kept.size() == 3; }));
  loop.settle(milliseconds(30));
  EXPECT_EQ(loop.kept.size(), 3u);
  EXPECT_LE(loop.received_bytes(), 3u * 4096);
  const std::uint64_t enters = loop.ring->enter_count();
  loop.ring->wait(Ring::monotonic_now() + milliseconds(50));
  EXPECT_LE(loop.ring->enter_count() - enters, 1u);   // Starving does not spin.
  EXPECT_TRUE(loop.until([&] {
    for (const std::uint64_t token : loop.kept) loop.transport->release(token);
    loop.kept.clear();
    return loop.received_bytes() == 10 * text.size();
  }));
  for (const auto& [conn, got] : loop.received) EXPECT_TRUE(got == text);
}

TEST(UringTransport, BytesOutliveTheirConnection) {
  Loop loop(Loop::listening());
  loop.keep_buffers = true;
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  ASSERT_EQ(peer.write_some("held"), 4u);
  EXPECT_TRUE(loop.until([&] { return loop.kept.size() == 1; }));
  loop.transport->abort(conn);
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  loop.transport->release(loop.kept[0]);
}

TEST(UringTransport, ConnectsAndPlaysBothRoles) {
  Loop server(Loop::listening());
  server.echo = true;
  Loop client;
  const ConnId conn = client.transport->connect(server.address());
  ASSERT_NE(conn, 0u);
  const std::string text = pattern(200'000);
  ASSERT_TRUE(client.send_text(conn, text, 5));   // Before it is connected: waits.
  EXPECT_TRUE(client.until([&] {
    server.step();
    return client.received[conn].size() == text.size();
  }));
  EXPECT_TRUE(client.received[conn] == text);
  EXPECT_EQ(client.connected, std::vector<ConnId>{conn});
  EXPECT_EQ(server.hosts, std::vector<std::string>{"127.0.0.1"});
  client.transport->close(conn);
  EXPECT_TRUE(client.until([&] {
    server.step();
    return client.closed.contains(conn) && server.closed.contains(server.accepted.at(0));
  }));
}

TEST(UringTransport, AFailedConnectIsClosed) {
  std::string address;
  {
    Loop gone(Loop::listening());
    address = gone.address();
  }
  Loop loop;
  const ConnId conn = loop.transport->connect(address);
  ASSERT_NE(conn, 0u);
  EXPECT_TRUE(loop.until([&] { return loop.closed.contains(conn); }));
  EXPECT_TRUE(loop.connected.empty());
  EXPECT_EQ(loop.transport->connect("no such place"), 0u);
}

TEST(UringTransport, ClosesWhatIsBeyondItsLimitAtOnce) {
  TransportOptions options = Loop::listening();
  options.connections_max = 2;
  Loop loop(options);
  Peer a(loop.address()), b(loop.address());
  accept_one(loop, 2);
  Peer c(loop.address());
  EXPECT_TRUE(loop.until([&] {
    c.read_some();
    return c.ended || c.last_errno == ECONNRESET;
  }));
  EXPECT_EQ(loop.transport->refused_count(), 1u);
  EXPECT_EQ(loop.transport->connect(loop.address()), 0u);
  a.close();
  EXPECT_TRUE(loop.until([&] { return loop.closed.size() == 1; }));
  Peer d(loop.address());
  accept_one(loop, 3);
  EXPECT_FALSE(loop.closed.contains(loop.accepted.back()));   // Its own id in the old slot.
}

TEST(UringTransport, ListensOnWhenDescriptorsAreBack) {
  // The kernel notes the limit when accept is armed, so it is lowered first and then used up.
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    Loop loop(Loop::listening());
    Peer first(loop.address());
    const ConnId conn = accept_one(loop);
    Peer second(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::vector<int> used;
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) used.push_back(fd);
    SocketAddress target;
    ASSERT_TRUE(target.parse(loop.address()));
    ASSERT_EQ(::connect(second.fd(), target.raw(), target.size), 0);   // Into the backlog.
    const std::uint64_t enters = loop.ring->enter_count();
    for (int i = 0; i < 20; ++i) loop.step(milliseconds(10));
    EXPECT_LE(loop.ring->enter_count() - enters, 60u);   // It rests, it does not spin.
    EXPECT_EQ(loop.accepted.size(), 1u);
    loop.transport->abort(conn);   // Frees the descriptor that `second` needs.
    EXPECT_TRUE(loop.until([&] { return loop.accepted.size() == 2; }));
    for (const int fd : used) ::close(fd);
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(UringTransport, SharesAPortBetweenListenersAndFreesItAtTheEnd) {
  TransportOptions options{.listen = {"127.0.0.1:0", "[::1]:0"}, .reuse_port = true};
  std::string address;
  {
    Loop a(options);
    options.listen = {a.address()};
    Loop b(options);
    address = a.address();
    const std::string v6 = "[::1]:" + std::to_string(a.transport->local_port(1));
    Peer six(v6);
    EXPECT_TRUE(six.is_connected);
    std::vector<Peer> peers;
    for (int i = 0; i < 64; ++i) peers.emplace_back(a.address());
    EXPECT_TRUE(a.until([&] {
      b.step();
      return a.accepted.size() + b.accepted.size() == 65;
    }));
    EXPECT_GT(a.accepted.size(), 1u);
    EXPECT_GT(b.accepted.size(), 0u);
  }
  Peer late(address);
  EXPECT_FALSE(late.is_connected);
  options.reuse_port = false;
  options.listen = {address};
  Loop again(options);   // The port is free.
}

TEST(UringTransport, SendsSmallAnswersWithoutDelay) {
  Loop loop(Loop::listening());
  Peer peer(loop.address());
  const ConnId conn = accept_one(loop);
  // Two small sends in two turns: with Nagle the second would wait for the peer's delayed ack.
  const std::string text = "x";
  const Instant start = Ring::monotonic_now();
  std::string got;
  for (std::uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(loop.send_text(conn, text, i));
    ASSERT_TRUE(loop.until([&] { return loop.sent.size() == i + 1; }));
    ASSERT_TRUE(loop.until([&] {
      got += peer.read_some();
      return got.size() == i + 1;
    }));
  }
  EXPECT_LT(Ring::monotonic_now() - start, milliseconds(400));
}

TEST(UringTransport, TellsTheOperatorWhatIsWrongWithAnAddress) {
  auto ring = make_ring();
  std::string why;
  auto bad = UringTransport::create(*ring, {.listen = {"localhost:1"}}, why);
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, Errc::invalid_argument);
  EXPECT_NE(why.find("localhost:1"), std::string::npos) << why;
  Loop loop(Loop::listening());
  auto other = make_ring();
  auto taken = UringTransport::create(*other, {.listen = {loop.address()}}, why);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error(), (Error{Errc::io, EADDRINUSE}));
  EXPECT_NE(why.find("another process"), std::string::npos) << why;
}

}  // namespace
}  // namespace tailrace::io
