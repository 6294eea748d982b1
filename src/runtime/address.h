// "host:port" texts as the command line takes them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

namespace tailrace::runtime {

struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};

// Errors: malformed when `text` is not "HOST:PORT" or "[HOST]:PORT"; `why` says what was found.
bool split_address(std::string_view text, HostPort& address, std::string& why);

// "host:port", with brackets round an IPv6 host.
std::string join_address(const HostPort& address);

// Makes the host numeric, if it is a name: its first IPv4 address, else its first. May wait for
// name servers. False: there is none that to_socket_address takes; `why` says so.
bool resolve_host(HostPort& address, std::string& why);

// False when the host is not a numeric IPv4 or IPv6 address.
bool to_socket_address(const HostPort& address, sockaddr_storage& out, socklen_t& size);

}  // namespace tailrace::runtime
