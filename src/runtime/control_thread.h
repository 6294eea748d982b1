// One turn of the control thread: the control plane's logic between its mailboxes and its disk.
#pragma once

#include <array>

#include "control/control_plane.h"
#include "io/disk.h"
#include "runtime/exchange.h"

namespace tailrace::runtime {

class ControlThread {
 public:
  // All outlive the object.
  ControlThread(control::ControlPlane& plane, io::Disk& disk, Exchange& exchange)
      : plane_(plane), disk_(disk), exchange_(exchange) {}

  // Returns how much there was to do. Never blocks.
  std::size_t run_once(Now now);
  Instant next_deadline() const { return plane_.next_deadline(); }

 private:
  std::size_t take_in(Now now);
  std::size_t give_out();

  static constexpr std::size_t batch_items = 64;
  control::ControlPlane& plane_;
  io::Disk& disk_;
  Exchange& exchange_;
  std::array<bus::Message, batch_items> messages_;
  std::array<DiskDone, batch_items> done_;
};

}  // namespace tailrace::runtime
