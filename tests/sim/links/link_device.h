// LinkDevice: a packet device on simulated wires, as unhelpful as one may be. It reads the payload
// of a frame some time after it took it, gives holds back later still and in any order, takes
// fewer frames than it is offered, and overwrites received frames as soon as they are given back.
// Payload that changes while the device holds it is counted.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "../sim_clock.h"
#include "link_plan.h"

namespace tailrace::sim {

class LinkDevice final : public io::PacketDevice {
 public:
  using Wire = std::function<void(std::vector<std::byte>)>;
  LinkDevice(const DevicePlan& plan, Prng prng, SimClock& clock, Wire wire);

  // --- its core's side
  const io::DeviceOffers& offers() const override { return plan_.offers; }
  io::DeviceNumbers numbers() const override { return {}; }
  std::size_t receive(std::span<RxFrame> frames) override;
  void release(std::span<const std::uint64_t> tokens) override;
  std::size_t transmit(std::span<const TxFrame> frames) override;
  std::size_t take_finished(std::span<std::uint32_t> holds) override;
  Instant next_deadline() const override;

  // --- the wires' side
  void arrive(std::vector<std::byte> frame);
  // What the device does on its own: reads what is due and sends it.
  void work();
  Instant work_deadline() const;
  // Its machine is gone: it sends no more.
  void unplug() { is_unplugged_ = true; }

  // --- what the checkers look at
  std::size_t lent_count() const { return plan_.offers.frames_max - free_tokens_.size(); }
  std::size_t held_count() const { return taken_.size() + held_.size() + finished_.size(); }
  std::uint64_t misuses() const { return misuses_; }
  std::uint64_t changed_payloads() const { return changed_payloads_; }
  // Planted: some holds are never given back.
  bool plant_lose_hold = false;

 private:
  struct Taken {
    TxFrame frame;
    std::uint64_t sum = 0;    // of the payload, when it was taken
    Instant read_at;
    Instant finish_at;
  };
  struct Held {
    TxFrame frame;            // its payload is looked at once more
    std::uint64_t sum = 0;
    Instant finish_at;
  };
  void finish();

  const DevicePlan plan_;
  Prng prng_;
  SimClock& clock_;
  Wire wire_;
  std::deque<std::vector<std::byte>> arrived_;
  std::vector<std::vector<std::byte>> lent_;   // by token
  std::vector<std::uint64_t> free_tokens_;
  std::deque<Taken> taken_;
  std::vector<Held> held_;
  std::vector<std::uint32_t> finished_;
  std::uint64_t misuses_ = 0;
  std::uint64_t changed_payloads_ = 0;
  bool is_unplugged_ = false;
};

// A sum over memory that others lend.
std::uint64_t sum_of(std::span<const Bytes> slices);

}  // namespace tailrace::sim
