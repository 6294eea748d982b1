#include "script_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "../../support/cut_segments.h"
#include "../../support/describe_frame.h"
#include "net/arp.h"

namespace tailrace::net {
namespace {

constexpr std::uint16_t server_port = 9092;
constexpr std::uint16_t peer_port = 40'000;
const MacAddress our_mac{{2, 0, 0, 0, 0, 1}};
const MacAddress peer_mac{{2, 0, 0, 0, 0, 2}};
const IpAddress v6_ours{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const IpAddress v6_peer{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

std::uint32_t number(const std::string& text) {
  return static_cast<std::uint32_t>(std::strtoll(text.c_str(), nullptr, 10));
}

std::pair<std::string, std::string> halves(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, text};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::uint8_t flags_of(const std::string& text) {
  const std::map<char, std::uint8_t> letters{{'S', tcp_flag::syn}, {'F', tcp_flag::fin},
                                             {'R', tcp_flag::rst}, {'P', tcp_flag::psh},
                                             {'.', tcp_flag::ack}, {'E', tcp_flag::ece},
                                             {'C', tcp_flag::cwr}, {'U', tcp_flag::urg}};
  std::uint8_t flags = 0;
  for (const char letter : text) {
    const auto found = letters.find(letter);
    if (found != letters.end()) flags |= found->second;
  }
  return flags;
}

}  // namespace

std::vector<ScriptCase> read_cases(const std::string& path) {
  std::vector<ScriptCase> cases;
  std::ifstream file(path);
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.starts_with("===")) {
      cases.push_back({path.substr(path.rfind('/') + 1), line.substr(3), number, {}});
      continue;
    }
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t") != std::string::npos && !cases.empty()) {
      cases.back().lines.emplace_back(number, line);
    }
  }
  return cases;
}

std::string run_case(const ScriptCase& script) { return ScriptRunner(script).run(); }

std::string ScriptRunner::run() {
  limits_.connections_max = 4;
  limits_.half_open_max = limits_.half_open_cookies_from = 4;
  limits_.time_wait_max = 4;
  limits_.keepalive_idle = seconds(7200);
  interface_.use_sack = interface_.use_timestamps = false;
  interface_.use_window_scale = interface_.use_ecn = false;
  for (const auto& [line, text] : script_.lines) {
    std::istringstream stream(text);
    Words words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (!step(words)) {
      return fmt::format("{}:{}:{}: {}", script_.file, line, text, failure_);
    }
    if (stack_ != nullptr && !stack_->is_consistent()) {
      return fmt::format("{}:{}: the stack's sums are wrong", script_.file, line);
    }
  }
  return {};
}

bool ScriptRunner::run_lines(std::initializer_list<const char*> lines) {
  for (const char* text : lines) {
    std::istringstream stream(text);
    Words words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (!step(words)) return fail(std::string("on the way there: ") + text);
  }
  return true;
}

bool ScriptRunner::step(const Words& words) {
  const std::string& verb = words[0];
  if (verb == "option") return option(words);
  if (stack_ == nullptr) start();
  if (verb == "in") return in(words);
  if (verb == "out") return out(words);
  if (verb == "event") return event(words);
  if (verb == "state") return state(words[1]);
  if (verb == "reach") return reach(words[1]);
  if (verb == "icmp") return icmp(words);
  if (verb == "wait") return wait(number(words[1])), true;
  if (verb == "skip") {
    for (std::uint32_t i = number(words[1]); i > 0; --i) {
      if (sent_.empty()) return fail("not so many frames");
      sent_.pop_front();
    }
    return true;
  }
  if (verb == "count" || verb == "more" || verb == "cwnd" || verb == "mss") return check(words);
  return application(words);
}

bool ScriptRunner::option(const Words& words) {
  const std::string& name = words[1];
  const std::string& value = words[2];
  const bool on = value == "on";
  const std::uint32_t n = number(value);
  const std::map<std::string, bool*> switches{
      {"sack", &interface_.use_sack}, {"stamps", &interface_.use_timestamps},
      {"scale", &interface_.use_window_scale}, {"ecn", &interface_.use_ecn}, {"v6", &is_v6_}};
  const std::map<std::string, std::uint32_t*> numbers{
      {"buffer", &limits_.receive_buffer_min}, {"buffer_max", &limits_.receive_buffer_max},
      {"half_open", &limits_.half_open_max}, {"cookies_from", &limits_.half_open_cookies_from},
      {"connections", &limits_.connections_max}, {"pieces", &limits_.reassembly_pieces_max},
      {"pieces_all", &limits_.pieces_max}, {"records", &limits_.sent_records_max},
      {"challenges", &limits_.challenge_acks_per_second},
      {"resets", &limits_.resets_per_second}};
  const std::map<std::string, Duration*> times{
      {"rto_min", &limits_.rto_min}, {"delayed_ack", &limits_.delayed_ack_max},
      {"user_timeout", &limits_.user_timeout}, {"keepalive", &limits_.keepalive_idle},
      {"connect_timeout", &limits_.connect_timeout}, {"draining", &limits_.draining_max},
      {"finishing", &limits_.finishing_max}};
  if (switches.contains(name)) {
    *switches.at(name) = on;
  } else if (numbers.contains(name)) {
    *numbers.at(name) = n;
  } else if (times.contains(name)) {
    *times.at(name) = milliseconds(n);
  } else if (name == "mtu") {
    interface_.mtu = static_cast<std::uint16_t>(n);
  } else if (name == "tso") {
    interface_.segmentation_bytes_max = on ? 65'535 : 0;
  } else {
    return fail("no such option");
  }
  return true;
}

void ScriptRunner::start() {
  interface_.mac = our_mac;
  const IpAddress ours = is_v6_ ? v6_ours : IpAddress::v4(10, 0, 0, 1);
  interface_.addresses = {{ours, static_cast<std::uint8_t>(is_v6_ ? 64 : 24)}};
  if (limits_.receive_buffer_max < limits_.receive_buffer_min ||
      limits_.receive_buffer_min < 65'536) {
    limits_.receive_buffer_max = limits_.receive_buffer_min;
  }
  limits_.half_open_cookies_from =
      std::min(limits_.half_open_cookies_from, limits_.half_open_max);
  SipKey key{};
  key[0] = 7;
  stack_ = std::make_unique<Stack>(limits_, interface_, key, now_);
  // The peer is known.
  const IpAddress peer = is_v6_ ? v6_peer : IpAddress::v4(10, 0, 0, 2);
  stack_->tcp().neighbours.learn(
      {.address = peer, .mac = peer_mac, .is_answer = true, .may_add = true}, now_);
  turn();
  sent_.clear();
}

bool ScriptRunner::reach(const std::string& name) {
  if (name == "listen") return run_lines({"listen"});
  if (name == "syn_sent") return run_lines({"connect", "out S 0:0"});
  if (name == "syn_received") {
    return run_lines({"listen", "in S 0:0 win 65535 mss 1460", "out S. 0:0 ack 1"});
  }
  if (name == "closed") return true;
  if (!reach("syn_received") ||
      !run_lines({"in . 1:1 ack 1 win 65535", "event accepted", "out none"})) {
    return false;
  }
  if (name == "established") return true;
  if (name == "close_wait" || name == "last_ack") {
    if (!run_lines({"in F. 1:1 ack 1 win 65535", "out . 1:1 ack 2", "event end"})) return false;
    return name == "close_wait" || run_lines({"shutdown", "out F. 1:1 ack 2"});
  }
  if (!run_lines({"shutdown", "out F. 1:1 ack 1"})) return false;
  if (name == "fin_wait_1") return true;
  if (name == "closing") {
    return run_lines({"in F. 1:1 ack 1 win 65535", "out . 2:2 ack 2", "event end"});
  }
  if (!run_lines({"in . 1:1 ack 2 win 65535"})) return false;
  if (name == "fin_wait_2") return true;
  if (name == "time_wait") {
    return run_lines({"in F. 1:1 ack 2 win 65535", "out . 2:2 ack 2", "event closed"});
  }
  return fail("no such state");
}

void ScriptRunner::turn() {
  stack_->advance(now_);
  std::array<Event, 8> events;
  for (std::size_t count = events.size(); count == events.size();) {
    count = stack_->take_events(events);
    for (std::size_t i = 0; i < count; ++i) {
      if (events[i].kind == Event::Kind::accepted) conn_ = events[i].conn;
      events_.push_back(events[i]);
    }
  }
  take_frames();
  for (const std::uint64_t token : stack_->take_released()) {
    if (lent_.erase(token) != 1) fail("a frame was given back twice");
  }
}

void ScriptRunner::take_frames() {
  std::array<TxFrame, 4> frames;
  for (std::size_t count = frames.size(); count == frames.size();) {
    count = stack_->output(frames, now_);
    for (std::size_t i = 0; i < count; ++i) {
      cut_segments(frames[i], [&](std::vector<std::byte> bytes) {
        if (!answer_arp(bytes)) {
          sent_.push_back({std::move(bytes), (now_ - begun_).ns / 1'000'000});
        }
      });
      if (frames[i].hold != no_hold) stack_->transmitted(frames[i].hold);
    }
  }
}

// Questions for the peer's link address are not the scripts' matter.
bool ScriptRunner::answer_arp(const std::vector<std::byte>& frame) {
  const Result<EthernetFrame> ethernet = parse_ethernet(frame);
  if (ethernet->header.type == EtherType::arp) return true;
  if (ethernet->header.type != EtherType::ipv6) return false;
  return parse_ipv6(ethernet->payload).header.protocol == IpProtocol::icmp6;
}

void ScriptRunner::wait(std::int64_t ms) {
  const Instant until = now_ + milliseconds(ms);
  for (;;) {
    const Instant next = stack_->next_deadline();
    if (next > until) break;
    now_ = std::max(now_, next);
    // The neighbour stays known.
    stack_->tcp().neighbours.learn({.address = is_v6_ ? v6_peer : IpAddress::v4(10, 0, 0, 2),
                                    .mac = peer_mac,
                                    .is_answer = true},
                                   now_);
    turn();
  }
  now_ = until;
  turn();
}

void ScriptRunner::inject(std::vector<std::byte> bytes) {
  const std::uint64_t token = next_token_++;
  auto& kept = lent_[token];
  kept = std::make_unique<std::vector<std::byte>>(std::move(bytes));
  const RxFrame frame{.bytes = *kept, .token = token};
  stack_->input({&frame, 1}, now_);
  turn();
}

bool ScriptRunner::parse(const Words& words, Expected& parsed) {
  if (words.size() < 3) return fail("want FLAGS SEQ:END");
  parsed.flags = flags_of(words[1]);
  const auto [seq, end] = halves(words[2]);
  parsed.seq = number(seq);
  parsed.end = number(end);
  for (std::size_t i = 3; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "sackok" || word == "ce" || word == "ect" || word == "nosack" || word == "nots") {
      parsed.words[word] = "";
      continue;
    }
    if (i + 1 == words.size()) return fail("a word without its value: " + word);
    const std::string& value = words[++i];
    if (word == "sack") {
      const auto [from, to] = halves(value);
      parsed.sacks.push_back({{number(from)}, {number(to)}});
    } else {
      parsed.words[word] = value;
    }
  }
  return true;
}

bool ScriptRunner::in(const Words& words) {
  Expected given;
  if (!parse(words, given)) return false;
  const auto word = [&](const char* name) -> const std::string* {
    const auto found = given.words.find(name);
    return found == given.words.end() ? nullptr : &found->second;
  };
  TcpHeader header;
  header.source_port = peer_port;
  header.destination_port = word("port") != nullptr
                                ? static_cast<std::uint16_t>(number(*word("port")))
                                : our_port_;
  header.seq = {peer_start_ + given.seq};
  header.flags = given.flags;
  header.window = 65'535;
  if (word("win") != nullptr) header.window = static_cast<std::uint16_t>(number(*word("win")));
  if (word("ack") != nullptr) header.ack = {our_start_.value_or(0) + number(*word("ack"))};
  TcpOptions& options = header.options;
  if (word("mss") != nullptr) options.mss = static_cast<std::uint16_t>(number(*word("mss")));
  if (word("ws") != nullptr) options.window_scale = static_cast<std::uint8_t>(number(*word("ws")));
  options.sack_permitted = word("sackok") != nullptr;
  if (word("ts") != nullptr) {
    const auto [value, echo] = halves(*word("ts"));
    options.has_timestamp = true;
    options.timestamp = number(value);
    options.timestamp_echo = our_stamp_ + number(echo);
  }
  for (const SeqRange sack : given.sacks) {
    const std::uint32_t base = our_start_.value_or(0);
    options.sacks[options.sack_count++] = {sack.start + base, sack.end + base};
  }
  IpHeader ip{.source = is_v6_ ? v6_peer : IpAddress::v4(10, 0, 0, 2),
              .destination = interface_.addresses[0].address};
  if (word("ce") != nullptr) ip.ecn = Ecn::congested;
  std::vector<std::byte> payload(given.end - given.seq);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<std::byte>(given.seq + i);
  }
  TxFrame frame;
  frame.link_bytes = static_cast<std::uint8_t>(store_ethernet(
      frame.header.data(),
      {our_mac, peer_mac, no_vlan, is_v6_ ? EtherType::ipv6 : EtherType::ipv4}));
  frame.network_bytes = static_cast<std::uint8_t>(ip_bytes(ip.source));
  std::byte* at = frame.header.data() + frame.link_bytes;
  const std::size_t tcp_bytes =
      store_tcp(at + frame.network_bytes, header, ip.source, ip.destination, payload.size());
  store_ip(at, ip, tcp_bytes + payload.size());
  frame.header_bytes =
      static_cast<std::uint16_t>(frame.link_bytes + frame.network_bytes + tcp_bytes);
  frame.checksum_pos = tcp_checksum_pos;
  if (!payload.empty()) {
    frame.slices[0] = payload;
    frame.slice_count = 1;
    frame.payload_bytes = static_cast<std::uint32_t>(payload.size());
  }
  inject(flat_frame(frame));
  return failure_.empty();
}

bool ScriptRunner::icmp(const Words& words) {
  const bool is_too_big = words[1] == "too_big";
  std::vector<std::byte> bytes(ethernet_bytes + ipv4_bytes + 8 + ipv4_bytes + 8);
  store_ethernet(bytes.data(), {our_mac, peer_mac, no_vlan, EtherType::ipv4});
  std::byte* message = bytes.data() + ethernet_bytes + ipv4_bytes;
  message[0] = std::byte{3};
  message[1] = is_too_big ? std::byte{4} : static_cast<std::byte>(number(words[2]));
  if (is_too_big) store_be(message + 6, static_cast<std::uint16_t>(number(words[2])));
  const IpHeader quoted{.source = IpAddress::v4(10, 0, 0, 1),
                        .destination = IpAddress::v4(10, 0, 0, 2)};
  store_ip(message + 8, quoted, 20);
  store_be(message + 28, our_port_);
  store_be(message + 30, peer_port);
  store_be(message + 32, our_start_.value_or(0) + number(words[3]));
  store_checksum(message + 2, checksum_of({message, 8 + ipv4_bytes + 8}));
  store_ip(bytes.data() + ethernet_bytes,
           {.source = IpAddress::v4(10, 0, 0, 254),
            .destination = IpAddress::v4(10, 0, 0, 1),
            .protocol = IpProtocol::icmp},
           8 + ipv4_bytes + 8);
  inject(std::move(bytes));
  return failure_.empty();
}

bool ScriptRunner::out(const Words& words) {
  if (words[1] == "none") {
    return sent_.empty() || fail("but sent: " + describe_frame(sent_.front().bytes));
  }
  Expected expected;
  if (!parse(words, expected)) return false;
  if (sent_.empty()) return fail("nothing was sent");
  const Sent sent = std::move(sent_.front());
  sent_.pop_front();
  const Result<EthernetFrame> ethernet = parse_ethernet(sent.bytes);
  const IpPacket ip = is_v6_ ? parse_ipv6(ethernet->payload) : parse_ipv4(ethernet->payload, false);
  if (!ip.is_good() || ip.header.protocol != IpProtocol::tcp) return fail("not TCP");
  if (!tcp_checksum_is_good(ip.header.source, ip.header.destination, ip.payload)) {
    return fail("a wrong checksum");
  }
  const TcpSegment segment = parse_tcp(ip.payload);
  if (!segment.is_good()) return fail("a malformed segment");
  if (segment.header.has(tcp_flag::syn)) {
    our_start_ = segment.header.seq.value;
    our_stamp_ = segment.header.options.timestamp;
    our_port_ = segment.header.source_port;
  }
  return compare(expected, segment, ip.header, sent.at_ms);
}

bool ScriptRunner::compare(const Expected& expected, const TcpSegment& segment, const IpHeader& ip,
                           std::int64_t at_ms) {
  const TcpHeader& header = segment.header;
  const std::uint32_t base = our_start_.value_or(0);
  const std::uint32_t seq = header.seq.value - base;
  bool good = header.flags == expected.flags && seq == expected.seq &&
              segment.payload.size() == expected.end - expected.seq;
  for (const auto& [name, value] : expected.words) {
    const auto [first, second] = halves(value);
    if (name == "ack") good &= header.ack.value - peer_start_ == number(value);
    if (name == "rawack") good &= header.ack.value == number(value);
    if (name == "win") good &= header.window == number(value);
    if (name == "mss") good &= header.options.mss == number(value);
    if (name == "ws") good &= header.options.window_scale == number(value);
    if (name == "sackok") good &= header.options.sack_permitted;
    if (name == "nosack") good &= header.options.sack_count == 0;
    if (name == "nots") good &= !header.options.has_timestamp;
    if (name == "ect") good &= ip.ecn == Ecn::capable_0;
    if (name == "at") good &= at_ms >= number(value) && at_ms <= number(value) + 1;
    if (name == "ts") {
      good &= header.options.has_timestamp && header.options.timestamp_echo == number(second);
    }
  }
  if (!expected.sacks.empty()) {
    good &= header.options.sack_count == expected.sacks.size();
    for (std::size_t i = 0; good && i < expected.sacks.size(); ++i) {
      good &= header.options.sacks[i].start.value - peer_start_ == expected.sacks[i].start.value &&
              header.options.sacks[i].end.value - peer_start_ == expected.sacks[i].end.value;
    }
  }
  return good || fail(fmt::format("but sent: {} at {} ms",
                                  describe_segment(segment, base, peer_start_), at_ms));
}

bool ScriptRunner::event(const Words& words) {
  const std::map<Event::Kind, std::string> names{
      {Event::Kind::accepted, "accepted"}, {Event::Kind::connected, "connected"},
      {Event::Kind::data, "data"},         {Event::Kind::sent, "sent"},
      {Event::Kind::peer_ended, "end"},    {Event::Kind::closed, "closed"}};
  if (words[1] == "none") {
    return events_.empty() || fail("but there is: " + names.at(events_.front().kind));
  }
  if (events_.empty()) return fail("there is none");
  const Event event = events_.front();
  events_.pop_front();
  if (names.at(event.kind) != words[1]) return fail("but it is: " + names.at(event.kind));
  if (event.kind != Event::Kind::data) return true;
  const std::size_t size = event.bytes.size();
  for (const std::byte byte : event.bytes) {
    if (byte != static_cast<std::byte>(next_byte_++)) return fail("but with other bytes");
  }
  lent_.erase(event.token);
  return words.size() < 3 || size == number(words[2]) ||
         fail(fmt::format("but of {} bytes", size));
}

bool ScriptRunner::application(const Words& words) {
  const std::string& verb = words[0];
  const std::uint32_t n = words.size() > 1 ? number(words[1]) : 0;
  const Endpoint peer{is_v6_ ? v6_peer : IpAddress::v4(10, 0, 0, 2), server_port};
  if (verb == "listen") {
    stack_->listen({interface_.addresses[0].address, server_port});
  } else if (verb == "connect") {
    conn_ = stack_->connect({peer.address, peer_port}, 0, now_);
    if (conn_ == 0) return fail("no connection was begun");
  } else if (verb == "send") {
    written_.push_back(std::make_unique<std::vector<std::byte>>(n));
    const Bytes slice = *written_.back();
    if (!stack_->send(conn_, {&slice, 1}, written_.size())) return fail("refused");
  } else if (verb == "read") {
    stack_->consumed(conn_, n);
  } else if (verb == "pause") {
    stack_->pause(conn_);
  } else if (verb == "resume") {
    stack_->resume(conn_);
  } else if (verb == "shutdown") {
    stack_->shutdown(conn_);
  } else if (verb == "close") {
    stack_->close(conn_);
  } else if (verb == "abort") {
    stack_->abort(conn_);
  } else {
    return fail("no such word");
  }
  turn();
  return failure_.empty();
}

Connection* ScriptRunner::connection() {
  for (std::uint32_t i = 0; i < stack_->tcp().connections.capacity(); ++i) {
    Connection& c = stack_->tcp().connections[i];
    if (c.state != TcpState::closed) return &c;
  }
  return nullptr;
}

std::string ScriptRunner::state_name() {
  const Connection* c = connection();
  if (c == nullptr) {
    if (stack_->tcp().time_wait.size() > 0) return "time_wait";
    return stack_->tcp().half_open.used_count() > 0 ? "syn_received" : "closed";
  }
  switch (c->state) {
    case TcpState::closed: return "closed";
    case TcpState::syn_sent: return "syn_sent";
    case TcpState::syn_received: return "syn_received";
    case TcpState::established: return "established";
    case TcpState::fin_wait_1: return "fin_wait_1";
    case TcpState::fin_wait_2: return "fin_wait_2";
    case TcpState::close_wait: return "close_wait";
    case TcpState::closing: return "closing";
    case TcpState::last_ack: return "last_ack";
  }
  return "?";
}

bool ScriptRunner::state(const std::string& name) {
  const std::string is = state_name();
  const bool good = is == name || (name == "listen" && is == "closed");
  return good || fail("but it is " + is);
}

bool ScriptRunner::check(const Words& words) {
  if (words[0] == "cwnd" || words[0] == "mss") {
    const Connection* c = connection();
    if (c == nullptr) return fail("no connection");
    const std::uint32_t is = words[0] == "mss" ? c->send_mss : c->congestion.window;
    return is == number(words[1]) || fail(fmt::format("but it is {}", is));
  }
  for (int i = 0; i < static_cast<int>(Count::count_count); ++i) {
    const Count count = static_cast<Count>(i);
    if (words[1] != to_string(count)) continue;
    const std::uint64_t is = stack_->counters().of(count);
    const bool good = words[0] == "count" ? is == number(words[2]) : is >= number(words[2]);
    return good || fail(fmt::format("but it is {}", is));
  }
  return fail("no such counter");
}

}  // namespace tailrace::net
