#include "io/uring/ring_idle.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace tailrace::io {

Result<std::unique_ptr<RingIdle>> RingIdle::create(Ring& ring, IdlePolicy policy,
                                                   Duration spin_max, std::string& why) {
  const int fd = eventfd(0, EFD_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    why = std::string("no eventfd for waking a thread: ") + std::strerror(error);
    return fail(Errc::io, static_cast<std::uint16_t>(error));
  }
  return std::unique_ptr<RingIdle>(new RingIdle(ring, policy, spin_max, fd));
}

RingIdle::~RingIdle() {
  if (ring_.owned_here() && is_listening_) {
    // The kernel may still write event_value_: wake the read once more and see it end.
    wake_wanted_.store(true);
    const std::uint64_t one = 1;
    TR_ASSERT(::write(event_fd_, &one, sizeof one) == sizeof one);
    for (int i = 0; is_listening_ && i < 100; ++i) {
      ring_.wait(Ring::monotonic_now() + milliseconds(10));
      take_wakes();
    }
  }
  ::close(event_fd_);
}

// Sleeping and waking are a flag each, written before the other's is read, both sequentially
// consistent: whoever comes second sees the first, so no wake is lost and a waker pays for a
// system call only when somebody sleeps.
void RingIdle::wait(Instant deadline) {
  take_wakes();
  if (wake_wanted_.exchange(false)) return ring_.pump();
  if (deadline <= Ring::monotonic_now()) {
    // A device is being polled. As in spin(), what the kernel does for us may need this processor.
    sched_yield();
    return ring_.pump();
  }
  if (policy_ == IdlePolicy::spin && spin(deadline)) return;
  listen_for_wakes();
  is_asleep_.store(true);
  if (!wake_wanted_.load()) ring_.wait(deadline);
  is_asleep_.store(false);
  wake_wanted_.exchange(false);  // Not a store: it must also see what the waker wrote before.
  take_wakes();
}

void RingIdle::wake() {
  wake_wanted_.store(true);
  if (!is_asleep_.load()) return;
  const std::uint64_t one = 1;
  // Fails only when the counter is about to overflow, and then a wake is under way already.
  [[maybe_unused]] const ssize_t written = ::write(event_fd_, &one, sizeof one);
}

bool RingIdle::spin(Instant deadline) {
  const Instant start = Ring::monotonic_now();
  const Instant end = std::min(deadline, start + spin_max_);
  ring_.pump();
  for (Instant now = start; now < end; now = Ring::monotonic_now()) {
    if (ring_.has_completions()) {
      ring_.pump();
      return true;
    }
    if (wake_wanted_.exchange(false)) return true;
    // The kernel finishes syncs in threads of its own, which may need this very processor.
    sched_yield();
  }
  return false;
}

void RingIdle::listen_for_wakes() {
  if (is_listening_) return;
  is_listening_ = true;
  io_uring_sqe* sqe = ring_.request({.user = RingUser::idle});
  const std::uint64_t name = sqe->user_data;
  io_uring_prep_read(sqe, event_fd_, &event_value_, sizeof event_value_, 0);
  sqe->user_data = name;
}

void RingIdle::take_wakes() {
  Completion completion;
  while (ring_.take(RingUser::idle, completion)) is_listening_ = false;
}

}  // namespace tailrace::io
