// What the io tests share: a temporary folder and a transport with its loop.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/uring/ring.h"
#include "io/uring/uring_transport.h"

namespace tailrace::io {

inline std::unique_ptr<Ring> make_ring() {
  std::string why;
  auto ring = Ring::create({}, why);
  EXPECT_TRUE(ring.has_value()) << why;
  return std::move(*ring);
}

// Below the build's folder: /tmp is often tmpfs, which has other rules for O_DIRECT.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string text = std::filesystem::current_path().string() + "/io-test-XXXXXX";
    path = ::mkdtemp(text.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

// A transport stepped by the test; keeps what happened per connection.
struct Loop {
  explicit Loop(TransportOptions options = {}) : ring(make_ring()) {
    std::string why;
    auto made = UringTransport::create(*ring, options, why);
    EXPECT_TRUE(made.has_value()) << why;
    transport = std::move(*made);
  }

  static TransportOptions listening() { return {.listen = {"127.0.0.1:0"}}; }
  std::string address() const {
    return "127.0.0.1:" + std::to_string(transport->local_port(0));
  }

  void step(Duration wait_max = milliseconds(1)) {
    std::array<StreamEvent, 64> events;
    const std::size_t count = transport->poll(Ring::monotonic_now(), events);
    for (std::size_t i = 0; i < count; ++i) on_event(events[i]);
    if (count > 0) return;
    const Instant deadline = Ring::monotonic_now() + wait_max;
    ring->wait(std::min(deadline, transport->next_deadline()));
  }
  // Steps until `condition` holds; false after ten seconds.
  template <class Condition>
  bool until(Condition condition) {
    const Instant end = Ring::monotonic_now() + seconds(10);
    while (!condition()) {
      if (Ring::monotonic_now() > end) return false;
      step();
    }
    return true;
  }
  void settle(Duration duration) {
    const Instant end = Ring::monotonic_now() + duration;
    while (Ring::monotonic_now() < end) step();
  }

  void on_event(const StreamEvent& event) {
    EXPECT_FALSE(closed.contains(event.conn)) << "an event after closed";
    switch (event.kind) {
      case StreamEvent::Kind::accepted:
        accepted.push_back(event.conn);
        hosts.emplace_back(as_text(event.bytes));
        break;
      case StreamEvent::Kind::connected: connected.push_back(event.conn); break;
      case StreamEvent::Kind::data:
        ++data_events;
        received[event.conn] += as_text(event.bytes);
        if (echo) return send_back(event);
        if (keep_buffers) {
          kept.push_back(event.token);
        } else {
          transport->release(event.token);
        }
        break;
      case StreamEvent::Kind::sent:
        sent.push_back(event.token);
        if (echo) transport->release(event.token);
        break;
      case StreamEvent::Kind::closed:
        ++closed[event.conn];
        sent_before_closed[event.conn] = sent.size();
        break;
    }
  }
  // Sends the received bytes from where they lie.
  void send_back(const StreamEvent& event) {
    EXPECT_TRUE(transport->send(event.conn, {&event.bytes, 1}, event.token));
  }
  bool send_text(ConnId conn, const std::string& text, std::uint64_t token) {
    const Bytes slice = as_bytes(text);
    return transport->send(conn, {&slice, 1}, token);
  }
  std::size_t received_bytes() const {
    std::size_t bytes = 0;
    for (const auto& [conn, text] : received) bytes += text.size();
    return bytes;
  }

  std::unique_ptr<Ring> ring;
  std::unique_ptr<UringTransport> transport;
  bool echo = false;
  bool keep_buffers = false;
  std::size_t data_events = 0;
  std::vector<ConnId> accepted;
  std::vector<std::string> hosts;  // of these
  std::vector<ConnId> connected;
  std::map<ConnId, std::string> received;
  std::vector<std::uint64_t> sent;
  std::vector<std::uint64_t> kept;
  std::map<ConnId, int> closed;
  std::map<ConnId, std::size_t> sent_before_closed;
};

}  // namespace tailrace::io
