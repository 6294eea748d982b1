// Numeric socket addresses as text and back.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tailrace::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;   // 0: none

  // "1.2.3.4:9092" or "[::1]:9092". False when `text` is neither.
  bool parse(std::string_view text);
  std::string text() const;
  // Without the port; "?" when there is none. IPv4 through an IPv6 socket is IPv4.
  std::string host() const;
  std::uint16_t port() const;
  int family() const { return storage.ss_family; }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

}  // namespace tailrace::io
