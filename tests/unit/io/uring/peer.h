// A blocking client socket: the other end in the transport's tests.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "io/socket_address.h"

namespace tailrace::io {

class Peer {
 public:
  // `receive_bytes`: a small receive buffer, so that a slow reader is slow soon.
  explicit Peer(const std::string& address, int receive_bytes = 0) {
    SocketAddress target;
    EXPECT_TRUE(target.parse(address));
    fd_ = ::socket(target.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    }
    is_connected = ::connect(fd_, target.raw(), target.size) == 0;
  }
  explicit Peer(int fd) : is_connected(fd >= 0), fd_(fd) {}
  ~Peer() { close(); }
  Peer(Peer&& other) noexcept : is_connected(other.is_connected), fd_(other.fd_) {
    other.fd_ = -1;
  }
  Peer(const Peer&) = delete;

  // As much as the kernel takes now.
  std::size_t write_some(std::string_view text) {
    const ssize_t count = ::send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? 0 : static_cast<std::size_t>(count);
  }
  // What is there now.
  std::string read_some(std::size_t bytes_max = 65536) {
    std::string text(bytes_max, '\0');
    const ssize_t count = ::recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
    last_errno = count < 0 ? errno : 0;
    ended = ended || count == 0;
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    const linger no_linger{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &no_linger, sizeof no_linger);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }

  bool is_connected = false;
  bool ended = false;
  int last_errno = 0;

 private:
  int fd_ = -1;
};

}  // namespace tailrace::io
