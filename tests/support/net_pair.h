// Two stacks on one wire, in one test: frames that one sends the other has in the next step, unless
// the test drops them.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cut_segments.h"
#include "net/stack.h"

namespace tailrace {

class NetPair {
 public:
  struct End {
    std::unique_ptr<net::Stack> stack;
    std::map<std::uint64_t, std::unique_ptr<std::vector<std::byte>>> lent;
    std::vector<std::unique_ptr<std::vector<std::byte>>> arrived;
    std::vector<net::Event> events;
    std::uint64_t received = 0;
    std::uint64_t sent_frames = 0;
    ConnId conn = 0;
    bool reads = true;
    bool ended = false;
    bool closed = false;
    std::vector<std::uint64_t> done;   // tokens of sends
  };

  explicit NetPair(const net::Limits& limits = small_limits(),
                   const net::Interface& base = {}, Duration delay = microseconds(50))
      : delay_(delay) {
    for (int i = 0; i < 2; ++i) {
      net::Interface interface = base;
      interface.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i + 1)}};
      interface.addresses = {{address(i), 24}};
      SipKey key{};
      key[0] = static_cast<std::uint8_t>(i + 1);
      ends[i].stack = std::make_unique<net::Stack>(limits, interface, key, now);
    }
  }

  static net::IpAddress address(int i) {
    return net::IpAddress::v4(10, 0, 0, static_cast<std::uint8_t>(i + 1));
  }
  static net::Limits small_limits() {
    net::Limits limits;
    limits.connections_max = 16;
    limits.half_open_max = limits.half_open_cookies_from = 16;
    limits.time_wait_max = 16;
    limits.frames_max = 65'536;
    return limits;
  }

  // Both ends' connections, open.
  void open() {
    ends[1].stack->listen({address(1), 9092});
    ends[0].conn = ends[0].stack->connect({address(1), 9092}, 0, now);
    run(milliseconds(10));
  }
  bool send(int from, Bytes bytes, std::uint64_t token = 1) {
    return ends[from].stack->send(ends[from].conn, {&bytes, 1}, token);
  }

  // Time passes in steps of the wire's delay.
  void run(Duration duration) {
    const Instant until = now + duration;
    while (now < until) {
      now = now + delay_;
      for (int i = 0; i < 2; ++i) step(i);
      for (FullEnd& end : ends) {
        for (auto& frame : end.arriving) end.arrived.push_back(std::move(frame));
        end.arriving.clear();
      }
    }
  }

  // True: the frame is lost.
  std::function<bool(int from, Bytes frame)> drop = [](int, Bytes) { return false; };
  Instant now{seconds(1000).ns};

  struct FullEnd : End {
    std::vector<std::unique_ptr<std::vector<std::byte>>> arriving;
  };
  std::array<FullEnd, 2> ends;

 private:
  void step(int i) {
    FullEnd& end = ends[i];
    std::vector<RxFrame> frames;
    for (auto& bytes : end.arrived) {
      const std::uint64_t token = next_token_++;
      frames.push_back({.bytes = *bytes, .token = token});
      end.lent[token] = std::move(bytes);
    }
    end.arrived.clear();
    end.stack->input(frames, now);
    end.stack->advance(now);
    take_events(end);
    std::array<TxFrame, 16> out;
    for (std::size_t count = out.size(); count == out.size();) {
      count = end.stack->output(out, now);
      for (std::size_t at = 0; at < count; ++at) {
        cut_segments(out[at], [&](std::vector<std::byte> bytes) {
          ++end.sent_frames;
          if (drop(i, bytes)) return;
          ends[i ^ 1].arriving.push_back(
              std::make_unique<std::vector<std::byte>>(std::move(bytes)));
        });
        if (out[at].hold != no_hold) end.stack->transmitted(out[at].hold);
      }
    }
    take_events(end);
    for (const std::uint64_t token : end.stack->take_released()) {
      TR_ASSERT(end.lent.erase(token) == 1);
    }
    TR_ASSERT(end.stack->is_consistent());
  }

  void take_events(FullEnd& end) {
    std::array<net::Event, 16> events;
    for (std::size_t count = events.size(); count == events.size();) {
      count = end.stack->take_events(events);
      for (std::size_t i = 0; i < count; ++i) {
        const net::Event& event = events[i];
        end.events.push_back(event);
        if (event.kind == net::Event::Kind::accepted) end.conn = event.conn;
        if (event.kind == net::Event::Kind::peer_ended) end.ended = true;
        if (event.kind == net::Event::Kind::closed) end.closed = true;
        if (event.kind == net::Event::Kind::sent) end.done.push_back(event.token);
        if (event.kind != net::Event::Kind::data) continue;
        end.received += event.bytes.size();
        end.lent.erase(event.token);
        if (end.reads) end.stack->consumed(event.conn, event.bytes.size());
      }
    }
  }

  Duration delay_;
  std::uint64_t next_token_ = 1;
};

}  // namespace tailrace
