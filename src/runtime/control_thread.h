// One turn of the control thread: the control plane's logic between its mailboxes and its disk.
#pragma once

#include <array>
#include <vector>

#include "control/control_plane.h"
#include "io/disk.h"
#include "runtime/exchange.h"

namespace tailrace::runtime {

class ControlThread {
 public:
  // All outlive the object.
  ControlThread(control::ControlPlane& plane, io::Disk& disk, Exchange& exchange)
      : plane_(plane), disk_(disk), exchange_(exchange),
        messages_(exchange.batch_messages(batch_items)) {}

  // Returns how much there was to do. Never blocks.
  std::size_t run_once(Now now);
  Instant next_deadline() const;

 private:
  std::size_t take_in(Now now);
  std::size_t give_out();

  static constexpr std::size_t batch_items = 64;
  // As in DataCore: nobody wakes a sender when a full mailbox has room again.
  static constexpr Duration mailbox_retry = milliseconds(1);

  control::ControlPlane& plane_;
  io::Disk& disk_;
  Exchange& exchange_;
  std::vector<bus::Message> messages_;
  std::array<DiskDone, batch_items> done_;
  bool mailbox_full_ = false;
  Instant turn_began_{};
};

}  // namespace tailrace::runtime
