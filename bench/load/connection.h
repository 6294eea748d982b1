// One connection of the load client: requests sent without blocking, responses cut out of what
// arrives. Not for two threads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "load/frames.h"
#include "load/network.h"

namespace tailrace::load {

// What is remembered of a request until its answer comes.
struct Asked {
  std::int64_t intended_ns = 0;   // when it should have been sent
  std::int64_t offset = -1;       // fetch: what was asked for
};

class Connection final : private Listener {
 public:
  // `network` outlives it.
  explicit Connection(Network& network) : network_(network) {}
  // Resets it.
  ~Connection();
  Connection(Connection&& other) = delete;

  // `address`: "127.0.0.1:9092". Blocks until connected; afterwards nothing does.
  bool open(const std::string& address, std::string& why);
  // Sends a copy of `frame`'s front and back; the records are only pointed at.
  void ask(const Frame& frame, const Asked& asked);
  bool is_broken() const { return state_ == State::closed; }
  // Whole responses of what has come, which live until the network's next turn.
  struct Answer {
    Bytes frame;
    Asked asked;
  };
  std::optional<Answer> take();
  std::size_t in_flight() const { return asked_.size(); }

  // A request and its answer, waited for; an empty answer when the connection breaks.
  Bytes call(const Frame& frame);

 private:
  // connecting --> open --> closed
  enum class State : std::uint8_t { connecting, open, closed };

  struct Out {
    std::vector<std::byte> front;
    Bytes records;
    std::vector<std::byte> back;
  };

  void on_event(const StreamEvent& event) override;
  void add(Bytes bytes);
  void send_waiting();

  Network& network_;
  ConnId id_ = 0;
  State state_ = State::closed;
  std::int32_t correlation_id_ = 0;
  std::deque<Out> out_;                   // by token
  std::vector<std::uint64_t> free_out_;
  std::deque<std::uint64_t> waiting_;     // of out_, for the transport has too many already
  std::deque<Asked> asked_;
  std::vector<std::byte> in_;
  std::size_t in_start_ = 0;
  std::size_t in_end_ = 0;
};

}  // namespace tailrace::load
