#include "io/kernel_interface.h"

#include <linux/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace tailrace::io {

int read_kernel_interface(const std::string& name, KernelInterface& interface) {
  if (name.empty() || name.size() >= IFNAMSIZ) return ENODEV;
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return errno;
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  int error_number = ::ioctl(socket, SIOCGIFMTU, &request) == 0 ? 0 : errno;
  interface.mtu = static_cast<std::uint16_t>(std::clamp(request.ifr_mtu, 0, 65'535));
  if (error_number == 0 && ::ioctl(socket, SIOCGIFFLAGS, &request) != 0) error_number = errno;
  interface.is_up = (request.ifr_flags & IFF_UP) != 0;
  interface.has_carrier = (request.ifr_flags & IFF_RUNNING) != 0;
  ::close(socket);
  return error_number;
}

Link link_of_interface(const std::string& name) {
  KernelInterface interface;
  if (read_kernel_interface(name, interface) != 0) return Link::up;
  if (!interface.is_up) return Link::switched_off;
  return interface.has_carrier ? Link::up : Link::down;
}

int claim_interface(const std::string& name, int& error_number) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = "tailrace-interface-" + name;
  error_number = ENAMETOOLONG;
  if (text.size() + 1 > sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path + 1, text.data(), text.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  const int claim = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool is_ours =
      claim >= 0 && ::bind(claim, reinterpret_cast<sockaddr*>(&address), size) == 0;
  error_number = is_ours ? 0 : errno == EADDRINUSE ? EBUSY : errno;
  if (is_ours) return claim;
  if (claim >= 0) ::close(claim);
  return -1;
}

}  // namespace tailrace::io
