// Addresses of our own stack as the system has them: as text and in socket addresses.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/ops.h"
#include "net/address.h"

namespace tailrace::io {

inline HostText address_text(const net::IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const bool is_v4 = address.is_v4();
  inet_ntop(is_v4 ? AF_INET : AF_INET6, address.bytes.data() + (is_v4 ? 12 : 0), text, sizeof text);
  return HostText(text);
}

// False when it is of neither family.
inline bool load_address(const sockaddr& from, net::IpAddress& address) {
  if (from.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    address = net::IpAddress::load_v4(reinterpret_cast<const std::byte*>(&v4.sin_addr));
    return true;
  }
  if (from.sa_family != AF_INET6) return false;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
  address = net::IpAddress::load_v6(reinterpret_cast<const std::byte*>(&v6.sin6_addr));
  return true;
}

}  // namespace tailrace::io
