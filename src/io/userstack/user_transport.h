// UserTransport: byte streams over our own TCP (net/stack.h) and a packet device. It tells exactly
// what the kernel's transport tells; nothing above it knows which of them is there.
//
//   poll:   device -> stack -> stream events
//   flush:  stack -> device, once a turn, after everything was said
#pragma once

#include <memory>
#include <vector>

#include "io/transport.h"
#include "io/userstack/stack_driver.h"
#include "net/steering.h"

namespace tailrace::io {

class UserTransport final : public Transport {
 public:
  struct Options {
    net::Limits limits;               // both as the driver's
    net::Interface interface;
    SipKey key{};                     // secret, new at each start
    std::vector<net::Endpoint> listen;
    Instant start;
    // One of several stacks with these addresses: which connections are whose. Outlives the object.
    const net::Steering* steering = nullptr;
    std::uint16_t core = 0;
  };
  UserTransport(Options options, std::unique_ptr<PacketDevice> device);
  ~UserTransport() override;

  std::size_t poll(Instant now, std::span<StreamEvent> events) override;
  void release(std::uint64_t token) override;
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) override;
  void pause(ConnId conn) override { stack_.pause(conn); }
  void resume(ConnId conn) override { stack_.resume(conn); }
  void close(ConnId conn) override;
  void abort(ConnId conn) override { stack_.abort(conn); }
  ConnId connect(std::string_view address) override;
  std::uint64_t refused_count() const override;
  void flush(Instant now) override;
  bool failed() const override { return driver_.failed(); }
  Instant next_deadline() const override { return driver_.next_deadline(); }

  const net::Stack& stack() const { return driver_.stack(); }
  DeviceNumbers device_numbers() const { return driver_.device_numbers(); }

 private:
  static constexpr std::size_t events_max = 64;   // of one poll

  // The received bytes that are with the application, by the token of their frame.
  struct Lent {
    ConnId conn = 0;
    std::uint64_t bytes = 0;
  };

  // False when there is nothing to tell of it.
  bool translate(const net::Event& event, HostText& host, StreamEvent& out);
  ConnId connect_from_own_port(const net::Endpoint& remote);

  StackDriver driver_;
  net::Stack& stack_;                 // the driver's
  const net::Steering* const steering_;
  const std::uint16_t core_;
  std::vector<Lent> lent_;
  std::vector<net::Event> told_;      // by the stack, in this poll
  std::vector<HostText> hosts_;       // of the peers that were accepted in it
  Instant now_;
};

}  // namespace tailrace::io
