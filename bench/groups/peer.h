// One small connection of the groups' bench: many requests out, answers in their order. Thousands
// of them fit beside a broker, which the load client's, with its large buffers, would not.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "base/arena.h"
#include "kafka/header.h"

namespace tailrace::groups {

inline std::int64_t monotonic_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

// A whole frame; its correlation id is not used, because answers come in order.
template <class Request>
std::vector<std::byte> frame_of(const Request& request, std::int16_t version) {
  const auto write = [&](kafka::Writer& out) {
    out.integer(std::int32_t{0});
    kafka::write_request_header(out, {Request::api_key, version, 0, "groups-bench"});
    request.encode(out, version);
  };
  kafka::Writer size = kafka::Writer::counter();
  write(size);
  std::vector<std::byte> bytes(size.size());
  kafka::Writer out(bytes);
  write(out);
  store_be(bytes.data(), static_cast<std::int32_t>(bytes.size() - sizeof(std::int32_t)));
  return bytes;
}

template <class Response>
Response response_of(Bytes frame, std::int16_t version) {
  static Arena arena(std::size_t{1} << 20);
  arena.reset();
  kafka::Reader in(frame);
  kafka::read_response_header(in, Response::api_key, version);
  const Result<Response> decoded = Response::decode(in, version, arena);
  TR_ASSERT(decoded.has_value());
  return *decoded;
}

class Peer {
 public:
  struct Asked {
    int kind = 0;
    std::int64_t at_ns = 0;
  };
  Peer() = default;
  Peer(Peer&& other) = delete;
  ~Peer() {
    if (fd_ >= 0) ::close(fd_);
  }

  bool open(const std::string& host, std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1) return false;
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return false;
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
    return true;
  }
  void ask(const std::vector<std::byte>& frame, int kind, std::int64_t at_ns) {
    out_.insert(out_.end(), frame.begin(), frame.end());
    asked_.push_back({kind, at_ns});
  }
  // False: the connection is gone.
  bool flush() {
    while (sent_ < out_.size()) {
      const ssize_t sent = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      sent_ += static_cast<std::size_t>(sent);
    }
    out_.clear();
    sent_ = 0;
    return true;
  }
  // Calls `on_answer(frame, asked)` for each whole answer. False: the connection is gone.
  template <class OnAnswer>
  bool receive(OnAnswer on_answer) {
    constexpr std::size_t step = 64U << 10;
    in_.resize(filled_ + step);
    const ssize_t got = ::recv(fd_, in_.data() + filled_, step, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    filled_ += static_cast<std::size_t>(got);
    std::size_t at = 0;
    while (filled_ - at >= sizeof(std::int32_t)) {
      const auto length = static_cast<std::size_t>(load_be<std::int32_t>(in_.data() + at));
      if (filled_ - at < sizeof(std::int32_t) + length) break;
      const Asked asked = asked_.front();
      asked_.pop_front();
      on_answer(Bytes(in_).subspan(at + sizeof(std::int32_t), length), asked);
      at += sizeof(std::int32_t) + length;
    }
    std::memmove(in_.data(), in_.data() + at, filled_ - at);
    filled_ -= at;
    in_.resize(filled_);
    if (filled_ == 0) in_.shrink_to_fit();
    return true;
  }
  bool wants_write() const { return sent_ < out_.size(); }
  std::size_t in_flight() const { return asked_.size(); }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::vector<std::byte> out_;
  std::size_t sent_ = 0;
  std::vector<std::byte> in_;
  std::size_t filled_ = 0;
  std::deque<Asked> asked_;
};

}  // namespace tailrace::groups
