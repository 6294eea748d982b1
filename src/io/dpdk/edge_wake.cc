#include "io/dpdk/edge_wake.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>

namespace tailrace::io::dpdk {
namespace {

bool watch_edges(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

std::unique_ptr<EdgeWake> EdgeWake::create(int knocks) {
  std::unique_ptr<EdgeWake> wake(
      new EdgeWake(epoll_create1(EPOLL_CLOEXEC), eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  const bool works = wake->epoll_ >= 0 && wake->nudges_ >= 0 &&
                     watch_edges(wake->epoll_, knocks) && watch_edges(wake->epoll_, wake->nudges_);
  return works ? std::move(wake) : nullptr;
}

EdgeWake::~EdgeWake() {
  if (epoll_ >= 0) ::close(epoll_);
  if (nudges_ >= 0) ::close(nudges_);
}

void EdgeWake::nudge() {
  const std::uint64_t one = 1;
  (void)!::write(nudges_, &one, sizeof one);   // Its counter is never full.
}

void EdgeWake::take() {
  std::array<epoll_event, 2> events;
  (void)epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
}

}  // namespace tailrace::io::dpdk
