// Round-trip time and retransmission timeout (RFC 6298), and the smallest round trip of the last
// seconds, which RACK wants (RFC 8985, 6.2).
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace tailrace::net {

struct Rtt {
  Duration smoothed{};        // 0: not measured yet
  Duration variation{};
  Duration smallest{};
  Instant smallest_at{};
  Duration latest{};

  bool is_known() const { return smoothed.ns > 0; }

  // Only of segments that were sent once (Karn), never in nanoseconds below a microsecond: a
  // simulated link may have none.
  void sample(Duration rtt, Instant now) {
    constexpr Duration smallest_window = seconds(10);
    rtt = std::max(rtt, microseconds(1));
    latest = rtt;
    if (smallest.ns == 0 || rtt <= smallest || now - smallest_at > smallest_window) {
      smallest = rtt;
      smallest_at = now;
    }
    if (!is_known()) {
      smoothed = rtt;
      variation.ns = rtt.ns / 2;
      return;
    }
    const std::int64_t off = smoothed.ns > rtt.ns ? smoothed.ns - rtt.ns : rtt.ns - smoothed.ns;
    variation.ns += (off - variation.ns) / 4;
    smoothed.ns += (rtt.ns - smoothed.ns) / 8;
  }

  // Without back-off. The minimum is one of what is added to the round trip, not of the sum: the
  // peer may delay its ACK on a long path as on a short one.
  Duration timeout(Duration initial, Duration smallest_timeout, Duration largest) const {
    if (!is_known()) return initial;
    const Duration timeout{smoothed.ns + std::max(4 * variation.ns, smallest_timeout.ns)};
    return std::min(timeout, largest);
  }
};

}  // namespace tailrace::net
