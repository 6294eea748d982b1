#include "runtime/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <charconv>
#include <cstring>

namespace tailrace::runtime {

bool split_address(std::string_view text, HostPort& address, std::string& why) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    why = fmt::format("\"{}\" is not HOST:PORT", text);
    return false;
  }
  if (text.front() == '[' && text.back() == ']') {
    why = fmt::format("\"{}\": the port is missing, write {}:9092", text, text);
    return false;
  }
  if (colon == 0) {
    why = fmt::format("\"{}\": the host is missing, write 127.0.0.1{} or, for every address of "
                      "this machine, 0.0.0.0{}", text, text, text);
    return false;
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) {
    why = fmt::format("\"{}\": write an IPv6 host in brackets and its port, as [::1]:9092", text);
    return false;
  }
  unsigned value = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() || value > 65535) {
    why = fmt::format("\"{}\": \"{}\" is not a port from 0 to 65535", text, port);
    return false;
  }
  address = {std::string(host), static_cast<std::uint16_t>(value)};
  return true;
}

std::string join_address(const HostPort& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", address.host, address.port)
               : fmt::format("{}:{}", address.host, address.port);
}

bool resolve_host(HostPort& address, std::string& why) {
  sockaddr_storage unused{};
  socklen_t size = 0;
  if (to_socket_address(address, unused, size)) return true;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(address.host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    why = fmt::format("\"{}\": the host is not found ({}); a numeric one, such as 127.0.0.1 or "
                      "[::1], always is", join_address(address), gai_strerror(error));
    return false;
  }
  const addrinfo* best = found;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET) continue;
    best = one;
    break;
  }
  char host[NI_MAXHOST] = "";
  const int named = getnameinfo(best->ai_addr, best->ai_addrlen, host, sizeof host, nullptr, 0,
                                NI_NUMERICHOST);
  freeaddrinfo(found);
  const HostPort numeric{host, address.port};
  // One with a zone, as fe80::1%eth0, stays a text that only the name service reads.
  if (named != 0 || !to_socket_address(numeric, unused, size)) {
    why = fmt::format("\"{}\": the host's address ({}) cannot be used; one without a zone (%) can",
                      join_address(address), named != 0 ? gai_strerror(named) : host);
    return false;
  }
  address = numeric;
  return true;
}

bool to_socket_address(const HostPort& address, sockaddr_storage& out, socklen_t& size) {
  std::memset(&out, 0, sizeof out);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    size = sizeof(sockaddr_in);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    size = sizeof(sockaddr_in6);
    return true;
  }
  return false;
}

}  // namespace tailrace::runtime
