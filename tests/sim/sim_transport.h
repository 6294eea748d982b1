// SimTransport: the byte streams of one core. The broker sees io::Transport; the simulated clients
// see the other end of each connection. Bytes arrive late and in pieces of any size, either side
// may break off at any moment, and memory that the contract lends is looked at late or spoiled
// early: slices of a send are copied only when they "go out", released buffers are overwritten.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "client_network.h"
#include "io/transport.h"
#include "sim_clock.h"
#include "trace.h"

namespace tailrace::sim {

struct NetworkPace {
  Duration delay_min = microseconds(10);
  Duration delay_max = microseconds(300);
  std::uint32_t piece_bytes_max = 4096;     // of one data event
  std::uint32_t refuse = 0;                 // sends, per million
  std::uint32_t reset = 0;                  // resets, per million pieces sent or received
  std::uint32_t sends_in_flight_max = 64;   // of a core; further sends are refused
  std::uint32_t receive_buffers = 64;       // of a core; without one, bytes wait
};

class SimTransport final : public io::Transport, public ClientNetwork {
 public:
  SimTransport(SimClock& clock, Trace& trace, Prng prng, const NetworkPace& pace,
               std::string name);

  // --- the broker's side
  std::size_t poll(Instant now, std::span<StreamEvent> events) override;
  void release(std::uint64_t token) override;
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) override;
  void pause(ConnId conn) override;
  void resume(ConnId conn) override;
  void close(ConnId conn) override;
  void abort(ConnId conn) override;
  // No other node to talk to yet.
  ConnId connect(std::string_view) override { return 0; }
  Instant next_deadline() const override;

  // --- the client's side
  ConnId client_connect(std::uint32_t listener);
  bool client_send(ConnId conn, Bytes bytes) override;
  bool client_receive(ConnId conn, std::vector<std::byte>& bytes) override;
  void client_close(ConnId conn) override;
  Instant client_deadline(ConnId conn) const override;

  // --- what the checkers look at
  std::size_t buffers_held() const { return buffers_.size(); }
  std::size_t buffers_held_most() const { return buffers_held_most_; }
  std::size_t connection_count() const { return connections_.size(); }
  std::uint64_t misuses() const { return misuses_; }  // unknown tokens and the like
  // Planted: response bytes are spoiled on their way to the client.
  bool plant_spoil = false;

 private:
  struct Piece {
    Instant due;
    std::vector<std::byte> bytes;
  };
  struct Send {
    Instant due;
    std::uint64_t token = 0;
    std::vector<Bytes> slices;
    std::size_t slice = 0;  // where the copying stands
    std::size_t slice_pos = 0;
    bool gone = false;      // all copied; the event is due
  };
  struct Connection {
    bool accepted = false;      // the broker was told
    bool paused = false;
    bool broken = false;        // reset: the broker is yet to be told
    bool peer_closed = false;   // the client will send no more
    bool closing = false;       // the broker closed after its sends
    bool gone = false;          // the broker was told; only the client's rest remains
    std::uint32_t listener = 0;
    Instant accept_due;
    Instant closed_due;
    std::deque<Piece> to_broker;
    std::deque<Send> sends;
    std::deque<Piece> to_client;
  };

  Duration delay();
  Connection* find(ConnId conn);
  bool poll_connection(ConnId id, Connection& c, Instant now, StreamEvent& event);
  bool poll_data(ConnId id, Connection& c, Instant now, StreamEvent& event);
  bool poll_sent(ConnId id, Connection& c, Instant now, StreamEvent& event);
  void move_out(Connection& c, Send& send);
  void break_off(Connection& c);
  Instant deadline_of(const Connection& c) const;
  void forget_gone();

  SimClock& clock_;
  Trace& trace_;
  Prng prng_;
  NetworkPace pace_;
  std::string name_;
  std::map<ConnId, Connection> connections_;
  std::map<std::uint64_t, std::vector<std::byte>> buffers_;  // by token: lent to the broker
  ConnId next_conn_ = 1;
  std::uint64_t next_token_ = 1;
  std::uint32_t sends_in_flight_ = 0;
  std::size_t buffers_held_most_ = 0;
  std::uint64_t misuses_ = 0;
};

}  // namespace tailrace::sim
