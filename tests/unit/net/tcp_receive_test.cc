#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

const Connection& connection_of(NetPair& pair, int end) {
  Tcp& tcp = pair.ends[end].stack->tcp();
  return tcp.connections[static_cast<std::uint32_t>(pair.ends[end].conn - 1)];
}

// A stack that predicts and one that does not; a peer of bare headers talks to both.
class TwoWays {
 public:
  explicit TwoWays(std::uint64_t seed) : random_(seed), uses_timestamps_(draw(4) > 0) {
    Limits limits = NetPair::small_limits();
    limits.receive_buffer_min = draw(2) == 0 ? 60'000 : 4'000;
    limits.receive_buffer_max = limits.receive_buffer_min;
    Interface interface;
    interface.mac = {{2, 0, 0, 0, 0, 1}};
    interface.addresses = {{own_, 24}};
    for (std::size_t i = 0; i < 2; ++i) {
      stacks_[i] = std::make_unique<Stack>(limits, interface, SipKey{7}, now_);
      stacks_[i]->tcp().predicts = i == 0;
      stacks_[i]->listen({own_, 80});
      stacks_[i]->tcp().neighbours.learn(
          {.address = peer_, .mac = {{2, 0, 0, 0, 0, 2}}, .is_answer = true, .may_add = true},
          now_);
    }
    give(segment(tcp_flag::syn, seq_, 0));
    const Bytes answer = Bytes(last_.header).first(last_.header_bytes);
    ack_ = Seq{load_be<std::uint32_t>(answer.data() + ethernet_bytes + ipv4_bytes + 4)} + 1;
    seq_ += 1;
    give(segment(tcp_flag::ack, seq_, 0));
  }

  // Mostly the next bytes; else something near them.
  void step() {
    said_ = {};
    now_ = now_ + microseconds(static_cast<std::int64_t>(draw(3000)));
    if (draw(2) == 0) ack_ = heard_;
    if (draw(20) == 0) {
      const Bytes slice(memory_);
      for (auto& stack : stacks_) stack->send(conn_, {&slice, 1}, 5);
    }
    const auto size = static_cast<std::uint32_t>(draw(3) > 0 ? 1000 : draw(1449));
    std::uint8_t flags = draw(4) > 0 ? tcp_flag::ack : tcp_flag::ack | tcp_flag::psh;
    Seq at = seq_;
    stamp_ += static_cast<std::uint32_t>(draw(3));
    switch (draw(16)) {
      case 0: at += static_cast<std::uint32_t>(draw(5000)); break;
      case 1: at = at - static_cast<std::uint32_t>(draw(5000)); break;
      case 2: ack_ = ack_ + static_cast<std::uint32_t>(draw(100)); break;
      case 3: window_ = static_cast<std::uint16_t>(draw(3) * 300); break;
      case 4: flags |= static_cast<std::uint8_t>(1U << draw(8) & ~(tcp_flag::rst | tcp_flag::fin));
        break;
      case 5: stamp_ -= static_cast<std::uint32_t>(draw(4)); break;
      case 6: ecn_ = Ecn{static_cast<std::uint8_t>(draw(4))}; break;
      case 7: is_stampless_ = true; break;   // Some middleboxes take the option out.
      case 8: tells_double_ = true; break;
      default: window_ = 65'535; break;
    }
    give(segment(flags, at, size));
    is_stampless_ = false;
    tells_double_ = false;
    // A peer would send again what was not taken.
    seq_ = stacks_[0]->tcp().connections[0].receive_next;
  }

  // All that can be seen of a stack, of what it said since the last segment.
  std::string told(std::size_t which) const {
    const Stack& stack = *stacks_[which];
    std::string text = said_[which];
    for (int i = 0; i < static_cast<int>(Count::count_count); ++i) {
      text += " " + std::to_string(stack.counters().of(static_cast<Count>(i)));
    }
    const Connection& c = stacks_[which]->tcp().connections[0];
    for (const std::int64_t time : {c.heard_at.ns, c.progress_at.ns, c.ack_at.ns,
                                    c.retransmit_at.ns, c.armed_at.ns, c.timestamp_recent_at.ns}) {
      text += " " + std::to_string(time);
    }
    for (const std::uint32_t number :
         {c.receive_next.value, c.receive_edge.value, c.last_ack_sent.value, c.receive_held,
          c.unacked_bytes, c.timestamp_recent, c.send_window, c.send_window_max,
          c.send_edge.value, c.window_seq.value, c.window_ack.value,
          std::uint32_t{c.receive_mss}, std::uint32_t{c.ack_now}, std::uint32_t{c.sack_count},
          std::uint32_t{c.retries}}) {
      text += " " + std::to_string(number);
    }
    return text;
  }
  std::uint64_t predicted = 0;

 private:
  std::uint64_t draw(std::uint64_t bound) {
    random_ = random_ * 6364136223846793005U + 1442695040888963407U;
    return (random_ >> 33) % bound;
  }
  std::vector<std::byte> segment(std::uint8_t flags, Seq seq, std::size_t payload) {
    std::vector<std::byte> bytes(ethernet_bytes + ipv4_bytes + 60 + payload);
    store_ethernet(bytes.data(), {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}});
    TcpHeader header{.source_port = 4000, .destination_port = 80, .seq = seq, .ack = ack_,
                     .flags = flags, .window = window_};
    header.options.has_timestamp = uses_timestamps_ && !is_stampless_;
    header.options.timestamp = stamp_;
    if (tells_double_) {
      header.options.sack_count = 1;
      header.options.sacks[0] = {ack_ - 50, ack_};
    }
    if (flags == tcp_flag::syn) {
      header.options.mss = 1460;
      header.options.sack_permitted = true;
      header.options.window_scale = 2;
    }
    std::byte* at = bytes.data() + ethernet_bytes;
    const std::size_t size = store_tcp(at + ipv4_bytes, header, peer_, own_, payload);
    store_ip(at, {.source = peer_, .destination = own_, .ecn = ecn_}, size + payload);
    bytes.resize(ethernet_bytes + ipv4_bytes + size + payload);
    return bytes;
  }
  void give(std::vector<std::byte> bytes) {
    kept_.push_back(std::move(bytes));
    const bool reads = draw(3) > 0;
    for (std::size_t i = 0; i < 2; ++i) {
      Stack& stack = *stacks_[i];
      const RxFrame frame{.bytes = kept_.back(), .token = kept_.size(), .checksum_good = true};
      if (i == 0) predicted += expects(stack, frame) ? 1 : 0;
      stack.input({&frame, 1}, now_);
      for (const std::uint64_t token : stack.take_released()) {
        said_[i] += " released " + std::to_string(token);
      }
      stack.advance(now_);
      if (reads) take_events(i);
      output(i);
    }
  }
  bool expects(Stack& stack, const RxFrame& frame) const {
    if (conn_ == 0) return false;
    const TcpSegment segment = parse_tcp(frame.bytes.subspan(ethernet_bytes + ipv4_bytes));
    return is_predicted(stack.tcp(), stack.tcp().connections[0], {segment, ecn_, frame.token});
  }
  void take_events(std::size_t i) {
    std::array<Event, 32> events;
    const std::size_t count = stacks_[i]->take_events(events);
    for (const Event& event : std::span(events).first(count)) {
      said_[i] += " event " + std::to_string(static_cast<int>(event.kind)) + " " +
                  std::to_string(event.bytes.size()) + " " + std::to_string(event.token);
      if (event.kind == Event::Kind::accepted) conn_ = event.conn;
      if (event.kind == Event::Kind::data) stacks_[i]->consumed(event.conn, event.bytes.size());
    }
  }
  void output(std::size_t i) {
    std::array<TxFrame, 32> frames;
    for (std::size_t count = frames.size(); count == frames.size();) {
      count = stacks_[i]->output(frames, now_);
      for (const TxFrame& frame : std::span(frames).first(count)) {
        for (const std::byte byte : Bytes(frame.header).first(frame.header_bytes)) {
          said_[i] += static_cast<char>(byte);
        }
        said_[i] += " " + std::to_string(frame.payload_bytes);
        if (frame.hold != no_hold) stacks_[i]->transmitted(frame.hold);
        last_ = frame;
        const Bytes header = Bytes(frame.header).first(frame.header_bytes);
        heard_ = Seq{load_be<std::uint32_t>(header.data() + ethernet_bytes + ipv4_bytes + 4)} +
                 frame.payload_bytes;
      }
    }
  }

  const IpAddress own_ = IpAddress::v4(10, 0, 0, 1);
  const IpAddress peer_ = IpAddress::v4(10, 0, 0, 2);
  std::uint64_t random_;
  Instant now_{seconds(100).ns};
  bool uses_timestamps_;
  bool is_stampless_ = false;
  bool tells_double_ = false;
  std::array<std::unique_ptr<Stack>, 2> stacks_;
  std::array<std::string, 2> said_;
  std::deque<std::vector<std::byte>> kept_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(700);
  ConnId conn_ = 0;
  Seq seq_{0xffff'f000};
  Seq ack_;
  Seq heard_;
  std::uint32_t stamp_ = 1000;
  std::uint16_t window_ = 65'535;
  Ecn ecn_ = Ecn::not_capable;
  TxFrame last_{};
};

TEST(tcp_receive, a_buffer_grows_with_what_the_application_takes) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = 16'384;
  limits.receive_buffer_max = 1U << 20;
  NetPair pair(limits, {}, milliseconds(1));
  pair.open();
  const std::vector<std::byte> bytes(2'000'000);
  pair.send(0, bytes);
  pair.run(milliseconds(300));
  EXPECT_GT(connection_of(pair, 1).receive_buffer, 100'000U);
  EXPECT_LE(connection_of(pair, 1).receive_buffer, 1U << 20);
}

TEST(tcp_receive, a_buffer_does_not_grow_beyond_the_cores_budget) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = 16'384;
  limits.receive_buffer_max = 1U << 20;
  limits.receive_bytes_max = 40'000;
  NetPair pair(limits, {}, milliseconds(1));
  pair.open();
  const std::vector<std::byte> bytes(500'000);
  pair.send(0, bytes);
  pair.run(milliseconds(300));
  EXPECT_LE(pair.ends[1].stack->tcp().receive_bytes, 40'000U);
  EXPECT_GT(pair.ends[1].received, 100'000U);
}

// The sum that is told is the sum that is kept: nothing is dropped for lack of window.
TEST(tcp_receive, what_is_advertised_is_taken) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = limits.receive_buffer_max = 10'000;
  NetPair pair(limits);
  pair.ends[1].reads = false;
  pair.open();
  const std::vector<std::byte> bytes(50'000);
  pair.send(0, bytes);
  pair.run(milliseconds(100));
  // Six segments; what is left of the window is not worth one (RFC 9293, 3.8.6.2.1).
  EXPECT_EQ(pair.ends[1].received, 6U * 1448);
  EXPECT_EQ(pair.ends[1].stack->counters().of(Count::drop_outside_window), 0U);
  pair.ends[1].reads = true;
  pair.ends[1].stack->consumed(pair.ends[1].conn, 6U * 1448);
  pair.run(milliseconds(100));
  EXPECT_EQ(pair.ends[1].received, 50'000U);
  EXPECT_EQ(pair.ends[0].stack->counters().of(Count::window_probes), 0U);
}

// Tiny segments to an application that does not take them use up its share of the pieces and no
// more: another connection is heard all the same.
TEST(tcp_receive, one_connection_does_not_take_all_pieces) {
  Limits limits = NetPair::small_limits();
  limits.pieces_max = 32;
  NetPair pair(limits, {}, microseconds(50));
  pair.open();
  const ConnId greedy = pair.ends[1].conn;
  pair.ends[1].stack->pause(greedy);
  const std::vector<std::byte> byte(1);
  for (int i = 0; i < 100; ++i) {
    pair.send(0, byte, 1);
    pair.run(milliseconds(1));
  }
  EXPECT_GE(pair.ends[1].stack->tcp().receive.pieces_used(), 24U);
  EXPECT_LT(pair.ends[1].stack->tcp().receive.pieces_used(), 32U);
  pair.open();
  ASSERT_NE(pair.ends[1].conn, greedy);
  const std::vector<std::byte> bytes(100'000);
  pair.send(0, bytes, 2);
  pair.run(seconds(5));   // With little room, in small steps.
  EXPECT_EQ(pair.ends[1].received, 100'000U);
}

// One ACK per connection and burst: here every step is a burst.
TEST(tcp_receive, a_burst_is_acknowledged_once) {
  NetPair pair(NetPair::small_limits(), {}, milliseconds(1));
  pair.open();
  const std::vector<std::byte> bytes(1'000'000);
  pair.send(0, bytes);
  pair.run(milliseconds(500));
  EXPECT_EQ(pair.ends[1].received, 1'000'000U);
  const std::uint64_t acks = pair.ends[1].stack->counters().of(Count::acks_out);
  const std::uint64_t segments = pair.ends[1].stack->counters().of(Count::segments_in);
  EXPECT_LT(acks * 4, segments);
}

// Header prediction is a short way to where all the steps lead: both get the same segments, drawn
// at random around what is expected, and say, tell and count the same.
TEST(tcp_receive, what_is_predicted_ends_like_what_is_not) {
  std::uint64_t predicted = 0;
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    TwoWays ways(seed);
    for (int i = 0; i < 150; ++i) {
      ways.step();
      ASSERT_EQ(ways.told(0), ways.told(1)) << "seed " << seed << ", segment " << i;
    }
    predicted += ways.predicted;
  }
  EXPECT_GT(predicted, 2000U);
}

}  // namespace
}  // namespace tailrace::net
