// LinkWatch: tells the operator when the link of a network device is lost, or was never there, and
// when it is back.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/counter.h"
#include "io/packet_device.h"

namespace tailrace::runtime {

class LinkWatch {
 public:
  // `device`: as the profile names it.
  explicit LinkWatch(std::string device) : device_(std::move(device)) {}

  // On the device's thread, every second or so.
  void look(io::Link link);

  // From any thread.
  bool is_up() const { return is_up_.load(std::memory_order_relaxed); }
  std::uint64_t losses() const { return losses_.load(); }

 private:
  const std::string device_;
  std::atomic<bool> is_up_{true};
  Counter losses_;
};

}  // namespace tailrace::runtime
