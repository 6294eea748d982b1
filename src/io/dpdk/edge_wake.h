// EdgeWake: a descriptor to wait for, at a device whose own stays readable for good (net_vhost:
// nobody takes what the other side's knocks have written there). It is readable once for each
// knock, and once for each nudge.
#pragma once

#include <memory>

namespace tailrace::io::dpdk {

class EdgeWake {
 public:
  // Null: there are no descriptors left. `knocks` outlives it.
  static std::unique_ptr<EdgeWake> create(int knocks);
  ~EdgeWake();
  EdgeWake(const EdgeWake&) = delete;
  EdgeWake& operator=(const EdgeWake&) = delete;

  int fd() const { return epoll_; }
  // From any thread.
  void nudge();
  // What was told is over; never blocks.
  void take();

 private:
  EdgeWake(int epoll, int nudges) : epoll_(epoll), nudges_(nudges) {}

  const int epoll_;
  const int nudges_;
};

}  // namespace tailrace::io::dpdk
