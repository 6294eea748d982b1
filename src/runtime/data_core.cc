#include "runtime/data_core.h"

#include <algorithm>

namespace tailrace::runtime {
namespace {

constexpr std::array disk_classes = {DiskClass::wal, DiskClass::segment, DiskClass::read,
                                     DiskClass::background};

}  // namespace

DataCore::DataCore(bus::CoreId core, broker::CoreBroker& broker, io::Transport& transport,
                   io::Disk& disk, Exchange& exchange)
    : core_(core), broker_(broker), transport_(transport), disk_(disk), exchange_(exchange),
      messages_(exchange.batch_messages(batch_items)) {}

std::size_t DataCore::run_once(Now now) {
  turn_began_ = now.instant;
  if (stop_requested_.load(std::memory_order_acquire) && !stopping_) {
    stopping_ = true;
    broker_.begin_stop(now);
  }
  const std::size_t taken = take_in(now);
  broker_.step(now);
  const std::size_t given = give_out();
  transport_.flush(now.instant);
  if (stopping_) note_finished();
  return taken + given;
}

Instant DataCore::next_deadline() const {
  Instant deadline = std::min(broker_.next_deadline(), transport_.next_deadline());
  if (mailbox_full_) deadline = std::min(deadline, turn_began_ + mailbox_retry);
  return deadline;
}

void DataCore::note_finished() {
  if (!broker_.stopped() || !broker_.stream_ops().empty() || !broker_.messages().empty()) return;
  finished_.store(true, std::memory_order_release);
}

std::size_t DataCore::take_in(Now now) {
  const std::size_t message_count = exchange_.receive(core_, messages_);
  for (std::size_t i = 0; i < message_count; ++i) broker_.on_message(messages_[i], now);
  const std::size_t event_count = transport_.poll(now.instant, events_);
  for (std::size_t i = 0; i < event_count; ++i) broker_.on_event(events_[i], now);
  broker_.set_transport_refused(transport_.refused_count());
  const std::size_t done_count = disk_.poll(done_);
  for (std::size_t i = 0; i < done_count; ++i) broker_.on_disk_done(done_[i], now);
  look_at_space(now);
  return message_count + event_count + done_count;
}

std::size_t DataCore::give_out() {
  return submit_disk_ops() + perform_stream_ops() + send_messages();
}

// Each class on its own: a full one never holds up another.
std::size_t DataCore::submit_disk_ops() {
  std::size_t count = 0;
  for (const DiskClass disk_class : disk_classes) {
    const std::span<const DiskOp> ops = broker_.ops(disk_class);
    if (ops.empty()) continue;
    const std::size_t submitted = disk_.submit(ops);
    TR_ASSERT(submitted <= ops.size());
    broker_.ops_taken(disk_class, submitted);
    count += submitted;
  }
  return count;
}

std::size_t DataCore::perform_stream_ops() {
  std::size_t count = 0;
  for (const broker::StreamOp& op : broker_.stream_ops()) {
    // A refused send stays first, so that the order on its connection holds.
    if (!perform(op)) break;
    ++count;
  }
  broker_.stream_ops_taken(count);
  return count;
}

bool DataCore::perform(const broker::StreamOp& op) {
  using Kind = broker::StreamOp::Kind;
  switch (op.kind) {
    case Kind::send: return transport_.send(op.conn, op.slices, op.token);
    case Kind::release: transport_.release(op.token); return true;
    case Kind::pause: transport_.pause(op.conn); return true;
    case Kind::resume: transport_.resume(op.conn); return true;
    case Kind::close: transport_.close(op.conn); return true;
    case Kind::abort: transport_.abort(op.conn); return true;
  }
  TR_ASSERT(false);
  return true;
}

std::size_t DataCore::send_messages() {
  std::size_t count = 0;
  mailbox_full_ = false;
  for (const bus::Outgoing& outgoing : broker_.messages()) {
    // Stops at the first that does not fit, so that the order to each receiver holds.
    mailbox_full_ = !exchange_.send(core_, outgoing);
    if (mailbox_full_) break;
    ++count;
  }
  broker_.messages_taken(count);
  return count;
}

void DataCore::look_at_space(Now now) {
  if (now.instant < space_due_) return;
  space_due_ = now.instant + space_interval;
  const io::DiskSpace space = disk_.space();
  broker_.set_disk_space(space.total_bytes, space.usable_bytes);
}

}  // namespace tailrace::runtime
