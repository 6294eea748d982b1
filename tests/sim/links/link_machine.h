// LinkMachine: a machine on which simulated clients run. Their bytes go through a TCP of its own;
// it reads sooner or later, breaks off now and then, and sends again what its TCP refused.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "../client_network.h"
#include "link_transport.h"

namespace tailrace::sim {

class LinkMachine final : public ClientNetwork {
 public:
  LinkMachine(const LinkPlan& plan, std::unique_ptr<LinkTransport> transport, Prng prng,
              SimClock& clock);

  // 0: not now.
  ConnId connect(const std::string& address);
  bool client_send(ConnId conn, Bytes bytes) override;
  bool client_receive(ConnId conn, std::vector<std::byte>& bytes) override;
  void client_close(ConnId conn) override;
  Instant client_deadline(ConnId conn) const override;

  // One turn, if there is something to do.
  bool step();
  Instant next_deadline() const;
  // No more breaking off and pausing; what waits goes on.
  void heal() { is_healed_ = true; }
  // All programs end.
  void hang_up();

  LinkTransport& transport() { return *transport_; }

 private:
  struct Conn {
    std::vector<std::byte> inbox;
    std::deque<std::vector<std::byte>> unsent;   // what TCP did not take yet
    Instant read_at = never();                   // paused until then
    std::vector<std::uint64_t> kept;             // tokens of data that it looks at meanwhile
    bool is_closed = false;
    bool is_closing = false;                     // by us, after what is unsent
  };
  void on_event(const StreamEvent& event);
  void on_data(Conn& c, const StreamEvent& event);
  void send_unsent(ConnId id, Conn& c);
  void read_on(ConnId id, Conn& c);

  const LinkPlan& plan_;
  std::unique_ptr<LinkTransport> transport_;
  Prng prng_;
  SimClock& clock_;
  std::map<ConnId, Conn> conns_;
  std::map<std::uint64_t, std::vector<std::byte>> sending_;  // by token
  std::uint64_t next_token_ = 1;
  Instant turn_after_{};
  bool has_news_ = false;      // something was said that has not gone out
  bool is_healed_ = false;
};

}  // namespace tailrace::sim
