// Ring: the one io_uring of a thread, shared by its disk and its transport, so that one wait
// covers both and one system call per turn submits for both. Completions are taken from the
// kernel once, in one place, and sorted into a queue per user.
//
// A ring may be made on any thread (the main thread, at start); the first thread that pumps or
// waits becomes its owner, and only that one may use it from then on. It must outlive its users.
#pragma once

#include <liburing.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/ring.h"
#include "base/time.h"

namespace tailrace::io {

struct RingOptions {
  std::uint32_t submissions_max = 1024;   // submission queue entries
  std::uint32_t completions_max = 8192;   // completion queue entries; multishots need many
  // A descriptor whose file stays open, and with it its flock, until the last request has ended,
  // though the process be killed before: a killed process loses its descriptors at once, while
  // its disk writes go on. -1: none. May be closed once the ring is made.
  int held_fd = -1;
};

// Whose request it is; sits in the top bits of user_data.
enum class RingUser : std::uint8_t { idle, transport, disk };
inline constexpr std::size_t ring_user_count = 3;

// What a request is called: travels in user_data and comes back with each of its completions.
struct RequestName {
  RingUser user = RingUser::idle;
  std::uint8_t kind = 0;        // the user's; 4 bits
  std::uint32_t sequence = 0;   // the user's; 24 bits
  std::uint32_t index = 0;      // the user's

  std::uint64_t packed() const {
    return (std::uint64_t(user) << 60) | (std::uint64_t(kind & 15) << 56) |
           (std::uint64_t(sequence & 0xffffff) << 32) | index;
  }
  static RequestName unpacked(std::uint64_t word) {
    return {static_cast<RingUser>(word >> 60), static_cast<std::uint8_t>((word >> 56) & 15),
            static_cast<std::uint32_t>((word >> 32) & 0xffffff),
            static_cast<std::uint32_t>(word)};
  }
};

struct Completion {
  RequestName name;
  std::int32_t result = 0;
  std::uint32_t flags = 0;   // IORING_CQE_F_...
};

// A user that gathers work during a turn and turns it into requests just before they go out.
class RingClient {
 public:
  virtual void before_submit() = 0;

 protected:
  ~RingClient() = default;
};

class Ring {
 public:
  // Errors: io with the errno (forbidden, out of memory), unsupported (kernel older than 6.1);
  // `why` then holds lines for the operator, with what to do.
  static Result<std::unique_ptr<Ring>> create(const RingOptions& options, std::string& why);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // One line for the banner: the set-up flags in use, registered buffers or why not.
  std::string description() const;

  // Pins `regions` and maps them into the kernel once, so that reads and writes inside them save
  // that work per request. False, with the reason in description(), when the locked-memory
  // allowance is too small; then everything works as before, unregistered. Call once, at start.
  bool register_memory(std::span<const MutableBytes> regions);
  // The registered buffer that contains all of `block`, or -1.
  int registered_buffer(Bytes block) const;

  // For registrations that have no call of their own here; never for requests.
  io_uring& raw() { return ring_; }
  bool supports(unsigned opcode) const { return opcode < 256 && supported_[opcode]; }

  // --- for users, on the owner's thread
  void attach(RingUser user, RingClient* client) { clients_[std::size_t(user)] = client; }
  // A cleared request with its name set, queued for the next submission.
  io_uring_sqe* request(RequestName name);
  // One completion when `fd` is readable, or in trouble: its result has poll's bits.
  void request_readable(RequestName name, int fd);
  // The next completion of `user`, if one was reaped.
  bool take(RingUser user, Completion& completion);
  // Submits what is queued and reaps what is done. Never blocks.
  void pump();
  // The same, but only if nobody pumped since the pump that `seen` names: each user calls it
  // once per turn, and the turn still makes one system call.
  void pump_if_stale(std::uint64_t& seen);
  // Submits now. Memory that only describes queued requests (iovecs, paths) is then free again.
  void submit();
  std::uint32_t unsubmitted() const { return io_uring_sq_ready(&ring_); }

  // Submits, then blocks until a completion or the deadline. Returns at once when reaped
  // completions wait to be taken.
  void wait(Instant deadline);
  // Without a system call when the kernel has nothing for us: for spinning.
  bool has_completions() const;

  // True on the owner's thread: completions can be waited for here.
  bool owned_here() const;
  // How often the kernel was entered; for tests and figures.
  std::uint64_t enter_count() const { return enter_count_; }

  static Instant monotonic_now();

 private:
  Ring() = default;
  int set_up(RingOptions options);
  bool probe();
  int hold(int fd);
  void ensure_enabled();
  bool kernel_wants_entry() const;
  void clients_before_submit();
  // Completions from the kernel's queue to the users' queues, as many as fit.
  void reap();
  bool queues_empty() const;

  io_uring ring_{};
  bool is_set_up_ = false;
  bool is_enabled_ = false;
  int owner_thread_ = 0;
  unsigned setup_flags_ = 0;
  std::array<bool, 256> supported_{};
  std::array<RingClient*, ring_user_count> clients_{};
  std::array<std::unique_ptr<tailrace::Ring<Completion>>, ring_user_count> queues_;
  std::vector<MutableBytes> registered_;
  std::string registered_note_ = "not asked for";
  std::uint64_t pump_count_ = 0;
  std::uint64_t enter_count_ = 0;
};

}  // namespace tailrace::io
