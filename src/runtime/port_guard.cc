#include "runtime/port_guard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace tailrace::runtime {
namespace {

// 0, or the errno of what went wrong.
int try_to_listen(const HostPort& address) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (!to_socket_address(address, storage, size)) return EINVAL;
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // As a server does, so that connections that linger from a stopped one do not count.
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  const bool good = bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0 &&
                    listen(fd, 1) == 0;
  const int error_number = good ? 0 : errno;
  close(fd);
  return error_number;
}

// The same, but a busy port has until `port_wait_max` to become free.
int wait_to_listen(const HostPort& address) {
  constexpr Duration pause = milliseconds(20);
  int error_number = try_to_listen(address);
  for (int tries = 0; error_number == EADDRINUSE && tries < port_wait_max.ns / pause.ns; ++tries) {
    const timespec time{.tv_sec = 0, .tv_nsec = pause.ns};
    nanosleep(&time, nullptr);
    error_number = try_to_listen(address);
  }
  return error_number;
}

}  // namespace

bool ports_are_free(const std::vector<HostPort>& addresses, std::string& why) {
  for (const HostPort& address : addresses) {
    const int error_number = wait_to_listen(address);
    if (error_number == 0) continue;
    why = fmt::format("cannot listen on {}: {}{}", join_address(address),
                      std::strerror(error_number),
                      error_number == EADDRINUSE ? "; stop what does, or take another port" : "");
    return false;
  }
  return true;
}

}  // namespace tailrace::runtime
