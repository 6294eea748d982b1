// Runs packet scripts: plain text in which the test is the peer of one of our stacks. A file holds
// many cases; each begins with "=== what it shows", naming the clause.
//
//   option NAME VALUE        before anything else: sack, stamps, scale, ecn, v6, tso (on or off);
//                            mtu, buffer, buffer_max, rto_min, delayed_ack, half_open,
//                            cookies_from, connections, user_timeout, keepalive, challenges,
//                            resets, connect_timeout, finishing, draining, pieces, pieces_all,
//                            records (numbers; times in ms)
//   listen | connect         our side; port 9092
//   reach STATE              the shortest way there: syn_sent syn_received established fin_wait_1
//                            fin_wait_2 close_wait closing last_ack time_wait closed listen
//   in FLAGS SEQ:END [...]   the peer sends; S F R P . (ack) E C; "-": no flag
//   out FLAGS SEQ:END [...]  we must have sent this next; what is not named is not looked at
//   out none                 nothing more was sent
//       ack N  win N  mss N  ws N  sackok  ts VALUE:ECHO  sack A:B  ce (in)  ect (out)
//       nosack (out)  nots (out)  at MS (out: since the begin of the case)
//   wait MS                  time passes, timers go off
//   send N | read N | pause | resume | shutdown | close | abort
//   event KIND [N]           the next event: accepted connected data sent end closed none
//   state STATE              of our connection; closed: there is none; time_wait; listen
//   count NAME N             a counter (net/counters.h)
//   more NAME N              ... is at least that
//   cwnd N | mss N           what the connection has
//   icmp too_big MTU SEQ | icmp unreachable CODE SEQ    about a segment of ours
//   skip N                   forgets N frames that were sent
//
// Sequence numbers count from the initial ones of their side, so a SYN is 0 and the first byte 1.
// The echo of a timestamp (in) counts from the timestamp of our SYN.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/stack.h"

namespace tailrace::net {

struct ScriptCase {
  std::string file;
  std::string title;
  std::size_t line = 0;
  std::vector<std::pair<std::size_t, std::string>> lines;  // number in the file, text
};

std::vector<ScriptCase> read_cases(const std::string& path);

// Empty when the case holds; else the line and what was wrong.
std::string run_case(const ScriptCase& script);

class ScriptRunner {
 public:
  explicit ScriptRunner(const ScriptCase& script) : script_(script) {}
  std::string run();

 private:
  using Words = std::vector<std::string>;
  struct Sent {
    std::vector<std::byte> bytes;
    std::int64_t at_ms = 0;
  };
  struct Expected {
    std::uint8_t flags = 0;
    std::uint32_t seq = 0;
    std::uint32_t end = 0;
    std::map<std::string, std::string> words;
    std::vector<SeqRange> sacks;
  };

  bool step(const Words& words);
  bool option(const Words& words);
  bool application(const Words& words);
  bool check(const Words& words);
  void start();
  bool reach(const std::string& state);
  bool run_lines(std::initializer_list<const char*> lines);
  bool in(const Words& words);
  bool icmp(const Words& words);
  bool out(const Words& words);
  bool compare(const Expected& expected, const TcpSegment& segment, const IpHeader& ip,
               std::int64_t at_ms);
  bool event(const Words& words);
  bool state(const std::string& name);
  std::string state_name();
  bool parse(const Words& words, Expected& parsed);
  void inject(std::vector<std::byte> bytes);
  void turn();
  void wait(std::int64_t ms);
  void take_frames();
  bool answer_arp(const std::vector<std::byte>& frame);
  bool fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
    return false;
  }
  Connection* connection();

  const ScriptCase& script_;
  std::string failure_;
  Limits limits_;
  Interface interface_;
  bool is_v6_ = false;
  std::unique_ptr<Stack> stack_;
  Instant begun_{seconds(5000).ns};
  Instant now_ = begun_;
  std::deque<Sent> sent_;
  std::deque<Event> events_;
  std::map<std::uint64_t, std::unique_ptr<std::vector<std::byte>>> lent_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> written_;
  std::uint64_t next_token_ = 1;
  std::uint32_t next_byte_ = 1;              // of the peer's stream; each byte says its number
  ConnId conn_ = 0;
  std::uint16_t our_port_ = 9092;
  std::uint32_t peer_start_ = 0xffff'fff0;   // goes round soon
  std::optional<std::uint32_t> our_start_;
  std::uint32_t our_stamp_ = 0;
};

}  // namespace tailrace::net
