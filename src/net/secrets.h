// What a peer must not guess, all from one key that the program draws at its start: initial
// sequence numbers (RFC 6528), timestamp offsets (RFC 7323, 5.4), source ports (RFC 6056) and SYN
// cookies (RFC 4987).
#pragma once

#include <cstdint>
#include <optional>

#include "base/sip_hash.h"
#include "base/time.h"
#include "net/address.h"
#include "net/seq.h"

namespace tailrace::net {

// What a cookie carries of the peer's SYN: all that is not in later segments.
struct CookieContents {
  std::uint16_t mss = 536;
  bool has_timestamp = false;
  // Only with timestamps: they are carried in the low bits of ours.
  bool sack_permitted = false;
  bool ecn = false;
  std::uint8_t window_scale = 0xff;
};

class Secrets {
 public:
  explicit Secrets(const SipKey& key) : key_(key) {}

  // A clock of 4 us plus a hash of the flow: a new one is beyond all that an older connection of
  // the same flow used, and says nothing about other flows.
  Seq initial_seq(const Flow& flow, Instant now) const;
  std::uint32_t timestamp_offset(const Flow& flow) const;
  // The n-th port to try towards `remote`; in [32768, 61000).
  std::uint16_t source_port(const IpAddress& local, const Endpoint& remote, std::uint32_t n) const;
  std::uint64_t table_key() const { return hash(Use::table, {}, 0); }

  // The sequence number of our SYN-ACK; `peer_seq` is that of the SYN.
  Seq cookie(const Flow& flow, Seq peer_seq, const CookieContents& contents, Instant now) const;
  // The timestamp of that SYN-ACK, given what the clock says: its low bits carry the options.
  static std::uint32_t cookie_timestamp(std::uint32_t clock, const CookieContents& contents);
  // What the cookie held, if the acknowledgement of `cookie` is one of ours of the last two
  // minutes. `echo`: our timestamp as the peer returned it, with the flow's offset taken off.
  std::optional<CookieContents> check_cookie(const Flow& flow, Seq peer_seq, Seq cookie,
                                             std::optional<std::uint32_t> echo, Instant now) const;

 private:
  enum class Use : std::uint8_t { isn, timestamp, port, cookie, table };
  std::uint64_t hash(Use use, const Flow& flow, std::uint64_t more) const;

  SipKey key_;
};

}  // namespace tailrace::net
