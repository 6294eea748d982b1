#include "load/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace tailrace::load {
namespace {

bool parse(const std::string& address, sockaddr_in& to) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return false;
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  return ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) == 1;
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

bool Connection::open(const std::string& address, std::string& why) {
  sockaddr_in to{};
  if (!parse(address, to)) {
    why = address + ": not an IPv4 address with a port";
    return false;
  }
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    why = address + ": " + std::strerror(errno);
    ::close(fd_);
    fd_ = -1;
    return false;
  }
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  return true;
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

void Connection::ask(const Frame& frame, const Asked& asked) {
  Out out;
  if (!spare_.empty()) {
    out = std::move(spare_.back());
    spare_.pop_back();
  }
  out.front.assign(frame.front.begin(), frame.front.end());
  out.records = frame.records;
  out.back.assign(frame.back.begin(), frame.back.end());
  out.sent = 0;
  set_correlation(out.front, ++correlation_id_);
  out_.push_back(std::move(out));
  asked_.push_back(asked);
}

bool Connection::flush() {
  while (!out_.empty()) {
    std::array<iovec, 96> vectors;
    std::size_t count = 0;
    for (std::size_t i = 0; i < out_.size() && count + 3 <= vectors.size(); ++i) {
      std::size_t skip = out_[i].sent;
      for (const Bytes part : {Bytes(out_[i].front), out_[i].records, Bytes(out_[i].back)}) {
        const std::size_t gone = std::min(skip, part.size());
        skip -= gone;
        if (gone == part.size()) continue;
        vectors[count++] = {const_cast<std::byte*>(part.data()) + gone, part.size() - gone};
      }
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) return would_block();
    auto left = static_cast<std::size_t>(sent);
    while (!out_.empty()) {
      Out& out = out_.front();
      const std::size_t rest =
          out.front.size() + out.records.size() + out.back.size() - out.sent;
      const std::size_t taken = std::min(rest, left);
      out.sent += taken;
      left -= taken;
      if (taken < rest) break;
      spare_.push_back(std::move(out));
      out_.pop_front();
    }
  }
  return true;
}

bool Connection::receive() {
  if (in_start_ == in_end_) in_start_ = in_end_ = 0;
  // A whole response of the usual size fits behind what is there, or everything moves forward.
  if (in_start_ > buffer_bytes / 2) {
    std::memmove(in_.data(), in_.data() + in_start_, in_end_ - in_start_);
    in_end_ -= in_start_;
    in_start_ = 0;
  }
  const ssize_t got = ::recv(fd_, in_.data() + in_end_, in_.size() - in_end_, 0);
  if (got < 0) return would_block();
  if (got == 0) return false;
  in_end_ += static_cast<std::size_t>(got);
  return true;
}

std::optional<Connection::Answer> Connection::take() {
  constexpr std::size_t length_bytes = 4;
  const Bytes there = Bytes(in_).subspan(in_start_, in_end_ - in_start_);
  if (there.size() < length_bytes) return std::nullopt;
  const auto length = static_cast<std::size_t>(load_be<std::int32_t>(there.data()));
  TR_ASSERT(length < buffer_bytes / 2);
  if (there.size() < length_bytes + length) return std::nullopt;
  in_start_ += length_bytes + length;
  TR_ASSERT(!asked_.empty());
  const Answer answer{there.subspan(length_bytes, length), asked_.front()};
  asked_.pop_front();
  return answer;
}

Bytes Connection::call(const Frame& frame) {
  ask(frame, {});
  while (true) {
    if (!flush()) return {};
    pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
    if (wants_write()) wait.events |= POLLOUT;
    ::poll(&wait, 1, 1000);
    if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !receive()) return {};
    if (const auto answer = take()) return answer->frame;
  }
}

}  // namespace tailrace::load
