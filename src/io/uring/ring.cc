#include "io/uring/ring.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "base/assert.h"
#include "base/log.h"

namespace tailrace::io {
namespace {

// From the best to the plainest; a kernel or a sandbox that refuses one gets the next.
//  - DEFER_TASKRUN runs the kernel's completion work only when we enter it: no interrupts of
//    the turn. Needs SINGLE_ISSUER.
//  - R_DISABLED lets the owner be another thread than the maker.
constexpr unsigned setup_choices[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_R_DISABLED,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_R_DISABLED,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};

constexpr std::uint32_t submissions_min = 64;

// The kernel takes at most 1 GiB as one registered buffer.
constexpr std::size_t registered_bytes_max = std::size_t{1} << 30;

std::string first_line_of(const char* path) {
  std::string line;
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return line;
  char text[64] = {};
  if (std::fgets(text, sizeof text, file) != nullptr) line.assign(text, std::strcspn(text, "\n"));
  std::fclose(file);
  return line;
}

std::string advice_for(int error) {
  if (error == EPERM || error == EACCES) {
    const std::string disabled = first_line_of("/proc/sys/kernel/io_uring_disabled");
    return fmt::format(
        "io_uring is forbidden here ({}); it needs io_uring_setup, io_uring_enter and "
        "io_uring_register\n"
        "  in a container: allow them, e.g. docker run --security-opt seccomp=PROFILE.json, with "
        "these three calls added to Docker's default profile (for a trial: seccomp=unconfined)\n"
        "  on the host: sysctl kernel.io_uring_disabled=0 (it is {} now)",
        std::strerror(error), disabled.empty() ? "not there" : disabled);
  }
  if (error == ENOSYS) {
    return "this kernel has no io_uring, or a sandbox hides it: Linux 6.1 or newer is needed; in "
           "a container allow io_uring_setup, io_uring_enter and io_uring_register "
           "(docker run --security-opt seccomp=PROFILE.json)";
  }
  if (error == ENOMEM) {
    return "no memory for an io_uring: raise the locked-memory limit (ulimit -l; systemd: "
           "LimitMEMLOCK=; docker: --ulimit memlock=) or the container's memory limit";
  }
  if (error == EMFILE || error == ENFILE) {
    return "no file descriptor left for an io_uring: raise ulimit -n";
  }
  return fmt::format("io_uring_setup failed: {}", std::strerror(error));
}

std::string flag_names(unsigned flags) {
  std::string names;
  const auto add = [&](unsigned flag, const char* name) {
    if ((flags & flag) == 0) return;
    if (!names.empty()) names += '+';
    names += name;
  };
  add(IORING_SETUP_SINGLE_ISSUER, "single_issuer");
  add(IORING_SETUP_DEFER_TASKRUN, "defer_taskrun");
  add(IORING_SETUP_COOP_TASKRUN, "coop_taskrun");
  return names.empty() ? "plain" : names;
}

}  // namespace

Result<std::unique_ptr<Ring>> Ring::create(const RingOptions& options, std::string& why) {
  std::unique_ptr<Ring> ring(new Ring());
  const int error = ring->set_up(options);
  if (error != 0) {
    why = advice_for(error);
    return fail(Errc::io, static_cast<std::uint16_t>(error));
  }
  // SENDMSG_ZC came with 6.1, so it stands for all that has no opcode of its own: multishot
  // receive, buffer rings, DEFER_TASKRUN.
  if (!ring->probe() || !ring->supports(IORING_OP_SENDMSG_ZC)) {
    why = "this kernel's io_uring is too old: Linux 6.1 or newer is needed";
    return fail(Errc::unsupported);
  }
  if (const int hold_error = ring->hold(options.held_fd); hold_error != 0) {
    why = fmt::format("io_uring does not take the lock file: {}", std::strerror(hold_error));
    return fail(Errc::io, static_cast<std::uint16_t>(hold_error));
  }
  for (auto& queue : ring->queues_) {
    queue = std::make_unique<tailrace::Ring<Completion>>(*ring->ring_.cq.kring_entries);
  }
  return ring;
}

Ring::~Ring() {
  if (is_set_up_) io_uring_queue_exit(&ring_);
}

int Ring::set_up(RingOptions options) {
  int error = EINVAL;
  for (const unsigned choice : setup_choices) {
    do {
      io_uring_params params{};
      params.flags = choice | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
      params.cq_entries = options.completions_max;
      error = -io_uring_queue_init_params(options.submissions_max, &ring_, &params);
      if (error == 0) {
        is_set_up_ = true;
        setup_flags_ = params.flags;
        return 0;
      }
      if (error != ENOMEM) break;
      // Newer kernels count a plain user's rings as locked memory. A small ring is no less
      // correct: it is submitted more often, and the kernel keeps what its queue cannot hold.
      options.submissions_max /= 2;
      options.completions_max /= 2;
      // The kernel gives back what it counted for the refused ring only a little later.
      usleep(20'000);
    } while (options.submissions_max >= submissions_min);
    if (error != EINVAL) return error;
  }
  return error;
}

bool Ring::probe() {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (probe == nullptr) return false;
  for (unsigned i = 0; i < probe->ops_len; ++i) {
    const io_uring_probe_op& op = probe->ops[i];
    supported_[op.op] = (op.flags & IO_URING_OP_SUPPORTED) != 0;
  }
  io_uring_free_probe(probe);
  return true;
}

// The ring's table of registered files is let go of after its last request; nothing else is in it.
int Ring::hold(int fd) {
  return fd < 0 ? 0 : -io_uring_register_files(&ring_, &fd, 1);
}

std::string Ring::description() const {
  return fmt::format("io_uring {}, {} submissions, {} completions; registered buffers: {}",
                     flag_names(setup_flags_), *ring_.sq.kring_entries,
                     *ring_.cq.kring_entries, registered_note_);
}

bool Ring::register_memory(std::span<const MutableBytes> regions) {
  TR_ASSERT(registered_.empty());
  std::vector<MutableBytes> pieces;
  std::size_t bytes = 0;
  for (MutableBytes rest : regions) {
    bytes += rest.size();
    while (!rest.empty()) {
      const std::size_t size = std::min(rest.size(), registered_bytes_max);
      pieces.push_back(rest.first(size));
      rest = rest.subspan(size);
    }
  }
  if (pieces.empty()) return false;
  std::vector<iovec> iovecs;
  for (MutableBytes piece : pieces) iovecs.push_back({piece.data(), piece.size()});
  const int error = -io_uring_register_buffers(&ring_, iovecs.data(), unsigned(iovecs.size()));
  if (error == 0) {
    registered_ = std::move(pieces);
    registered_note_ = fmt::format("yes, {} MiB", bytes >> 20);
    return true;
  }
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  registered_note_ =
      error == ENOMEM
          ? fmt::format("no, {} MiB are over the locked-memory allowance of {} KiB (ulimit -l)",
                        bytes >> 20, limit.rlim_cur >> 10)
          : fmt::format("no, {}", std::strerror(error));
  return false;
}

int Ring::registered_buffer(Bytes block) const {
  for (std::size_t i = 0; i < registered_.size(); ++i) {
    const MutableBytes piece = registered_[i];
    if (block.data() >= piece.data() &&
        block.data() + block.size() <= piece.data() + piece.size()) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

void Ring::ensure_enabled() {
  if (is_enabled_) return;
  is_enabled_ = true;
  owner_thread_ = gettid();
  if ((setup_flags_ & IORING_SETUP_R_DISABLED) != 0) {
    // liburing 2.3 declares io_uring_enable_rings() but its shared library does not export it.
    const long result =
        syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    TR_ASSERT(result == 0);
  }
  // Saves a descriptor look-up per call; a kernel that refuses it loses nothing else.
  io_uring_register_ring_fd(&ring_);
}

bool Ring::owned_here() const { return is_enabled_ && owner_thread_ == gettid(); }

io_uring_sqe* Ring::request(RequestName name) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  for (int attempt = 0; sqe == nullptr; ++attempt) {
    // Only a kernel without memory refuses so often; there is no way on without it.
    TR_ASSERT(attempt < 1000);
    submit();
    reap();
    sqe = io_uring_get_sqe(&ring_);
  }
  std::memset(sqe, 0, sizeof *sqe);
  sqe->user_data = name.packed();
  return sqe;
}

void Ring::request_readable(RequestName name, int fd) {
  io_uring_sqe* sqe = request(name);
  io_uring_prep_poll_add(sqe, fd, POLLIN);
  sqe->user_data = name.packed();   // liburing clears it
}

bool Ring::take(RingUser user, Completion& completion) {
  auto& queue = *queues_[std::size_t(user)];
  if (queue.empty()) return false;
  completion = queue.pop();
  return true;
}

void Ring::clients_before_submit() {
  for (RingClient* client : clients_) {
    if (client != nullptr) client->before_submit();
  }
}

bool Ring::kernel_wants_entry() const {
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_ACQUIRE);
  return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool Ring::has_completions() const {
  return !queues_empty() || io_uring_cq_ready(&ring_) > 0 || kernel_wants_entry();
}

void Ring::submit() {
  ensure_enabled();
  if (unsubmitted() == 0) return;
  ++enter_count_;
  // A refusal for now (EAGAIN, EBUSY, EINTR) leaves the requests queued for the next pump.
  const int result = io_uring_submit(&ring_);
  TR_ASSERT(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR);
}

void Ring::pump() {
  ensure_enabled();
  clients_before_submit();
  ++pump_count_;
  if (unsubmitted() > 0 || kernel_wants_entry()) {
    ++enter_count_;
    const int result = io_uring_submit_and_get_events(&ring_);
    TR_ASSERT(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR);
  }
  reap();
}

void Ring::pump_if_stale(std::uint64_t& seen) {
  if (seen == pump_count_) pump();
  seen = pump_count_;
}

void Ring::wait(Instant deadline) {
  ensure_enabled();
  const Instant now = monotonic_now();
  if (!queues_empty() || deadline <= now) {
    pump();
    return;
  }
  clients_before_submit();
  ++pump_count_;
  ++enter_count_;
  io_uring_cqe* cqe = nullptr;
  int result = 0;
  if (deadline == never()) {
    result = io_uring_submit_and_wait(&ring_, 1);
  } else {
    const std::int64_t ns = (deadline - now).ns;
    __kernel_timespec timeout{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
  }
  TR_ASSERT(result >= 0 || result == -ETIME || result == -EAGAIN || result == -EBUSY ||
            result == -EINTR);
  reap();
}

bool Ring::queues_empty() const {
  for (const auto& queue : queues_) {
    if (!queue->empty()) return false;
  }
  return true;
}

void Ring::reap() {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    const RequestName name = RequestName::unpacked(cqe->user_data);
    TR_ASSERT(std::size_t(name.user) < ring_user_count);
    // A full queue leaves the rest with the kernel, which keeps what does not fit its own.
    if (!queues_[std::size_t(name.user)]->push({name, cqe->res, cqe->flags})) break;
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
}

Instant Ring::monotonic_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

}  // namespace tailrace::io
