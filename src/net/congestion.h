// How much may be under way: CUBIC (RFC 9438) with HyStart++ (RFC 9406) to end slow start before
// the queue is full, and Proportional Rate Reduction (RFC 6937) while lost segments are replaced.
// Bytes everywhere; CUBIC's curve in segments.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "net/seq.h"

namespace tailrace::net {

inline constexpr std::uint32_t no_threshold = UINT32_MAX;

// HyStart++: slow start watches the smallest round trip of each round. When it grows, growth is
// slowed for five rounds (conservative slow start); when it shrinks again, that was a mistake.
struct HyStart {
  Duration last_round{};
  Duration this_round{};
  Duration baseline{};
  Seq round_end;
  std::uint8_t samples = 0;
  std::uint8_t cautious_rounds = 0;
  bool is_cautious = false;

  void begin_round(Seq sent_to) {
    last_round = this_round;
    this_round = {};
    samples = 0;
    round_end = sent_to;
  }
  // True when slow start is over.
  bool on_ack(Seq acked_to, Seq sent_to, Duration rtt);
};

struct Congestion {
  std::uint32_t window = 0;
  std::uint32_t threshold = no_threshold;
  bool is_limiting = false;         // what could be sent waited for the window, not the application

  bool in_slow_start() const { return window < threshold; }

  void start(std::uint32_t segment, std::uint32_t initial_segments, Seq first);
  struct Ack {
    std::uint32_t bytes = 0;        // newly acknowledged, SACK included
    std::uint32_t segment = 0;
    std::uint32_t window_max = 0;
    Seq acked_to;
    Seq sent_to;
    Duration rtt{};                 // smoothed
    Duration sample{};              // of this ACK; 0: none
    Instant now{};
  };
  // Outside of recovery.
  void on_ack(const Ack& ack);
  // The window is to shrink, by loss or (a little less, RFC 8511) by ECN. Sets the threshold.
  void on_congestion(std::uint32_t segment, bool by_ecn);
  void on_timeout(std::uint32_t segment) { window = segment; }
  // The reduction was a mistake (RFC 4015).
  void restore();
  // Nothing was under way for some time (RFC 7661, roughly RFC 2861): what the path takes is no
  // longer known.
  void on_idle(Duration idle, Duration timeout, std::uint32_t restart_window);

  // --- while segments are replaced
  void begin_reduction(std::uint32_t bytes_in_flight);
  // After every ACK of a recovery: sets the window so that what the peer says it received decides
  // what may go out.
  void reduce(std::uint32_t delivered, std::uint32_t pipe, std::uint32_t segment, bool advanced);
  void on_sent_in_reduction(std::uint32_t bytes) { reduction_sent_ += bytes; }

 private:
  void grow_cubic(const Ack& ack);

  bool has_epoch_ = false;
  HyStart hystart_;
  // CUBIC, in segments; the epoch begins with the first growth after a reduction.
  float window_before_ = 0;         // W_max
  float k_ = 0;
  float estimate_ = 0;              // W_est, what Reno would have
  float fraction_ = 0;              // bytes of growth below one
  Instant epoch_at_{};
  // For restore().
  std::uint32_t prior_window_ = 0;
  std::uint32_t prior_threshold_ = no_threshold;
  float prior_before_ = 0;
  // PRR.
  std::uint32_t reduction_flight_ = 0;
  std::uint32_t reduction_delivered_ = 0;
  std::uint32_t reduction_sent_ = 0;
};

}  // namespace tailrace::net
