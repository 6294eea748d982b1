#include "io/kernel_interface.h"

#include <linux/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
  ::close(socket);
  return error_number;
}

}  // namespace tailrace::io
