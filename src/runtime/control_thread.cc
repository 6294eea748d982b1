#include "runtime/control_thread.h"

#include <algorithm>

namespace tailrace::runtime {

std::size_t ControlThread::run_once(Now now) {
  turn_began_ = now.instant;
  const std::size_t taken = take_in(now);
  plane_.step(now);
  return taken + give_out();
}

Instant ControlThread::next_deadline() const {
  const Instant deadline = plane_.next_deadline();
  return mailbox_full_ ? std::min(deadline, turn_began_ + mailbox_retry) : deadline;
}

std::size_t ControlThread::take_in(Now now) {
  const std::size_t message_count = exchange_.receive(bus::control_core, messages_);
  for (std::size_t i = 0; i < message_count; ++i) plane_.on_message(messages_[i], now);
  const std::size_t done_count = disk_.poll(done_);
  for (std::size_t i = 0; i < done_count; ++i) plane_.on_disk_done(done_[i], now);
  return message_count + done_count;
}

std::size_t ControlThread::give_out() {
  const std::size_t submitted = disk_.submit(plane_.ops());
  plane_.ops_taken(submitted);
  std::size_t sent = 0;
  mailbox_full_ = false;
  for (const bus::Outgoing& outgoing : plane_.messages()) {
    // Stops at the first that does not fit, so that the order to each receiver holds.
    mailbox_full_ = !exchange_.send(bus::control_core, outgoing);
    if (mailbox_full_) break;
    ++sent;
  }
  plane_.messages_taken(sent);
  return submitted + sent;
}

}  // namespace tailrace::runtime
