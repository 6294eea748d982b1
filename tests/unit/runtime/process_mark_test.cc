#include "runtime/process_mark.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tailrace::runtime {
namespace {

TEST(ProcessMark, SurvivesItsText) {
  const ProcessMark mark = own_process();
  EXPECT_EQ(mark.pid, getpid());
  EXPECT_GT(mark.start_ticks, 0u);
  EXPECT_EQ(parse_process(to_text(mark)), mark);
}

TEST(ProcessMark, TheTextMayLackTheTicksOrAll) {
  EXPECT_EQ(parse_process("1234\n"), (ProcessMark{.pid = 1234}));
  EXPECT_EQ(parse_process(""), ProcessMark{});
  EXPECT_EQ(parse_process("what"), ProcessMark{});
}

TEST(ProcessMark, OneThatRunsHasNotEnded) {
  EXPECT_FALSE(has_ended(own_process()));
  EXPECT_FALSE(has_ended({.pid = getpid()}));
  EXPECT_FALSE(has_ended({.pid = 1}));
  EXPECT_FALSE(has_ended({}));
}

TEST(ProcessMark, AnotherOneOfTheSameNumberIsNotIt) {
  ProcessMark mark = own_process();
  ++mark.start_ticks;
  EXPECT_TRUE(has_ended(mark));
}

TEST(ProcessMark, AKilledOneHasEndedBeforeItsParentLooks) {
  const pid_t pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  EXPECT_FALSE(has_ended({.pid = pid}));
  kill(pid, SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(has_ended({.pid = pid}));
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  EXPECT_TRUE(has_ended({.pid = pid}));
}

}  // namespace
}  // namespace tailrace::runtime
