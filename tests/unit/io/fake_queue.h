// A queue of a device, in memory: the test puts frames in; each is lent once and comes back once.
// What is sent goes where `send` says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "io/packet_device.h"

namespace tailrace::io {

class FakeQueue final : public PacketDevice {
 public:
  explicit FakeQueue(std::uint32_t frames_max) {
    offers_.frames_max = frames_max;
    for (std::uint64_t i = 0; i < frames_max; ++i) free_.push_back(i);
  }
  const DeviceOffers& offers() const override { return offers_; }
  DeviceNumbers numbers() const override { return {}; }
  std::size_t receive(std::span<RxFrame> frames) override {
    std::size_t count = 0;
    while (count < frames.size() && !arrived.empty() && !free_.empty()) {
      const std::uint64_t token = free_.front();
      free_.pop_front();
      lent_[token] = std::move(arrived.front());
      arrived.pop_front();
      frames[count++] = {.bytes = lent_[token], .token = token, .checksum_good = token % 2 == 0};
    }
    return count;
  }
  void release(std::span<const std::uint64_t> tokens) override {
    for (const std::uint64_t token : tokens) {
      EXPECT_EQ(lent_.erase(token), 1u) << "twice, or never lent: " << token;
      free_.push_back(token);
    }
  }
  std::size_t transmit(std::span<const TxFrame> frames) override {
    const std::size_t count = std::min(frames.size(), accepts);
    for (const TxFrame& frame : frames.first(count)) {
      if (frame.hold != no_hold) holds_.push_back(frame.hold);
      if (!send) continue;
      std::vector<std::byte> bytes(frame.header.begin(), frame.header.begin() + frame.header_bytes);
      for (const Bytes slice : frame.payload()) {
        bytes.insert(bytes.end(), slice.begin(), slice.end());
      }
      send(std::move(bytes));
    }
    return count;
  }
  std::size_t take_finished(std::span<std::uint32_t> holds) override {
    const std::size_t count = std::min(holds.size(), holds_.size());
    std::copy_n(holds_.begin(), count, holds.begin());
    holds_.erase(holds_.begin(), holds_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  bool failed() const override { return is_gone; }
  Instant next_deadline() const override {
    return arrived.empty() || free_.empty() ? never() : Instant{};
  }

  std::deque<std::vector<std::byte>> arrived;
  std::function<void(std::vector<std::byte>)> send;
  bool is_gone = false;
  std::size_t accepts = SIZE_MAX;   // frames of one transmit()
  std::size_t lent_count() const { return lent_.size(); }
  std::size_t free_count() const { return free_.size(); }
  DeviceOffers& mutable_offers() { return offers_; }

 private:
  DeviceOffers offers_;
  std::deque<std::uint64_t> free_;
  std::map<std::uint64_t, std::vector<std::byte>> lent_;
  std::vector<std::uint32_t> holds_;
};

}  // namespace tailrace::io
