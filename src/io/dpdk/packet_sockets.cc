#include "io/dpdk/packet_sockets.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace tailrace::io::dpdk {
namespace {

namespace fs = std::filesystem;

std::vector<int> sockets_of(int domain) {
  std::vector<int> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd", error)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    int of_socket = 0;
    socklen_t size = sizeof of_socket;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &of_socket, &size) != 0) continue;
    if (of_socket == domain) found.push_back(fd);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::vector<int> xdp_sockets() { return sockets_of(AF_XDP); }

std::vector<int> packet_sockets(const std::string& interface) {
  const auto index = static_cast<int>(if_nametoindex(interface.c_str()));
  std::vector<int> found = sockets_of(AF_PACKET);
  std::erase_if(found, [index](int fd) {
    sockaddr_ll address{};
    socklen_t size = sizeof address;
    return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
           address.sll_ifindex != index;
  });
  return found;
}

bool is_event_fd(int fd) {
  std::error_code error;
  const fs::path target = fs::read_symlink(fs::path("/proc/self/fd") / std::to_string(fd), error);
  return target.string() == "anon_inode:[eventfd]";
}

}  // namespace tailrace::io::dpdk
