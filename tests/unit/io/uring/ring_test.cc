#include "io/uring/ring.h"

#include <sys/resource.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <thread>

#include "base/aligned.h"
#include "../../../support/locked_file.h"
#include "support.h"

namespace tailrace::io {
namespace {

TEST(RequestName, SurvivesPacking) {
  const RequestName name{.user = RingUser::disk, .kind = 13, .sequence = 0xabcdef,
                         .index = 0xffffffff};
  const RequestName back = RequestName::unpacked(name.packed());
  EXPECT_EQ(back.user, name.user);
  EXPECT_EQ(back.kind, name.kind);
  EXPECT_EQ(back.sequence, name.sequence);
  EXPECT_EQ(back.index, name.index);
}

TEST(Ring, SortsCompletionsByUser) {
  auto ring = make_ring();
  for (std::uint32_t i = 0; i < 10; ++i) {
    const RingUser user = i % 2 == 0 ? RingUser::disk : RingUser::transport;
    ring->request({.user = user, .kind = 1, .index = i})->opcode = IORING_OP_NOP;
  }
  ring->pump();
  Completion completion;
  for (std::uint32_t i = 0; i < 10; i += 2) {
    ASSERT_TRUE(ring->take(RingUser::disk, completion));
    EXPECT_EQ(completion.name.index, i);
  }
  EXPECT_FALSE(ring->take(RingUser::disk, completion));
  ASSERT_TRUE(ring->take(RingUser::transport, completion));
  EXPECT_EQ(completion.name.index, 1u);
}

TEST(Ring, MayBeMadeByAnotherThreadThanItsOwner) {
  auto ring = make_ring();
  ring->request({.user = RingUser::disk})->opcode = IORING_OP_NOP;
  EXPECT_FALSE(ring->owned_here());
  std::thread owner([&] {
    ring->pump();
    EXPECT_TRUE(ring->owned_here());
    Completion completion;
    EXPECT_TRUE(ring->take(RingUser::disk, completion));
  });
  owner.join();
  EXPECT_FALSE(ring->owned_here());
}

// As when a process is killed: its descriptors are gone, the ring still has work.
TEST(Ring, AHeldFileStaysLockedAsLongAsTheRing) {
  test::LockedFile lock;
  std::string why;
  auto ring = Ring::create({.held_fd = lock.fd()}, why);
  ASSERT_TRUE(ring.has_value()) << why;
  lock.close();
  EXPECT_FALSE(lock.is_free());
  ring->reset();
  EXPECT_TRUE(lock.becomes_free());
}

TEST(Ring, AFileThatCannotBeHeldIsTold) {
  std::string why;
  EXPECT_FALSE(Ring::create({.held_fd = 1 << 20}, why).has_value());
  EXPECT_NE(why.find("lock file"), std::string::npos) << why;
}

TEST(Ring, TakesMoreRequestsThanItsQueueHolds) {
  std::string why;
  auto ring = std::move(*Ring::create({.submissions_max = 8, .completions_max = 4096}, why));
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ring->request({.user = RingUser::disk, .index = i})->opcode = IORING_OP_NOP;
  }
  ring->pump();
  Completion completion;
  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_TRUE(ring->take(RingUser::disk, completion));
}

TEST(Ring, ALostRaceForTheCompletionQueueLosesNothing) {
  std::string why;
  auto ring = std::move(*Ring::create({.submissions_max = 64, .completions_max = 64}, why));
  std::uint32_t taken = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ring->request({.user = RingUser::disk, .index = i})->opcode = IORING_OP_NOP;
  }
  Completion completion;
  for (int turn = 0; turn < 100; ++turn) {
    ring->pump();
    while (ring->take(RingUser::disk, completion)) EXPECT_EQ(completion.name.index, taken++);
  }
  EXPECT_EQ(taken, 1000u);
}

TEST(Ring, WaitsUntilTheDeadline) {
  auto ring = make_ring();
  const Instant start = Ring::monotonic_now();
  ring->wait(start + milliseconds(30));
  const Duration waited = Ring::monotonic_now() - start;
  EXPECT_GE(waited, milliseconds(29));
  EXPECT_LT(waited, seconds(5));
  ring->wait({});   // Long past: returns at once.
}

TEST(Ring, OnePumpServesAllUsersOfATurn) {
  auto ring = make_ring();
  std::uint64_t transport_seen = 0, disk_seen = 0;
  ring->pump_if_stale(transport_seen);
  const std::uint64_t enters = ring->enter_count();
  for (int turn = 0; turn < 10; ++turn) {
    ring->request({.user = RingUser::disk})->opcode = IORING_OP_NOP;
    ring->pump_if_stale(transport_seen);
    ring->pump_if_stale(disk_seen);
    Completion completion;
    EXPECT_TRUE(ring->take(RingUser::disk, completion));
  }
  EXPECT_EQ(ring->enter_count() - enters, 10u);
}

// Runs `check` in a child with this locked-memory allowance and without root's rights, since
// giving those up is for ever. The child's exit code. Each call is another user: the kernel
// frees a ring, and so its locked memory, some time after its end.
template <class Check>
int as_plain_user(rlim_t locked_bytes, Check check) {
  static uid_t user = 61'000;
  ++user;
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{.rlim_cur = locked_bytes, .rlim_max = locked_bytes};
    ::setrlimit(RLIMIT_MEMLOCK, &limit);
    if (::geteuid() == 0 && ::setresuid(user, user, user) != 0) ::_exit(77);
    ::_exit(check());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(Ring, SaysWhyMemoryIsNotRegistered) {
  EXPECT_EQ(0, as_plain_user(rlim_t{1} << 20, [] {
    std::string why;
    auto ring = Ring::create({}, why);
    if (!ring.has_value()) return 1;
    AlignedBuffer memory(16 << 20);
    const MutableBytes regions[] = {memory.bytes()};
    if ((*ring)->register_memory(regions)) return 2;
    return (*ring)->description().find("allowance of 1024 KiB") != std::string::npos ? 0 : 3;
  }));
}

TEST(Ring, GetsAlongWithLittleLockedMemory) {
  EXPECT_EQ(0, as_plain_user(rlim_t{64} << 10, [] {
    std::string why;
    auto ring = Ring::create({}, why);
    if (!ring.has_value()) return 1;
    for (std::uint32_t i = 0; i < 5000; ++i) {
      (*ring)->request({.user = RingUser::disk, .index = i})->opcode = IORING_OP_NOP;
    }
    std::uint32_t taken = 0;
    Completion completion;
    for (int turn = 0; turn < 500; ++turn) {
      (*ring)->pump();
      while ((*ring)->take(RingUser::disk, completion)) taken += completion.name.index == taken;
    }
    return taken == 5000 ? 0 : 2;
  }));
}

TEST(Ring, TellsWhichLimitToRaiseWithoutAnyLockedMemory) {
  const int code = as_plain_user(0, [] {
    std::string why;
    auto ring = Ring::create({}, why);
    if (ring.has_value()) return 77;   // Kernels before 6.14 do not count rings.
    return why.find("ulimit -l") != std::string::npos ? 0 : 1;
  });
  if (code == 77) GTEST_SKIP() << "this kernel does not count rings as locked memory";
  EXPECT_EQ(code, 0);
}

// What a container's default profile does: io_uring_setup answers EPERM.
bool forbid_io_uring(int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{.len = 4, .filter = code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(Ring, TellsTheOperatorWhatToDoWhereIoUringIsForbidden) {
  for (const int error : {EPERM, ENOSYS}) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (!forbid_io_uring(error)) ::_exit(77);
      std::string why;
      auto ring = Ring::create({}, why);
      const bool good = !ring.has_value() && ring.error().code == Errc::io &&
                        ring.error().detail == error &&
                        why.find("--security-opt seccomp=") != std::string::npos;
      ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "seccomp filters are not allowed here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

}  // namespace
}  // namespace tailrace::io
