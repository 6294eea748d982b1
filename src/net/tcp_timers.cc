// Time passes: retransmission, loss probe, persist, reordering, delayed ACK, keepalive, user
// time-out and the end of closing. One entry of the timer wheel per connection stands for all of
// them.
#include <algorithm>

#include "base/assert.h"
#include "net/tcp.h"

namespace tailrace::net {
namespace {

constexpr Duration tail_probe_min = milliseconds(1);
// RFC 8985 has one; with a second, and its own back-off (RFC 9002, 6.2.1), a flight whose ACK and
// whose probe got lost does not cost a time-out either.
constexpr std::uint8_t tail_probes_max = 2;
constexpr std::uint8_t black_hole_timeouts = 2;

Duration timeout_of(const Tcp& tcp, const Connection& c) {
  const Limits& limits = tcp.limits;
  Duration timeout = c.rtt.timeout(limits.rto_initial, limits.rto_min, limits.rto_max);
  // RFC 6298, 5.5: doubled each time, up to a bound.
  for (int i = 0; i < c.retries && timeout < limits.rto_max; ++i) timeout.ns *= 2;
  return std::min(timeout, limits.rto_max);
}

// RFC 8985, 7.2. When something behind a hole was delivered the tail is not what is missing. Within
// a recovery, too (RFC 9002, 6.2): the ACK that would have let the next segment out may be what is
// lost, or the last retransmission.
bool wants_tail_probe(const Connection& c) {
  if (!c.uses_sack || !c.rtt.is_known() || c.retries > 0) return false;
  if (c.tail_probes >= tail_probes_max) return false;
  if (c.recovery == Recovery::fast) return true;
  return c.recovery == Recovery::steady && c.sent.sacked_bytes == 0 &&
         c.sent.to_resend_bytes() == 0;
}

Duration tail_probe_timeout(const Tcp& tcp, const Connection& c) {
  Duration timeout{2 * c.rtt.smoothed.ns};
  // The ACK of less than two full segments may be delayed; neither end's timer is exact.
  if (c.in_flight() < 2U * c.send_mss) {
    timeout.ns += tcp.limits.delayed_ack_max.ns + tail_probe_min.ns;
  }
  return {std::max(timeout, tail_probe_min).ns << c.tail_probes};
}

bool is_window_closed(const Connection& c) {
  const bool has_unsent = c.queue.unsent_bytes > 0 || (c.wants_fin && !c.fin_sent);
  if (c.sent.head == none) return has_unsent;
  return c.send_window == 0;
}

// A path that swallows large segments without a word (RFC 2923, 2.1).
void suspect_black_hole(Tcp& tcp, Connection& c) {
  if (c.retries < black_hole_timeouts || c.black_hole_step > 0) return;
  const std::uint16_t floor = c.flow.remote.address.is_v4() ? 576 : 1280;
  const std::uint32_t headers_max = 80;
  if (c.path_mtu <= floor || c.sent.head == none ||
      tcp.records[c.sent.head].length + headers_max <= floor) {
    return;
  }
  ++c.black_hole_step;
  c.path_mtu = floor;
  tcp.set_segment_size(c);
  tcp.count(Count::path_mtu_lowered);
}

void give_up(Tcp& tcp, Connection& c) {
  tcp.count(Count::user_timeouts);
  tcp.reset(c);
}

void on_syn_timeout(Tcp& tcp, Connection& c) {
  if (tcp.now - c.progress_at >= tcp.limits.connect_timeout) return give_up(tcp, c);
  if (c.retries < UINT8_MAX) ++c.retries;
  c.syn_due = true;
  tcp.mark_dirty(c);
  // Now, too, for it may not get out: nobody may know the peer's link address.
  arm_retransmit(tcp, c);
}

void on_retransmit_timer(Tcp& tcp, Connection& c) {
  const RetransmitTimer timer = c.retransmit_timer;
  c.retransmit_timer = RetransmitTimer::off;
  c.retransmit_at = never();
  if (!c.is_synchronized() || c.state < TcpState::established) return on_syn_timeout(tcp, c);
  switch (timer) {
    case RetransmitTimer::off:
      return;
    case RetransmitTimer::loss_probe:
      c.is_tail_probe_due = true;
      tcp.mark_dirty(c);
      return;
    case RetransmitTimer::persist:
      // As long as the peer answers, however long its window stays closed (RFC 9293, 3.8.6.1).
      if (tcp.now - std::max(c.heard_at, c.progress_at) >= tcp.limits.user_timeout) {
        return give_up(tcp, c);
      }
      if (c.retries < UINT8_MAX) ++c.retries;
      c.is_probe_due = true;
      tcp.mark_dirty(c);
      break;
    case RetransmitTimer::timeout:
      if (tcp.now - c.progress_at >= tcp.limits.user_timeout) return give_up(tcp, c);
      on_retransmit_timeout(tcp, c);
      suspect_black_hole(tcp, c);
      break;
  }
  arm_retransmit(tcp, c);
}

// Keepalive (RFC 9293, 3.8.4), or the end of a connection that the application has closed.
void on_idle_timer(Tcp& tcp, Connection& c) {
  c.idle_at = never();
  if (c.is_closing) {
    tcp.count(Count::closing_timeouts);
    return tcp.reset(c);
  }
  if (c.sent.head != none) {
    // The retransmission timer watches.
    c.idle_at = tcp.now + tcp.limits.keepalive_idle;
    return;
  }
  const Duration quiet = tcp.now - c.heard_at;
  if (quiet >= tcp.limits.keepalive_idle || c.keepalives > 0) {
    if (c.keepalives >= tcp.limits.keepalive_probes) {
      tcp.count(Count::keepalive_failures);
      return tcp.reset(c);
    }
    ++c.keepalives;
    c.is_keepalive_due = true;
    tcp.mark_dirty(c);
  }
  arm_idle(tcp, c);
}

}  // namespace

void arm_retransmit(Tcp& tcp, Connection& c) {
  const auto set = [&](RetransmitTimer timer, Duration after) {
    c.retransmit_timer = timer;
    c.retransmit_at = tcp.now + after;
    tcp.schedule(c);
  };
  if (c.state == TcpState::syn_sent || c.state == TcpState::syn_received) {
    return set(RetransmitTimer::timeout, timeout_of(tcp, c));
  }
  if (is_window_closed(c)) {
    // An answer that the window is still closed does not put the next question off.
    if (c.retransmit_timer == RetransmitTimer::persist) return;
    return set(RetransmitTimer::persist, timeout_of(tcp, c));
  }
  if (c.sent.head == none) {
    c.retransmit_timer = RetransmitTimer::off;
    c.retransmit_at = never();
    return;
  }
  const Duration timeout = timeout_of(tcp, c);
  if (wants_tail_probe(c)) {
    // RFC 8985, 7.2: at the latest where the time-out would be, which then comes after it.
    return set(RetransmitTimer::loss_probe, std::min(tail_probe_timeout(tcp, c), timeout));
  }
  set(RetransmitTimer::timeout, timeout);
}

void arm_timeout(Tcp& tcp, Connection& c) {
  c.retransmit_timer = RetransmitTimer::timeout;
  c.retransmit_at = tcp.now + timeout_of(tcp, c);
  tcp.schedule(c);
}

void arm_idle(Tcp& tcp, Connection& c) {
  if (c.is_closing) {
    // Set once for each half: the queue's end, then the peer's.
    c.idle_at = tcp.now + (c.fin_acked ? tcp.limits.draining_max : tcp.limits.finishing_max);
  } else if (c.keepalives > 0) {
    c.idle_at = tcp.now + tcp.limits.keepalive_interval;
  } else {
    c.idle_at = std::max(c.heard_at + tcp.limits.keepalive_idle, tcp.now + milliseconds(1));
  }
  tcp.schedule(c);
}

void on_timer(Tcp& tcp, Connection& c) {
  c.armed_at = never();
  const Instant now = tcp.now;
  if (c.ack_at <= now) {
    c.ack_at = never();
    c.ack_now = true;
    tcp.mark_dirty(c);
  }
  if (c.is_pacing_wait && c.pace_at <= now) {
    c.is_pacing_wait = false;
    tcp.mark_dirty(c);
  }
  if (c.reorder_at <= now) on_reordering_timer(tcp, c);
  if (c.retransmit_at <= now) on_retransmit_timer(tcp, c);
  if (c.state != TcpState::closed && c.idle_at <= now) on_idle_timer(tcp, c);
  if (c.state != TcpState::closed) tcp.schedule(c);
}

}  // namespace tailrace::net
