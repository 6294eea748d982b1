// What the stack counts; each reason for a dropped frame has its own number.
#pragma once

#include <array>
#include <cstdint>

#include "base/counter.h"

namespace tailrace::net {

// clang-format off
#define TR_NET_COUNTS(X) \
  X(frames_in) X(frames_out) X(segments_in) X(segments_out) X(bytes_in) X(bytes_out) \
  X(drop_truncated) X(drop_not_ours) X(drop_vlan) X(drop_protocol) X(drop_ip_header) \
  X(drop_ip_checksum) X(drop_ip_options) X(drop_fragment) X(drop_source) X(drop_tcp_header) \
  X(drop_tcp_checksum) X(drop_tcp_options) X(drop_icmp) X(drop_arp) X(drop_no_memory) \
  X(drop_rate) X(drop_old_timestamp) X(drop_outside_window) X(drop_bad_ack) \
  X(drop_control_full) X(drop_no_route) X(drop_after_close) \
  X(accepted) X(connected) X(refused) X(closed) X(resets_in) X(resets_out) \
  X(half_open_full) X(half_open_timeouts) X(cookies_out) X(cookies_good) X(cookies_bad) \
  X(challenge_acks) \
  X(retransmits) X(fast_recoveries) X(timeouts) X(loss_probes) X(undos) X(window_probes) \
  X(keepalive_probes) X(keepalive_failures) X(user_timeouts) X(closing_timeouts) X(acks_out) \
  X(duplicate_data) \
  X(out_of_order) X(dsacks_in) X(path_mtu_lowered) X(ecn_reductions) X(unreachable_in) \
  X(arp_in) X(nd_in) X(echoes) X(neighbour_failures) X(address_conflicts)
// clang-format on

enum class Count : std::uint8_t {
#define TR_NET_ENUMERATOR(name) name,
  TR_NET_COUNTS(TR_NET_ENUMERATOR)
#undef TR_NET_ENUMERATOR
      count_count,
};

// The name of a count, for metrics.
constexpr const char* to_string(Count count) {
  constexpr const char* names[] = {
#define TR_NET_NAME(name) #name,
      TR_NET_COUNTS(TR_NET_NAME)
#undef TR_NET_NAME
          ""};
  return names[static_cast<std::size_t>(count)];
}

class Counters {
 public:
  void add(Count count, std::uint64_t amount = 1) {
    values_[static_cast<std::size_t>(count)].add(amount);
  }
  std::uint64_t of(Count count) const { return values_[static_cast<std::size_t>(count)].load(); }

 private:
  std::array<Counter, static_cast<std::size_t>(Count::count_count)> values_;
};

}  // namespace tailrace::net
