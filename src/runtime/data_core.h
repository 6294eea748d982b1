// DataCore: one turn of a core's data plane, in a fixed order. Production calls run_once() in a
// loop, the simulator calls it for many nodes; there is no clock, thread or system call in here.
//
//   1 mailboxes in   2 transport in   3 disk in   4+5 the broker's step: timers, staged data,
//   replies          6 effects out: disk, transport, mailboxes
//
// The order is the contract: an acknowledgement leaves in step 6 of a turn whose step 3 saw the
// completion. Nothing is done inside a callback, so nothing is entered twice.
#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "broker/core_broker.h"
#include "io/disk.h"
#include "io/transport.h"
#include "runtime/exchange.h"

namespace tailrace::runtime {

class DataCore {
 public:
  // All outlive the object.
  DataCore(bus::CoreId core, broker::CoreBroker& broker, io::Transport& transport,
           io::Disk& disk, Exchange& exchange);

  // Returns how much there was to do. Never blocks.
  std::size_t run_once(Now now);
  // When run_once() wants to be called even if nothing comes in.
  Instant next_deadline() const;

  // From any thread (wake the core's Idle afterwards): the next turn begins to stop.
  void request_stop() { stop_requested_.store(true, std::memory_order_release); }
  // From any thread: stopped, and every effect has been given out. Turns go on all the same
  // until every core has finished, since others may still wait for this one's messages.
  bool finished() const { return finished_.load(std::memory_order_acquire); }

 private:
  void note_finished();
  std::size_t take_in(Now now);
  std::size_t give_out();
  std::size_t submit_disk_ops();
  std::size_t perform_stream_ops();
  bool perform(const broker::StreamOp& op);
  std::size_t send_messages();
  void look_at_space(Now now);

  static constexpr std::size_t batch_items = 64;
  // How long to wait before offering a message to a full mailbox again: its receiver wakes
  // nobody when it makes room.
  static constexpr Duration mailbox_retry = milliseconds(1);
  static constexpr Duration space_interval = seconds(1);

  const bus::CoreId core_;
  broker::CoreBroker& broker_;
  io::Transport& transport_;
  io::Disk& disk_;
  Exchange& exchange_;
  std::vector<bus::Message> messages_;
  std::array<StreamEvent, batch_items> events_;
  std::array<DiskDone, batch_items> done_;
  std::atomic<bool> stop_requested_{false};
  std::atomic<bool> finished_{false};
  bool stopping_ = false;
  bool mailbox_full_ = false;
  Instant turn_began_{};
  Instant space_due_{};
};

}  // namespace tailrace::runtime
