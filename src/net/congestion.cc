#include "net/congestion.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace tailrace::net {
namespace {

// RFC 9438, 4.6 and 5.
constexpr float cubic_c = 0.4F;
constexpr float beta = 0.7F;
constexpr float beta_ecn = 0.85F;                       // RFC 8511
constexpr float reno_alpha = 3 * (1 - beta) / (1 + beta);

// RFC 9406, 4.3.
constexpr Duration rtt_threshold_min = milliseconds(4);
constexpr Duration rtt_threshold_max = milliseconds(16);
constexpr std::uint8_t rtt_samples_min = 8;
constexpr std::uint32_t cautious_divisor = 4;
constexpr std::uint8_t cautious_rounds_max = 5;

float seconds_of(Duration duration) { return static_cast<float>(duration.ns) * 1e-9F; }

}  // namespace

bool HyStart::on_ack(Seq acked_to, Seq sent_to, Duration rtt) {
  if (rtt.ns > 0) {
    if (this_round.ns == 0 || rtt < this_round) this_round = rtt;
    if (samples < UINT8_MAX) ++samples;
  }
  bool is_over = false;
  if (samples >= rtt_samples_min && this_round.ns > 0 && last_round.ns > 0) {
    if (is_cautious) {
      if (this_round < baseline) is_cautious = false;
    } else {
      const Duration threshold = std::clamp(Duration{last_round.ns / 8}, rtt_threshold_min,
                                            rtt_threshold_max);
      if (this_round.ns >= last_round.ns + threshold.ns) {
        is_cautious = true;
        baseline = this_round;
        cautious_rounds = 0;
      }
    }
  }
  if (acked_to >= round_end) {
    if (is_cautious) is_over = ++cautious_rounds >= cautious_rounds_max;
    begin_round(sent_to);
  }
  return is_over;
}

void Congestion::start(std::uint32_t segment, std::uint32_t initial_segments, Seq first) {
  // RFC 6928 says min(10 * MSS, max(2 * MSS, 14600)): large segments get fewer.
  window = std::min(initial_segments * segment, std::max(2 * segment, initial_segments * 1460));
  threshold = no_threshold;
  hystart_ = {};
  hystart_.round_end = first;
}

void Congestion::on_ack(const Ack& ack) {
  TR_ASSERT(ack.segment > 0);
  if (in_slow_start()) {
    const bool is_first = threshold == no_threshold;
    const bool is_over = is_first && hystart_.on_ack(ack.acked_to, ack.sent_to, ack.sample);
    if (!is_limiting) return;
    // Byte counting without a cap per ACK (RFC 9406, 4.2: our output is paced); never past the
    // threshold in one step.
    const bool is_slow = is_first && hystart_.is_cautious;
    const std::uint32_t growth = ack.bytes / (is_slow ? cautious_divisor : 1);
    window = std::min({window + growth, ack.window_max, std::max(threshold, window)});
    if (is_over) threshold = window;
    return;
  }
  if (is_limiting) grow_cubic(ack);
}

void Congestion::grow_cubic(const Ack& ack) {
  const auto segment = static_cast<float>(ack.segment);
  const float now_window = static_cast<float>(window) / segment;
  if (!has_epoch_) {
    has_epoch_ = true;
    epoch_at_ = ack.now;
    estimate_ = now_window;
    if (now_window < window_before_) {
      k_ = std::cbrt((window_before_ - now_window) / cubic_c);
    } else {
      k_ = 0;
      window_before_ = now_window;
    }
  }
  const float acked = static_cast<float>(ack.bytes) / segment;
  const float t = seconds_of(ack.now - epoch_at_) - k_;
  const float now_curve = cubic_c * t * t * t + window_before_;
  const float alpha = estimate_ >= window_before_ ? 1 : reno_alpha;
  estimate_ += alpha * acked / now_window;
  float growth = 0;
  if (now_curve < estimate_) {
    growth = std::max(0.0F, estimate_ - now_window) * segment;   // Where Reno would be faster.
  } else {
    const float ahead = t + seconds_of(ack.rtt);
    const float target = std::clamp(cubic_c * ahead * ahead * ahead + window_before_, now_window,
                                    1.5F * now_window);
    growth = (target - now_window) / now_window * acked * segment;
  }
  fraction_ += std::min(growth, static_cast<float>(ack.bytes));
  const auto whole = static_cast<std::uint32_t>(fraction_);
  fraction_ -= static_cast<float>(whole);
  window = std::min(window + whole, ack.window_max);
}

void Congestion::on_congestion(std::uint32_t segment, bool by_ecn) {
  prior_window_ = window;
  prior_threshold_ = threshold;
  prior_before_ = window_before_;
  const float now_window = static_cast<float>(window) / static_cast<float>(segment);
  // Fast convergence: a window that never came back to its peak leaves room for others.
  window_before_ = now_window < window_before_ ? now_window * (1 + beta) / 2 : now_window;
  const float factor = by_ecn ? beta_ecn : beta;
  threshold = std::max(static_cast<std::uint32_t>(static_cast<float>(window) * factor),
                       2 * segment);
  has_epoch_ = false;
  hystart_.is_cautious = false;
}

void Congestion::restore() {
  window = std::max(window, prior_window_);
  threshold = prior_threshold_;
  window_before_ = prior_before_;
  has_epoch_ = false;
}

void Congestion::on_idle(Duration idle, Duration timeout, std::uint32_t restart_window) {
  if (window <= restart_window || idle <= timeout) return;
  if (threshold != no_threshold) threshold = std::max(threshold, window / 4 * 3);
  for (Duration left = idle; left > timeout && window > restart_window; left.ns -= timeout.ns) {
    window /= 2;
  }
  window = std::max(window, restart_window);
  has_epoch_ = false;
}

void Congestion::begin_reduction(std::uint32_t bytes_in_flight) {
  reduction_flight_ = std::max(bytes_in_flight, 1U);
  reduction_delivered_ = 0;
  reduction_sent_ = 0;
}

void Congestion::reduce(std::uint32_t delivered, std::uint32_t pipe, std::uint32_t segment,
                        bool advanced) {
  reduction_delivered_ += delivered;
  std::uint64_t may_send = 0;
  if (pipe > threshold) {
    const std::uint64_t due =
        (std::uint64_t{reduction_delivered_} * threshold + reduction_flight_ - 1) /
        reduction_flight_;
    may_send = due > reduction_sent_ ? due - reduction_sent_ : 0;
  } else {
    // Below the target already: as much as was delivered (the conservative bound), and a segment
    // more while the peer's stream advances (the slow start one).
    const std::uint32_t owed =
        reduction_delivered_ > reduction_sent_ ? reduction_delivered_ - reduction_sent_ : 0;
    const std::uint32_t bound = std::max(owed, delivered) + (advanced ? segment : 0);
    may_send = std::min(threshold - pipe, bound);
  }
  // The first replacement always goes.
  if (reduction_sent_ == 0) may_send = std::max<std::uint64_t>(may_send, segment);
  window = pipe + static_cast<std::uint32_t>(may_send);
}

}  // namespace tailrace::net
