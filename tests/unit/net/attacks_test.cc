// Attacks on a TCP/IP that anybody may send to, and for each the test that shows what they cost.
// The list below is checked: what it names is there. Beside it tests/e2e/attacks.py lets some of
// them at a whole broker, and the fuzz targets net_* make up others.
#include <gtest/gtest.h>

#include <time.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "../../support/net_pair.h"
#include "base/prng.h"
#include "script_runner.h"

namespace tailrace::net {
namespace {

struct Attack {
  const char* what;
  const char* test;   // SUITE.NAME, or FILE: the beginning of a script's title
};

constexpr Attack attacks[] = {
    // --- floods: memory stays flat, others are served
    {"SYN flood", "tcp_listen.a_flood_of_syns_leaves_memory_flat_and_the_door_open"},
    {"SYN flood, what a cookie keeps", "handshake.txt: RFC 4987 3.6: a cookie keeps"},
    {"SYN flood from strangers on the line", "attacks.many_strangers_do_not_shut_others_out"},
    {"guessed cookies", "handshake.txt: RFC 4987: a wrong cookie makes no connection"},
    {"old cookies", "handshake.txt: RFC 4987: a cookie of two minutes ago"},
    {"out-of-order flood", "receive.txt: CVE-2018-5390: what waits out of order is bounded"},
    {"out-of-order flood of many", "attacks.what_waits_out_of_order_leaves_memory_to_others"},
    {"tiny segments that are not read", "attacks.tiny_segments_leave_memory_to_others"},
    {"out-of-order flood, its work", "attacks.the_worst_place_out_of_order_takes_bounded_work"},
    {"SACK flood, its work", "attacks.the_worst_blocks_take_bounded_work"},
    {"SACK flood", "tcp_ack.a_flood_of_tiny_blocks_takes_bounded_memory"},
    {"SACK flood beside others", "attacks.splinters_of_sack_leave_memory_to_others"},
    {"tiny MSS", "handshake.txt: CVE-2019-11479: a tiny MSS is not believed"},
    {"segments of no connection", "send.txt: Resets are limited for the core"},
    {"pings", "attacks.pings_are_answered_up_to_a_limit"},
    {"questions for the link address", "neighbours.many_strangers_do_not_grow_the_table"},
    {"answers that wait", "tcp_control.answers_take_a_bounded_queue"},
    // --- forms that parsers run round in
    {"options of length zero", "tcp_header.an_option_of_an_impossible_length_spoils_the_segment"},
    {"options of every kind and length", "attacks.options_of_any_form_come_to_an_end"},
    {"neighbour options of length zero",
     "icmp.refuses_neighbour_messages_from_afar_or_malformed"},
    {"fragments, chains of headers", "ipv6.passes_over_options_and_refuses_fragments"},
    {"lengths that lie", "tcp_header.refuses_lengths_that_lie"},
    // --- guesses about a connection of others (RFC 5961)
    {"blind reset", "states.txt: RFC 5961 3.2: ESTABLISHED, RST within the window"},
    {"blind resets all over the window", "attacks.txt: RFC 5961 3.2: blind resets"},
    {"blind SYN", "states.txt: RFC 5961 4.2: ESTABLISHED, SYN in the window"},
    {"blind SYN with the next number", "attacks.txt: RFC 5961 4.2: a blind SYN"},
    {"blind data, old ACK", "attacks.txt: RFC 5961 5.2: blind data: what comes with an ACK older"},
    {"blind data, future ACK", "attacks.txt: RFC 5961 5.2: blind data: what comes with an ACK of"},
    {"challenges by the thousand", "send.txt: RFC 5961 7: challenges are limited"},
    {"challenges that tell of others (CVE-2016-5696)",
     "attacks.challenges_of_one_connection_say_nothing_of_another"},
    {"ICMP that ends connections", "handshake.txt: RFC 5927 5: no ICMP ends"},
    {"ICMP about small paths", "send.txt: RFC 5927 7: a size about numbers"},
    // --- numbers that could be guessed
    {"initial numbers, by function", "secrets.flows_and_keys_say_nothing_of_each_other"},
    {"initial numbers, by bits", "secrets.neighbouring_flows_differ_in_about_half_of_the_bits"},
    {"initial numbers, as a stranger sees them", "attacks.initial_numbers_do_not_tell_the_next"},
    {"ports", "secrets.ports_are_tried_one_after_the_other_from_a_secret_start"},
    // --- peers that want more than their share
    {"ACKs in pieces", "attacks.txt: RFC 3465 2.1"},
    {"ACKs of what has not come", "attacks.txt: RFC 5681 3.1"},
    {"ACK storms", "receive.txt: An unacceptable ACK is answered twice a second"},
    {"resets that answer resets", "tcp_control.a_reset_is_not_answered"},
    {"our own address as the sender (land)", "attacks.our_own_address_is_no_sender"},
    {"the end of a rest", "states.txt: RFC 1337"},
};

bool has_test(std::string_view name) {
  const std::size_t colon = name.find(": ");
  if (colon != std::string_view::npos) {
    const auto cases = read_cases(std::string(TR_NET_SCRIPTS "/").append(name.substr(0, colon)));
    const std::string_view title = name.substr(colon + 2);
    return std::any_of(cases.begin(), cases.end(),
                       [&](const ScriptCase& one) { return one.title.find(title) == 1; });
  }
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      if (std::string(suite.name()) + "." + suite.GetTestInfo(j)->name() == name) return true;
    }
  }
  return false;
}

TEST(attacks, each_has_its_test) {
  for (const Attack& attack : attacks) EXPECT_TRUE(has_test(attack.test)) << attack.what;
}

// --- a peer of end 1 whose segments are made by hand

std::vector<std::byte> frame_from(const Endpoint& from, const Endpoint& to, TcpHeader header,
                                  Bytes payload = {}) {
  header.source_port = from.port;
  header.destination_port = to.port;
  TxFrame frame;
  frame.link_bytes = static_cast<std::uint8_t>(
      store_ethernet(frame.header.data(), {{{2, 0, 0, 0, 0, 2}}, {{2, 0, 0, 0, 0, 1}}}));
  frame.network_bytes = ipv4_bytes;
  std::byte* at = frame.header.data() + frame.link_bytes;
  const std::size_t size = store_tcp(at + ipv4_bytes, header, from.address, to.address,
                                     payload.size());
  store_ip(at, {.source = from.address, .destination = to.address}, size + payload.size());
  frame.header_bytes = static_cast<std::uint16_t>(frame.link_bytes + ipv4_bytes + size);
  frame.checksum_pos = tcp_checksum_pos;
  frame.slices[0] = payload;
  frame.slice_count = payload.empty() ? 0 : 1;
  frame.payload_bytes = static_cast<std::uint32_t>(payload.size());
  return flat_frame(frame);
}

void arrive(NetPair& pair, std::vector<std::byte> frame) {
  pair.ends[1].arriving.push_back(std::make_unique<std::vector<std::byte>>(std::move(frame)));
}

Connection& connection_of(NetPair& pair, ConnId id) {
  return pair.ends[1].stack->tcp().connections[static_cast<std::uint32_t>(id - 1)];
}

// A segment of the connection's own peer, of the right flow and with right numbers.
void arrive_for(NetPair& pair, ConnId id, TcpHeader header, Bytes payload = {}) {
  const Connection& c = connection_of(pair, id);
  header.ack = c.send_unacked;
  header.window = 0xffff;
  arrive(pair, frame_from(c.flow.remote, c.flow.local, header, payload));
}

// Opens `count` connections; ids at end 1, where they are accepted.
std::vector<ConnId> open_many(NetPair& pair, std::size_t count) {
  std::vector<ConnId> ids;
  pair.ends[1].stack->listen({NetPair::address(1), 9092});
  for (std::size_t i = 0; i < count; ++i) {
    pair.ends[0].conn = pair.ends[0].stack->connect({NetPair::address(1), 9092}, 0, pair.now);
    pair.run(milliseconds(5));
    ids.push_back(pair.ends[1].conn);
  }
  return ids;
}

// The last connection, which end 0 opened honestly, still carries bytes.
void expect_service(NetPair& pair) {
  const std::vector<std::byte> bytes(100'000);
  const std::uint64_t before = pair.ends[1].received;
  ASSERT_TRUE(pair.send(0, bytes));
  pair.run(seconds(2));
  EXPECT_EQ(pair.ends[1].received, before + bytes.size());
}

// --- floods

TEST(attacks, many_strangers_do_not_shut_others_out) {
  Limits limits = NetPair::small_limits();
  limits.neighbours_max = 16;
  NetPair pair(limits);
  pair.ends[1].stack->listen({NetPair::address(1), 9092});
  Prng prng(5);
  for (int burst = 0; burst < 200; ++burst) {
    for (int i = 0; i < 16; ++i) {
      const Endpoint from{IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(prng.between(9, 250))),
                          static_cast<std::uint16_t>(prng.between(1, 65'535))};
      arrive(pair, frame_from(from, {NetPair::address(1), 9092},
                              {.seq = {static_cast<std::uint32_t>(prng.next())},
                               .flags = tcp_flag::syn, .window = 65'535}));
    }
    pair.run(microseconds(50));
  }
  pair.ends[0].conn = pair.ends[0].stack->connect({NetPair::address(1), 9092}, 0, pair.now);
  pair.run(seconds(3));   // Our answer to the question who we are may have to be asked for again.
  expect_service(pair);
}

TEST(attacks, what_waits_out_of_order_leaves_memory_to_others) {
  Limits limits = NetPair::small_limits();
  limits.pieces_max = 64;
  limits.reassembly_pieces_max = 16;
  limits.receive_pieces_max = 32;
  NetPair pair(limits);
  const std::vector<ConnId> ids = open_many(pair, 9);
  const std::vector<std::byte> byte(1);
  for (int round = 0; round < 40; ++round) {
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const Seq next = connection_of(pair, ids[i]).receive_next;
      // Now at one end, now at the other: the place has to be looked for.
      const std::uint32_t at = round % 2 == 0 ? 1000U - 2 * round : 1001U + 2 * round;
      arrive_for(pair, ids[i], {.seq = next + at, .flags = tcp_flag::ack}, byte);
    }
    pair.run(microseconds(50));
  }
  const Tcp& tcp = pair.ends[1].stack->tcp();
  EXPECT_LE(tcp.receive.pieces_used(), 48U);
  EXPECT_GT(tcp.receive.pieces_used(), 30U);
  expect_service(pair);
}

TEST(attacks, tiny_segments_leave_memory_to_others) {
  Limits limits = NetPair::small_limits();
  limits.pieces_max = 64;
  limits.receive_pieces_max = 32;
  NetPair pair(limits);
  const std::vector<ConnId> ids = open_many(pair, 5);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) pair.ends[1].stack->pause(ids[i]);
  const std::vector<std::byte> byte(1);
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const Seq next = connection_of(pair, ids[i]).receive_next;
      arrive_for(pair, ids[i], {.seq = next, .flags = tcp_flag::ack}, byte);
    }
    pair.run(microseconds(50));
  }
  EXPECT_LE(pair.ends[1].stack->tcp().receive.pieces_used(), 48U);
  expect_service(pair);
}

// CVE-2019-11477, 11478: a peer whose blocks of one byte each make a record of each.
TEST(attacks, splinters_of_sack_leave_memory_to_others) {
  Limits limits = NetPair::small_limits();
  limits.sent_records_max = 2048;
  limits.sent_records_per_connection_max = 1024;
  Interface interface;
  interface.segmentation_bytes_max = 65'000;
  NetPair pair(limits, interface);
  const std::vector<ConnId> ids = open_many(pair, 4);
  std::set<std::uint16_t> hostile;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    hostile.insert(connection_of(pair, ids[i]).flow.remote.port);
  }
  pair.drop = [&](int from, Bytes frame) {
    return from == 0 && hostile.contains(load_be<std::uint16_t>(frame.data() + 34));
  };
  const std::vector<std::byte> bytes(14'000);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    const Bytes slice(bytes);
    ASSERT_TRUE(pair.ends[1].stack->send(ids[i], {&slice, 1}, i + 1));
  }
  pair.run(microseconds(100));
  for (std::uint32_t round = 0; round < 1500; ++round) {
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const Connection& c = connection_of(pair, ids[i]);
      TcpHeader header{.seq = c.receive_next, .flags = tcp_flag::ack};
      header.options.sack_count = 3;
      for (std::uint32_t block = 0; block < 3; ++block) {
        const Seq at = c.send_unacked + 1 + 2 * ((round * 3 + block) * 37 % 6900);
        header.options.sacks[block] = {at, at + 1};
      }
      arrive_for(pair, ids[i], header);
    }
    if (round % 8 == 0) pair.run(microseconds(50));
  }
  const SentMemory& records = pair.ends[1].stack->tcp().records;
  EXPECT_LE(records.records_used(), 3 * 300U) << "no more than the segments warrant";
  pair.ends[0].received = 0;
  const Bytes slice(bytes);
  ASSERT_TRUE(pair.ends[1].stack->send(ids.back(), {&slice, 1}, 99));
  pair.run(milliseconds(100));
  const auto& done = pair.ends[1].done;
  EXPECT_NE(std::find(done.begin(), done.end(), 99U), done.end()) << "an honest peer is served";
}

// The least that a frame takes in bursts of these, one after the other: what else the machine does
// is not in it.
double least_microseconds(Stack& stack, const std::vector<std::vector<std::byte>>& arriving,
                          Instant now) {
  constexpr std::size_t burst = 32;
  std::uint64_t token = 1'000'000;
  double least = 1e9;
  for (int round = 0; round < 50; ++round) {
    std::array<RxFrame, burst> frames;
    for (RxFrame& one : frames) {
      one = {.bytes = arriving[token % arriving.size()], .token = token};
      ++token;
    }
    timespec from{};
    timespec to{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    stack.input(frames, now);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    (void)stack.take_released();
    const double spent = static_cast<double>(to.tv_sec - from.tv_sec) * 1e6 +
                         static_cast<double>(to.tv_nsec - from.tv_nsec) / 1e3;
    least = std::min(least, spent / burst);
  }
  return least;
}

// Without optimization and with a sanitizer; it is a few microseconds otherwise. A search that grew
// with what was ever sent would take a thousand times as long.
constexpr double work_microseconds_max = 1000;

TEST(attacks, the_worst_place_out_of_order_takes_bounded_work) {
  const Limits limits = NetPair::small_limits();
  NetPair pair(limits);
  const ConnId id = open_many(pair, 1).front();
  const std::vector<std::byte> byte(1);
  const Seq next = connection_of(pair, id).receive_next;
  const std::uint32_t pieces = limits.reassembly_pieces_max;
  for (std::uint32_t i = 0; i < pieces; ++i) {
    arrive_for(pair, id, {.seq = next + 1 + 2 * i, .flags = tcp_flag::ack}, byte);
    if (i % 32 == 31) pair.run(microseconds(50));
  }
  pair.run(microseconds(100));
  ASSERT_EQ(connection_of(pair, id).received.early_count, pieces);
  // Right before the last: the search begins at the first, and finds no room.
  arrive_for(pair, id, {.seq = next + 2 * pieces - 2, .flags = tcp_flag::ack}, byte);
  const std::vector<std::byte> frame = *pair.ends[1].arriving.back();
  const double spent = least_microseconds(*pair.ends[1].stack, {frame}, pair.now);
  RecordProperty("microseconds", std::to_string(spent));
  EXPECT_LT(spent, work_microseconds_max);
}

TEST(attacks, the_worst_blocks_take_bounded_work) {
  const Limits limits = NetPair::small_limits();
  NetPair pair(limits);
  const ConnId id = open_many(pair, 1).front();
  pair.drop = [](int from, Bytes) { return from == 0; };
  const std::vector<std::byte> byte(1);
  const Bytes slice(byte);
  for (std::uint32_t i = 0; i < 1500; ++i) {
    ASSERT_TRUE(pair.ends[1].stack->send(id, {&slice, 1}, i));
    pair.run(microseconds(50));
  }
  const Connection& c = connection_of(pair, id);
  ASSERT_GT(c.sent.count, 1000U);
  // What was just said is known; so now these blocks, now others.
  std::vector<std::vector<std::byte>> frames;
  for (std::uint32_t turn = 0; turn < 2; ++turn) {
    TcpHeader header{.seq = c.receive_next, .flags = tcp_flag::ack};
    header.options.sack_count = 4;
    for (std::uint32_t block = 0; block < 4; ++block) {
      // At one end, then at the other.
      const std::uint32_t from = 10 * turn + 2 * block;
      const Seq at = c.send_unacked + (block % 2 == 0 ? 2 + from : c.sent.count - 2 - from);
      header.options.sacks[block] = {at, at + 1};
    }
    arrive_for(pair, id, header);
    frames.push_back(*pair.ends[1].arriving.back());
  }
  const double spent = least_microseconds(*pair.ends[1].stack, frames, pair.now);
  RecordProperty("microseconds", std::to_string(spent));
  EXPECT_LT(spent, work_microseconds_max);
}

TEST(attacks, pings_are_answered_up_to_a_limit) {
  Limits limits = NetPair::small_limits();
  limits.echoes_per_second = 10;
  NetPair pair(limits);
  pair.open();
  std::vector<std::byte> echo(ethernet_bytes + ipv4_bytes + 16);
  store_ethernet(echo.data(), {{{2, 0, 0, 0, 0, 2}}, {{2, 0, 0, 0, 0, 1}}});
  store_ip(echo.data() + ethernet_bytes,
           {.source = NetPair::address(0), .destination = NetPair::address(1),
            .protocol = IpProtocol::icmp}, 16);
  std::byte* const icmp = echo.data() + ethernet_bytes + ipv4_bytes;
  icmp[0] = std::byte{8};
  store_checksum(icmp + 2, checksum_of({icmp, 16}));
  for (int i = 0; i < 100; ++i) arrive(pair, echo);
  pair.run(milliseconds(1));
  const Counters& counters = pair.ends[1].stack->counters();
  EXPECT_EQ(counters.of(Count::echoes), 10U);
  EXPECT_EQ(counters.of(Count::drop_rate), 90U);
}

// --- forms

TEST(attacks, options_of_any_form_come_to_an_end) {
  std::vector<std::byte> segment(60);
  segment[12] = std::byte{15 << 4};
  for (unsigned kind = 0; kind < 256; ++kind) {
    for (unsigned length = 0; length < 256; ++length) {
      for (std::size_t i = 20; i + 1 < segment.size(); i += 2) {
        segment[i] = static_cast<std::byte>(kind);
        segment[i + 1] = static_cast<std::byte>(length);
      }
      (void)parse_tcp(segment);
    }
  }
  Prng prng(7);
  for (int i = 0; i < 200'000; ++i) {
    for (std::size_t at = 20; at < segment.size(); ++at) {
      segment[at] = static_cast<std::byte>(prng.chance(1, 2) ? prng.below(9) : prng.below(256));
    }
    (void)parse_tcp(segment);
  }
}

// --- guesses

// CVE-2016-5696: a limit for all would let a stranger count the challenges of others.
TEST(attacks, challenges_of_one_connection_say_nothing_of_another) {
  Limits limits = NetPair::small_limits();
  limits.challenge_acks_per_second = 3;
  NetPair pair(limits);
  const std::vector<ConnId> ids = open_many(pair, 2);
  const auto guess = [&](ConnId id) {
    arrive_for(pair, id, {.seq = connection_of(pair, id).receive_next + 100,
                          .flags = tcp_flag::rst});
    pair.run(microseconds(50));
  };
  const Counters& counters = pair.ends[1].stack->counters();
  for (int i = 0; i < 20; ++i) guess(ids[0]);
  pair.run(microseconds(100));
  EXPECT_EQ(counters.of(Count::challenge_acks), 3U);
  guess(ids[1]);
  pair.run(microseconds(100));
  EXPECT_EQ(counters.of(Count::challenge_acks), 4U);
}

TEST(attacks, our_own_address_is_no_sender) {
  NetPair pair;
  pair.ends[1].stack->listen({NetPair::address(1), 9092});
  const Endpoint self{NetPair::address(1), 9092};
  for (int i = 0; i < 10; ++i) {
    arrive(pair, frame_from(self, self, {.seq = {1}, .flags = tcp_flag::syn, .window = 1000}));
  }
  pair.run(milliseconds(1));
  EXPECT_EQ(pair.ends[1].stack->counters().of(Count::drop_source), 10U);
  EXPECT_EQ(pair.ends[1].stack->tcp().half_open.used_count(), 0U);
}

// --- numbers

// What a stranger learns from the answers to his own SYNs, all at one moment. `secret_bits`: of a
// number, from its lowest.
void expect_unpredictable(const Limits& limits, int secret_bits) {
  NetPair pair(limits);
  pair.ends[1].stack->listen({NetPair::address(1), 9092});
  std::vector<std::uint32_t> numbers;
  pair.drop = [&](int from, Bytes frame) {
    const bool is_tcp = load_be<std::uint16_t>(frame.data() + 12) == 0x0800 &&
                        frame[23] == std::byte{6};
    if (from == 1 && is_tcp) numbers.push_back(load_be<std::uint32_t>(frame.data() + 38));
    return is_tcp;
  };
  constexpr std::uint16_t count = 2048;
  pair.run(milliseconds(1));
  for (std::uint16_t i = 0; i < count; ++i) {
    arrive(pair, frame_from({NetPair::address(0), static_cast<std::uint16_t>(20'000 + i)},
                            {NetPair::address(1), 9092},
                            {.seq = {1}, .flags = tcp_flag::syn, .window = 65'535}));
    if (i % 64 == 63) pair.run(microseconds(50));
  }
  pair.run(milliseconds(1));
  // The first of a stranger waits for his link address.
  ASSERT_GT(numbers.size(), 1900U);
  std::set<std::uint32_t> steps;
  std::array<int, 16> high{};
  std::array<int, 16> low{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) steps.insert(numbers[i] - numbers[i - 1]);
    ++high[numbers[i] >> (secret_bits - 4) & 15];
    ++low[numbers[i] & 15];
  }
  EXPECT_GT(steps.size(), numbers.size() - 10);
  // Each a sixteenth, give or take six deviations.
  const double share = static_cast<double>(numbers.size()) / 16;
  for (const int n : high) EXPECT_NEAR(n, share, 68);
  for (const int n : low) EXPECT_NEAR(n, share, 68);
}

TEST(attacks, initial_numbers_do_not_tell_the_next) {
  Limits limits = NetPair::small_limits();
  limits.half_open_max = limits.half_open_cookies_from = 4096;
  expect_unpredictable(limits, 32);
  // Above its 24 bits a cookie tells the time and the segment size (RFC 4987, 3.6).
  limits.half_open_cookies_from = 0;
  expect_unpredictable(limits, 24);
}

}  // namespace
}  // namespace tailrace::net
