// Our stack on a packet device, talking as talk.h says: a small application over the stack, with
// what io/userstack/user_transport does not need, such as half-closed connections.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "io/userstack/stack_driver.h"
#include "talk.h"

namespace tailrace::peer {

class PeerHost {
 public:
  // `tell` gets a line for each talk that ended: "ID ok" or "ID" and what went wrong.
  PeerHost(const net::Limits& limits, const net::Interface& interface, std::uint16_t port,
           std::unique_ptr<io::PacketDevice> device, Instant start,
           std::function<void(const std::string&)> tell);

  // Device to stack, events, stack to device.
  void turn(Instant now);
  Instant next_deadline() const;

  // False: it cannot even be tried.
  bool connect(const net::Endpoint& remote, std::uint16_t local_port, std::string_view line,
               Instant now);
  // Those who wait to be told end now.
  void meet();
  std::size_t talks() const { return talks_.size(); }
  const net::Counters& counters() const { return stack_.counters(); }

 private:
  void on_event(const net::Event& event, Instant now);
  void on_data(ConnId conn, Talk& talk, Bytes bytes, Instant now);
  void on_peer_ended(ConnId conn, Talk& talk);
  void on_closed(Talk& talk);
  void begin(ConnId conn, Talk& talk, std::string_view line, Instant now);
  void pump(ConnId conn, Talk& talk);
  void send(ConnId conn, Talk& talk, std::string text);
  void end(ConnId conn, Talk& talk);
  io::StackDriver driver_;
  net::Stack& stack_;   // the driver's
  std::function<void(const std::string&)> tell_;
  std::map<ConnId, Talk> talks_;
  struct Sent {
    ConnId conn = 0;
    std::string text;                 // its memory, unless it is the pattern's
  };
  std::map<std::uint64_t, std::unique_ptr<Sent>> sends_;
  std::uint64_t next_token_ = 1;
};

}  // namespace tailrace::peer
