// One connection of the load client: requests queued and sent without blocking, responses cut out
// of what arrives. Not for two threads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "load/frames.h"

namespace tailrace::load {

// What is remembered of a request until its answer comes.
struct Asked {
  std::int64_t intended_ns = 0;   // when it should have been sent
  std::int64_t offset = -1;       // fetch: what was asked for
};

class Connection {
 public:
  // `address`: "127.0.0.1:9092". Blocks until connected; afterwards nothing does.
  bool open(const std::string& address, std::string& why);
  ~Connection();
  Connection() = default;
  Connection(Connection&& other) = delete;

  // Queues a copy of `frame`'s front and back; the records are only pointed at.
  void ask(const Frame& frame, const Asked& asked);
  // Sends what the socket takes. False: the connection is gone.
  bool flush();
  // Reads what is there; false: the connection is gone. Then take() gives whole responses, which
  // live until the next receive().
  bool receive();
  struct Answer {
    Bytes frame;
    Asked asked;
  };
  std::optional<Answer> take();

  int fd() const { return fd_; }
  bool wants_write() const { return !out_.empty(); }
  std::size_t in_flight() const { return asked_.size(); }

  // A request and its answer, waited for; an empty answer when the connection breaks.
  Bytes call(const Frame& frame);

 private:
  struct Out {
    std::vector<std::byte> front;
    Bytes records;
    std::vector<std::byte> back;
    std::size_t sent = 0;
  };
  static constexpr std::size_t buffer_bytes = std::size_t{4} << 20;

  int fd_ = -1;
  std::int32_t correlation_id_ = 0;
  std::deque<Out> out_;
  std::vector<Out> spare_;
  std::deque<Asked> asked_;
  std::vector<std::byte> in_ = std::vector<std::byte>(buffer_bytes);
  std::size_t in_start_ = 0;
  std::size_t in_end_ = 0;
};

}  // namespace tailrace::load
