#include "io/dpdk/edge_wake.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace tailrace::io::dpdk {
namespace {

bool is_readable(int fd) {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&one, 1, 0) == 1;
}

// As net_vhost has it: an epoll of its own around what the other side knocks at.
class EdgeWakeTest : public testing::Test {
 protected:
  EdgeWakeTest() {
    epoll_event event{};
    event.events = EPOLLIN;
    EXPECT_EQ(epoll_ctl(around_, EPOLL_CTL_ADD, knocks_, &event), 0);
    wake_ = EdgeWake::create(around_);
  }
  ~EdgeWakeTest() override {
    wake_.reset();
    close(around_);
    close(knocks_);
  }
  void knock() {
    const std::uint64_t one = 1;
    EXPECT_EQ(write(knocks_, &one, sizeof one), 8);
  }

  const int knocks_ = eventfd(0, EFD_CLOEXEC);
  const int around_ = epoll_create1(EPOLL_CLOEXEC);
  std::unique_ptr<EdgeWake> wake_;
};

TEST_F(EdgeWakeTest, EachKnockIsToldOnceThoughNobodyTakesIt) {
  ASSERT_NE(wake_, nullptr);
  EXPECT_FALSE(is_readable(wake_->fd()));
  for (int i = 0; i < 3; ++i) {
    knock();
    EXPECT_TRUE(is_readable(around_));
    EXPECT_TRUE(is_readable(wake_->fd()));
    wake_->take();
    EXPECT_FALSE(is_readable(wake_->fd()));
    EXPECT_TRUE(is_readable(around_));
  }
}

TEST_F(EdgeWakeTest, SoIsEachNudge) {
  ASSERT_NE(wake_, nullptr);
  for (int i = 0; i < 3; ++i) {
    wake_->nudge();
    EXPECT_TRUE(is_readable(wake_->fd()));
    wake_->take();
    EXPECT_FALSE(is_readable(wake_->fd()));
  }
}

TEST_F(EdgeWakeTest, WithoutADescriptorToWatchThereIsNone) {
  EXPECT_EQ(EdgeWake::create(-1), nullptr);
}

}  // namespace
}  // namespace tailrace::io::dpdk
