// Exchange: the mailboxes between all threads of a node, one per ordered pair, and the way to
// wake a sleeping receiver. Threads are numbered as bus::CoreId; the control thread is last.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "bus/mailbox.h"
#include "bus/message.h"
#include "io/idle.h"

namespace tailrace::runtime {

class Exchange {
 public:
  // `mailbox_messages`: capacity of each mailbox, a power of two.
  Exchange(std::uint16_t core_count, std::size_t mailbox_messages)
      : thread_count_(std::size_t{core_count} + 1), idles_(thread_count_, nullptr) {
    mailboxes_.reserve(thread_count_ * thread_count_);
    for (std::size_t i = 0; i < thread_count_ * thread_count_; ++i) {
      mailboxes_.push_back(std::make_unique<Mailbox>(mailbox_messages));
    }
  }

  // Before any thread runs: how to wake `thread`. The Idle must outlive the exchange.
  void set_idle(bus::CoreId thread, io::Idle* idle) { idles_[position(thread)] = idle; }

  // False when the mailbox is full: the sender keeps the message and offers it again.
  bool send(bus::CoreId from, const bus::Outgoing& outgoing) {
    Mailbox& mailbox = between(position(from), position(outgoing.to));
    if (!mailbox.push(outgoing.message)) return false;
    io::Idle* idle = idles_[position(outgoing.to)];
    if (idle != nullptr && mailbox.wants_wake()) idle->wake();
    return true;
  }

  // How large an array for receive() must be: about `wanted`, but some for every sender.
  std::size_t batch_messages(std::size_t wanted) const {
    return wanted < 4 * thread_count_ ? 4 * thread_count_ : wanted;
  }

  // Takes up to `messages.size()` messages for `to`, at most an even share from each sender, the
  // control thread's first; returns how many.
  std::size_t receive(bus::CoreId to, std::span<bus::Message> messages) {
    std::size_t count = 0;
    const std::size_t share = messages.size() / thread_count_;
    TR_ASSERT(share > 0);
    for (std::size_t i = thread_count_; i > 0; --i) {
      count += between(i - 1, position(to)).pop(messages.subspan(count, share));
    }
    return count;
  }

  // The sleeping side of the protocol in bus/mailbox.h: true if it is safe to sleep now; then
  // end_sleep() must follow.
  bool prepare_sleep(bus::CoreId to) {
    bool empty = true;
    for (std::size_t i = 0; i < thread_count_; ++i) between(i, position(to)).prepare_sleep();
    for (std::size_t i = 0; i < thread_count_; ++i) empty &= between(i, position(to)).empty();
    if (!empty) end_sleep(to);
    return empty;
  }
  void end_sleep(bus::CoreId to) {
    for (std::size_t i = 0; i < thread_count_; ++i) between(i, position(to)).end_sleep();
  }

  std::uint16_t core_count() const { return static_cast<std::uint16_t>(thread_count_ - 1); }

 private:
  using Mailbox = bus::Mailbox<bus::Message>;
  std::size_t position(bus::CoreId thread) const {
    const std::size_t index = thread == bus::control_core ? thread_count_ - 1 : thread;
    TR_ASSERT(index < thread_count_);
    return index;
  }
  Mailbox& between(std::size_t from, std::size_t to) {
    return *mailboxes_[from * thread_count_ + to];
  }

  std::size_t thread_count_;
  std::vector<std::unique_ptr<Mailbox>> mailboxes_;
  std::vector<io::Idle*> idles_;
};

}  // namespace tailrace::runtime
