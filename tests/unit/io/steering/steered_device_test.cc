#include "io/steering/steered_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/prng.h"
#include "../fake_queue.h"
#include "support/steered_frames.h"

namespace tailrace::io {
namespace {

net::Flow flow_of(std::uint16_t number) {
  return {{net::IpAddress::v4(10, 0, 0, 1), 9092},
          {net::IpAddress::v4(10, 0, 0, 2), static_cast<std::uint16_t>(40'000 + number)}};
}

std::vector<std::byte> news() {
  return test::arp_frame_of({net::ArpPacket::Operation::reply, test::frame_peer_mac,
                             net::IpAddress::v4(10, 0, 0, 2), test::frame_mac,
                             net::IpAddress::v4(10, 0, 0, 1)});
}

struct CountingIdle final : public Idle {
  void wait(Instant) override {}
  void wake() override { ++wakes; }
  int wakes = 0;
};

// Cores in one thread, whose turns the test takes.
struct Cores {
  explicit Cores(std::uint16_t count, std::uint32_t lent_max = 8, std::uint32_t frames_max = 32)
      : handover(count, lent_max), idles(count) {
    for (std::uint16_t core = 0; core < count; ++core) {
      auto queue = std::make_unique<FakeQueue>(frames_max);
      queues.push_back(queue.get());
      devices.push_back(std::make_unique<SteeredDevice>(handover, core, std::move(queue)));
      handover.set_idle(core, &idles[core]);
    }
  }
  std::vector<RxFrame> receive(std::uint16_t core, std::size_t most = 32) {
    std::vector<RxFrame> frames(most);
    frames.resize(devices[core]->receive(frames));
    return frames;
  }
  void release(std::uint16_t core, const RxFrame& frame) {
    devices[core]->release({&frame.token, 1});
  }
  // A flow of this core's, the n-th.
  net::Flow flow(std::uint16_t core, int n = 0) const {
    for (std::uint16_t number = 0;; ++number) {
      if (handover.steering().core_of(flow_of(number)) == core && n-- == 0) return flow_of(number);
    }
  }
  Handover handover;
  std::vector<CountingIdle> idles;
  std::vector<FakeQueue*> queues;
  std::vector<std::unique_ptr<SteeredDevice>> devices;
};

TEST(SteeredDevice, KeepsItsOwnFrames) {
  Cores cores(2);
  cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(0)));
  const auto frames = cores.receive(0);
  ASSERT_EQ(frames.size(), 1u);
  cores.release(0, frames[0]);
  EXPECT_EQ(cores.queues[0]->lent_count(), 0u);
  EXPECT_EQ(cores.handover.counters(0).handed_over.load(), 0u);
  EXPECT_EQ(cores.idles[1].wakes, 0);
}

TEST(SteeredDevice, HandsOthersTheirFramesAndGetsThemBack) {
  Cores cores(2);
  const std::vector<std::byte> sent = test::segment_frame_of(cores.flow(1));
  cores.queues[0]->arrived.push_back(sent);
  EXPECT_EQ(cores.devices[1]->next_deadline(), never());
  EXPECT_TRUE(cores.receive(0).empty());
  EXPECT_EQ(cores.idles[1].wakes, 1) << "it may sleep";
  EXPECT_EQ(cores.devices[1]->next_deadline(), Instant{});
  const auto frames = cores.receive(1);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(cores.queues[0]->lent_count(), 1u);
  EXPECT_TRUE(std::ranges::equal(frames[0].bytes, sent));
  EXPECT_TRUE(frames[0].checksum_good) << "what its queue said of it";
  EXPECT_LT(frames[0].token, cores.devices[1]->offers().frames_max);
  cores.release(1, frames[0]);
  EXPECT_EQ(cores.queues[0]->lent_count(), 1u) << "its own thread gives it back";
  cores.receive(0);
  EXPECT_EQ(cores.queues[0]->lent_count(), 0u);
  EXPECT_EQ(cores.idles[0].wakes, 0) << "nothing hurries";
  EXPECT_EQ(cores.handover.counters(0).handed_over.load(), 1u);
  EXPECT_EQ(cores.handover.counters(1).taken_over.load(), 1u);
}

TEST(SteeredDevice, NewsForAllComesBackWhenAllHaveHeardIt) {
  Cores cores(3);
  cores.queues[1]->arrived.push_back(news());
  const auto own = cores.receive(1);
  const auto first = cores.receive(0);
  const auto last = cores.receive(2);
  ASSERT_EQ(own.size() + first.size() + last.size(), 3u);
  EXPECT_EQ(own[0].bytes.data(), last[0].bytes.data()) << "nothing is copied";
  cores.release(0, first[0]);
  cores.release(1, own[0]);
  cores.receive(1);
  EXPECT_EQ(cores.queues[1]->lent_count(), 1u);
  cores.release(2, last[0]);
  cores.receive(1);
  EXPECT_EQ(cores.queues[1]->lent_count(), 0u);
}

// It loses what is beyond its share, and nobody else anything.
TEST(SteeredDevice, ACoreThatTakesNoTurnsKeepsNobodyUp) {
  Cores cores(3, 4, 16);
  const net::Flow slow = cores.flow(2);
  for (std::uint32_t i = 0; i < 50; ++i) {
    cores.queues[0]->arrived.push_back(test::segment_frame_of(slow, i));
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(0), i));
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(1), i));
    std::size_t there = 0;
    for (std::uint16_t core = 0; core < 2; ++core) {
      for (const RxFrame& frame : cores.receive(core)) {
        cores.release(core, frame);
        ++there;
      }
    }
    EXPECT_EQ(there, 2u) << i;
  }
  EXPECT_EQ(cores.handover.counters(0).drop_no_turns.load(), 46u);
  cores.receive(0);
  EXPECT_EQ(cores.queues[0]->lent_count(), 4u);
  const auto late = cores.receive(2);
  ASSERT_EQ(late.size(), 4u);
  for (const RxFrame& frame : late) cores.release(2, frame);
  cores.receive(0);
  EXPECT_EQ(cores.queues[0]->lent_count(), 0u);
}

// What a stack may keep is less than a core's share of any one queue, so that acknowledgements
// still get through to a core whose sessions have stopped reading.
TEST(SteeredDevice, WhatAStackKeepsLeavesRoomForWhatItOnlyLooksAt) {
  Cores cores(2, 8, 16);
  const DeviceOffers& offers = cores.devices[1]->offers();
  EXPECT_EQ(offers.frames_max, 16u + 8u);
  EXPECT_EQ(offers.frames_kept_max, 6u);
  for (std::uint32_t i = 0; i < offers.frames_kept_max; ++i) {
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(1), i));
  }
  cores.receive(0);
  EXPECT_EQ(cores.receive(1).size(), offers.frames_kept_max);
  for (int i = 0; i < 100; ++i) {
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(1), 1000));
    cores.receive(0);
    const auto frames = cores.receive(1);
    ASSERT_EQ(frames.size(), 1u);
    cores.release(1, frames[0]);
  }
  EXPECT_EQ(cores.handover.counters(0).drop_no_turns.load(), 0u);
}

// A queue without free frames hears of none that come.
TEST(SteeredDevice, WhoeverGivesBackToAQueueThatHasNoneWakesIt) {
  Cores cores(2, 4, 8);
  for (std::uint32_t i = 0; i < 4; ++i) {
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(1), i));
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(0), i));
  }
  cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(0), 9));
  ASSERT_EQ(cores.receive(0).size(), 4u);
  EXPECT_EQ(cores.queues[0]->free_count(), 0u);
  EXPECT_EQ(cores.devices[0]->next_deadline(), never());
  const auto frames = cores.receive(1);
  ASSERT_EQ(frames.size(), 4u);
  cores.release(1, frames[0]);
  EXPECT_EQ(cores.idles[0].wakes, 1);
  EXPECT_EQ(cores.devices[0]->next_deadline(), Instant{});
  EXPECT_EQ(cores.receive(0).size(), 1u);
  EXPECT_EQ(cores.queues[0]->arrived.size(), 0u);
}

// Others' frames are half of a burst at most while the own queue has some.
TEST(SteeredDevice, NeitherOthersFramesNorOwnKeepTheOtherWaiting) {
  Cores cores(2, 32, 128);
  for (std::uint32_t i = 0; i < 40; ++i) {
    cores.queues[0]->arrived.push_back(test::segment_frame_of(cores.flow(1), i));
    cores.queues[1]->arrived.push_back(test::segment_frame_of(cores.flow(1), i));
  }
  cores.receive(0);
  const std::uint32_t own_max = 128;
  const auto frames = cores.receive(1, 32);
  ASSERT_EQ(frames.size(), 32u);
  EXPECT_EQ(std::ranges::count_if(frames, [](const RxFrame& one) { return one.token >= own_max; }),
            16);
}

TEST(SteeredDevice, SendsOnItsOwnQueue) {
  Cores cores(2);
  TxFrame frame;
  frame.hold = 7;
  EXPECT_EQ(cores.devices[1]->transmit({&frame, 1}), 1u);
  std::array<std::uint32_t, 2> holds{};
  EXPECT_EQ(cores.devices[0]->take_finished(holds), 0u);
  EXPECT_EQ(cores.devices[1]->take_finished(holds), 1u);
  EXPECT_EQ(holds[0], 7u);
  EXPECT_FALSE(cores.devices[1]->failed());
  cores.queues[1]->is_gone = true;
  EXPECT_TRUE(cores.devices[1]->failed());
  EXPECT_FALSE(cores.devices[0]->failed());
}

// ---- any schedule: nothing is lost unless it is counted, nothing comes twice, flows keep their
// order on the way from a queue to their core

std::uint32_t seq_of(const RxFrame& frame) {
  return load_be<std::uint32_t>(frame.bytes.data() + net::ethernet_bytes + net::ipv4_bytes + 4);
}
std::uint16_t flow_number_of(const RxFrame& frame) {
  const std::byte* const tcp = frame.bytes.data() + net::ethernet_bytes + net::ipv4_bytes;
  return static_cast<std::uint16_t>(load_be<std::uint16_t>(tcp) - 40'000);
}

constexpr std::uint16_t flows = 12;

// What one core's stack saw.
struct Seen {
  void take(const net::Steering& steering, std::uint16_t core, const RxFrame& frame) {
    if (load_be<std::uint16_t>(frame.bytes.data() + 12) ==
        static_cast<std::uint16_t>(net::EtherType::arp)) {
      ++news;
      return;
    }
    const std::uint16_t flow = flow_number_of(frame);
    ASSERT_LT(flow, flows);
    EXPECT_EQ(steering.core_of(flow_of(flow)), core);
    // The queue is the upper byte.
    const std::uint32_t seq = seq_of(frame);
    std::uint32_t& last = last_seq[flow][seq >> 24];
    EXPECT_GT(seq & 0xff'ffff, last);
    last = seq & 0xff'ffff;
    ++segments;
  }
  std::uint64_t segments = 0;
  std::uint64_t news = 0;
  std::array<std::array<std::uint32_t, 4>, flows> last_seq{};
};

struct Put {
  std::uint64_t segments = 0;
  std::uint64_t news = 0;
  std::uint32_t next = 1;
  void frame(Prng& prng, std::uint16_t queue_number, FakeQueue& queue) {
    if (prng.chance(1, 8)) {
      queue.arrived.push_back(io::news());
      ++news;
      return;
    }
    const auto flow = static_cast<std::uint16_t>(prng.below(flows));
    queue.arrived.push_back(test::segment_frame_of(
        flow_of(flow), std::uint32_t{queue_number} << 24 | next++));
    ++segments;
  }
};

void run_schedule(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  Prng prng(seed, "steering");
  const auto count = static_cast<std::uint16_t>(prng.between(1, 4));
  const auto lent_max = static_cast<std::uint32_t>(prng.between(1, 9));
  const auto own_share = static_cast<std::uint32_t>(prng.between(1, 9));
  Cores cores(count, lent_max, (count - 1) * lent_max + own_share);
  std::vector<Seen> seen(count);
  std::vector<std::vector<RxFrame>> kept(count);
  Put put;
  const auto turn = [&](std::uint16_t core) {
    for (const RxFrame& frame : cores.receive(core, prng.between(0, 40))) {
      seen[core].take(cores.handover.steering(), core, frame);
      kept[core].push_back(frame);
    }
  };
  const auto release_some = [&](std::uint16_t core, std::uint64_t some) {
    for (; some > 0 && !kept[core].empty(); --some) {
      std::swap(kept[core].back(), kept[core][prng.below(kept[core].size())]);
      cores.release(core, kept[core].back());
      kept[core].pop_back();
    }
  };
  for (int step = 0; step < 400; ++step) {
    const auto core = static_cast<std::uint16_t>(prng.below(count));
    switch (prng.below(3)) {
      case 0: put.frame(prng, core, *cores.queues[core]); break;
      case 1: turn(core); break;
      case 2: release_some(core, prng.below(8)); break;
    }
  }
  for (int round = 0; round < 400; ++round) {
    for (std::uint16_t core = 0; core < count; ++core) {
      turn(core);
      release_some(core, SIZE_MAX);
    }
  }
  std::uint64_t reached = 0;
  std::uint64_t dropped = 0;
  for (std::uint16_t core = 0; core < count; ++core) {
    reached += seen[core].segments + seen[core].news;
    dropped += cores.handover.counters(core).drop_no_turns.load();
    EXPECT_EQ(cores.queues[core]->lent_count(), 0u);
    EXPECT_TRUE(cores.queues[core]->arrived.empty());
    EXPECT_EQ(cores.devices[core]->next_deadline(), never());
  }
  EXPECT_EQ(reached + dropped, put.segments + put.news * count);
}

TEST(SteeredDevice, NoScheduleLosesOrDoublesAFrame) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) run_schedule(seed);
}

// ---- with threads, which sleep: under TSan, and no wake-up may be lost

struct SleepingIdle final : public Idle {
  void wait(Instant) override {
    std::unique_lock lock(mutex);
    is_late |= !woken.wait_for(lock, std::chrono::seconds(20), [this] { return wanted; });
    wanted = false;
  }
  void wake() override {
    const std::lock_guard lock(mutex);
    wanted = true;
    woken.notify_one();
  }
  std::mutex mutex;
  std::condition_variable woken;
  bool wanted = false;
  bool is_late = false;   // nobody woke it
};

// Everything that is there, given back at once; how much it was.
std::size_t take_all(SteeredDevice& device, const net::Steering& steering, std::uint16_t core,
                     Seen& seen) {
  std::array<RxFrame, 32> frames;
  const std::size_t received = device.receive(frames);
  for (const RxFrame& frame : std::span(frames).first(received)) {
    seen.take(steering, core, frame);
    device.release({&frame.token, 1});
  }
  return received;
}

TEST(SteeredDevice, ThreadsLoseNothingAndWakeEachOther) {
  constexpr std::uint16_t count = 2;
  constexpr std::uint64_t frames_each = 10'000;
  constexpr std::uint32_t lent_max = 8;
  Handover handover(count, lent_max);
  std::array<SleepingIdle, count> idles;
  std::array<Seen, count> seen;
  std::array<Put, count> put;
  std::array<FakeQueue*, count> queues{};
  std::array<std::unique_ptr<SteeredDevice>, count> devices;
  for (std::uint16_t core = 0; core < count; ++core) {
    auto queue = std::make_unique<FakeQueue>(16);
    queues[core] = queue.get();
    devices[core] = std::make_unique<SteeredDevice>(handover, core, std::move(queue));
    handover.set_idle(core, &idles[core]);
  }
  std::atomic<int> filled{0};
  const auto is_over = [&](std::uint16_t core) {
    return filled.load() == count && queues[core]->lent_count() == 0 &&
           devices[core]->next_deadline() == never();
  };
  std::array<std::atomic<bool>, count> over{};
  const auto run = [&](std::uint16_t core) {
    Prng prng(core, "threads");
    std::uint64_t given = 0;
    while (!over[0].load() || !over[1].load()) {
      // No more than the other may have of them, so that none is dropped.
      if (given < frames_each && queues[core]->lent_count() < lent_max) {
        put[core].frame(prng, core, *queues[core]);
        if (++given == frames_each) {
          filled.fetch_add(1);
          idles[core ^ 1].wake();
        }
      }
      const std::size_t received =
          take_all(*devices[core], handover.steering(), core, seen[core]);
      if (filled.load() == count && !over[core].load() && is_over(core)) {
        over[core].store(true);
        idles[core ^ 1].wake();
      }
      const bool may_sleep = given == frames_each && devices[core]->next_deadline() == never() &&
                             queues[core]->lent_count() == 0;
      if (received == 0 && !may_sleep) std::this_thread::yield();
      if (may_sleep && received == 0 && (!over[0].load() || !over[1].load())) {
        idles[core].wait(never());
      }
    }
  };
  std::thread other([&] { run(1); });
  run(0);
  other.join();
  for (std::uint16_t core = 0; core < count; ++core) {
    while (take_all(*devices[core], handover.steering(), core, seen[core]) > 0) continue;
    EXPECT_FALSE(idles[core].is_late) << core;
  }
  const std::uint64_t dropped =
      handover.counters(0).drop_no_turns.load() + handover.counters(1).drop_no_turns.load();
  EXPECT_EQ(dropped, 0u);
  EXPECT_EQ(seen[0].segments + seen[1].segments, put[0].segments + put[1].segments);
  EXPECT_EQ(seen[0].news + seen[1].news, count * (put[0].news + put[1].news));
  EXPECT_GT(handover.counters(0).handed_over.load(), frames_each / 4);
}

}  // namespace
}  // namespace tailrace::io
