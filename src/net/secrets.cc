#include "net/secrets.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tailrace::net {
namespace {

// The largest segment sizes that a cookie can tell apart; the next lower one is taken.
constexpr std::array<std::uint16_t, 8> mss_steps{216, 536, 1220, 1300, 1400, 1440, 1460, 8960};

// A cookie: 5 bits of a clock of 64 s, 3 of the MSS, 24 of a hash over flow, clock and SYN.
constexpr std::uint32_t cookie_hash_bits = 24;
constexpr std::uint32_t cookie_hash_mask = (1U << cookie_hash_bits) - 1;
constexpr std::int64_t cookie_period_ns = 64'000'000'000;

// The low bits of the timestamp: window scale (15: none), SACK, ECN.
constexpr std::uint32_t timestamp_bits = 6;
constexpr std::uint32_t timestamp_mask = (1U << timestamp_bits) - 1;

constexpr std::uint16_t port_first = 32'768;
constexpr std::uint16_t port_count = 61'000 - port_first;

std::uint32_t period_of(Instant now) {
  return static_cast<std::uint32_t>(now.ns / cookie_period_ns);
}

}  // namespace

std::uint64_t Secrets::hash(Use use, const Flow& flow, std::uint64_t more) const {
  std::array<std::byte, 16 + 16 + 4 + 8 + 1> input;
  flow.local.address.store_v6(input.data());
  flow.remote.address.store_v6(input.data() + 16);
  store_be(input.data() + 32, flow.local.port);
  store_be(input.data() + 34, flow.remote.port);
  store_be(input.data() + 36, more);
  input[44] = static_cast<std::byte>(use);
  return sip_hash_128(key_, input).low;
}

Seq Secrets::initial_seq(const Flow& flow, Instant now) const {
  const auto clock = static_cast<std::uint32_t>(now.ns / 4000);
  return {static_cast<std::uint32_t>(hash(Use::isn, flow, 0)) + clock};
}

std::uint32_t Secrets::timestamp_offset(const Flow& flow) const {
  return static_cast<std::uint32_t>(hash(Use::timestamp, flow, 0));
}

std::uint16_t Secrets::source_port(const IpAddress& local, const Endpoint& remote,
                                   std::uint32_t n) const {
  const Flow flow{{local, 0}, remote};
  const auto start = static_cast<std::uint32_t>(hash(Use::port, flow, 0));
  return static_cast<std::uint16_t>(port_first + (start + n) % port_count);
}

Seq Secrets::cookie(const Flow& flow, Seq peer_seq, const CookieContents& contents,
                    Instant now) const {
  std::uint32_t step = mss_steps.size() - 1;
  while (step > 0 && mss_steps[step] > contents.mss) --step;
  const std::uint32_t period = period_of(now);
  const std::uint32_t head = (period & 31) << 3 | step;
  const std::uint64_t hashed =
      hash(Use::cookie, flow, std::uint64_t{peer_seq.value} << 32 | period << 3 | step);
  return {head << cookie_hash_bits | (static_cast<std::uint32_t>(hashed) & cookie_hash_mask)};
}

std::uint32_t Secrets::cookie_timestamp(std::uint32_t clock, const CookieContents& contents) {
  const std::uint32_t scale = std::min<std::uint32_t>(contents.window_scale, 15);
  const std::uint32_t bits =
      scale | (contents.sack_permitted ? 16U : 0U) | (contents.ecn ? 32U : 0U);
  std::uint32_t stamp = (clock & ~timestamp_mask) | bits;
  // Never ahead of the clock: what follows must not be older.
  if (stamp > clock) stamp -= timestamp_mask + 1;
  return stamp;
}

std::optional<CookieContents> Secrets::check_cookie(const Flow& flow, Seq peer_seq, Seq cookie,
                                                    std::optional<std::uint32_t> echo,
                                                    Instant now) const {
  const std::uint32_t step = (cookie.value >> cookie_hash_bits) & 7;
  const std::uint32_t age = (period_of(now) - (cookie.value >> (cookie_hash_bits + 3))) & 31;
  if (age > 1) return std::nullopt;
  const std::uint32_t period = period_of(now) - age;
  const std::uint64_t hashed =
      hash(Use::cookie, flow, std::uint64_t{peer_seq.value} << 32 | period << 3 | step);
  if (((static_cast<std::uint32_t>(hashed) ^ cookie.value) & cookie_hash_mask) != 0) {
    return std::nullopt;
  }
  CookieContents contents;
  contents.mss = mss_steps[step];
  if (echo.has_value()) {
    contents.has_timestamp = true;
    contents.sack_permitted = (*echo & 16) != 0;
    contents.ecn = (*echo & 32) != 0;
    if ((*echo & 15) != 15) contents.window_scale = static_cast<std::uint8_t>(*echo & 15);
  }
  return contents;
}

}  // namespace tailrace::net
