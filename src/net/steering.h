// Which core of several a received frame belongs to, when each has a stack of its own with the same
// addresses. One connection's segments all go to one core: the one that the Toeplitz hash of
// addresses and ports names ("RSS Hashing Functions", Microsoft's NDIS documentation), which is
// also what network devices compute. A device that is given the same key and, as its indirection
// table, core_of_bucket() brings nearly every frame to the right queue; for one that cannot, the
// answer here is the same.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "net/address.h"

namespace tailrace::net {

using RssKey = std::array<std::uint8_t, 40>;

// The key of the specification's examples, which devices that take no other have as well.
inline constexpr RssKey rss_key_default = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct FrameOwner {
  enum class Kind : std::uint8_t {
    anyone,    // nothing to a connection: the stack that has it drops and counts it
    one,       // `core`
    everyone,  // news for all stacks
  };
  Kind kind = Kind::anyone;
  std::uint16_t core = 0;
  friend bool operator==(const FrameOwner&, const FrameOwner&) = default;
};

class Steering {
 public:
  // Entries of the table that the hash chooses from: as many as all but the smallest devices have,
  // so that a longer one repeats it.
  static constexpr std::uint32_t bucket_count = 128;

  explicit Steering(std::uint16_t cores, const RssKey& key = rss_key_default);

  // Any bytes; checksums are not looked at.
  FrameOwner owner_of(Bytes frame) const;
  // `flow` as its core's stack knows it.
  std::uint16_t core_of(const Flow& flow) const {
    return core_of_bucket(hash_of(flow) % bucket_count);
  }
  std::uint16_t core_of_bucket(std::uint32_t bucket) const {
    return static_cast<std::uint16_t>(bucket % cores_);
  }
  // Of a segment that the remote end of `flow` sends.
  std::uint32_t hash_of(const Flow& flow) const;

  std::uint16_t cores() const { return cores_; }
  const RssKey& key() const { return key_; }

 private:
  // Two addresses of IPv6 and two ports.
  static constexpr std::size_t input_bytes_max = 16 + 16 + 2 + 2;

  FrameOwner one_by(std::uint32_t hash) const {
    return {FrameOwner::Kind::one, core_of_bucket(hash % bucket_count)};
  }
  FrameOwner owner_of_any(Bytes frame) const;
  FrameOwner owner_of_ip(Bytes packet, bool is_v4) const;
  std::uint32_t hash_of_bytes(const std::byte* input, std::size_t size) const;

  std::uint16_t cores_;
  RssKey key_;
  // What each byte of the input, by its place, adds to the hash: 12 KiB of it for IPv4.
  std::vector<std::array<std::uint32_t, 256>> added_;
};

}  // namespace tailrace::net
