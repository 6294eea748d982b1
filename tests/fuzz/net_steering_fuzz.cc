// Any frame: every core says the same of whose it is, and names a core that is there; and the hash
// is what its definition says, bit by bit.
#include "../support/fuzz_target.h"
#include "../support/steered_frames.h"
#include "base/assert.h"
#include "net/steering.h"

namespace {

using namespace tailrace;

// For each bit of the input that is set, the 32 bits of the key that begin at its place.
std::uint32_t plain_hash(const net::RssKey& key, const std::vector<std::uint8_t>& input) {
  const auto bit_of = [&](std::size_t at) { return key[at / 8] >> (7 - at % 8) & 1U; };
  std::uint32_t hash = 0;
  for (std::size_t at = 0; at < input.size() * 8; ++at) {
    if ((input[at / 8] >> (7 - at % 8) & 1) == 0) continue;
    std::uint32_t window = 0;
    for (std::size_t i = 0; i < 32; ++i) window = window << 1 | bit_of(at + i);
    hash ^= window;
  }
  return hash;
}

void check_hash(const net::Steering& steering, const net::Flow& flow) {
  std::vector<std::uint8_t> input;
  const auto add = [&](const net::IpAddress& address) {
    input.insert(input.end(), address.bytes.begin() + (flow.local.address.is_v4() ? 12 : 0),
                 address.bytes.end());
  };
  add(flow.remote.address);
  add(flow.local.address);
  for (const std::uint16_t port : {flow.remote.port, flow.local.port}) {
    input.push_back(static_cast<std::uint8_t>(port >> 8));
    input.push_back(static_cast<std::uint8_t>(port));
  }
  TR_ASSERT(steering.hash_of(flow) == plain_hash(steering.key(), input));
}

net::IpAddress take_address(Bytes& input, bool is_v4) {
  net::IpAddress address = net::IpAddress::v4(0, 0, 0, 0);
  for (std::size_t i = is_v4 ? 12 : 0; i < 16; ++i) address.bytes[i] = fuzz::take_choice(input);
  return address;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  const auto cores = static_cast<std::uint16_t>(1 + choice % 64);
  static const net::Steering default_steering(64);
  if ((choice & 0x80) != 0) {
    const bool is_v4 = (choice & 1) != 0;
    net::Flow flow{{take_address(input, is_v4), fuzz::take_choice(input)},
                   {take_address(input, is_v4), fuzz::take_choice(input)}};
    check_hash(default_steering, flow);
    return 0;
  }
  const net::Steering steering(cores);
  const net::FrameOwner owner = steering.owner_of(input);
  TR_ASSERT(owner.core < cores);
  const net::FrameOwner of_64 = default_steering.owner_of(input);
  TR_ASSERT(owner.kind == of_64.kind);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  const auto add = [&](const std::vector<std::byte>& frame) {
    seeds.push_back(std::string("\x03") +
                    std::string(reinterpret_cast<const char*>(frame.data()), frame.size()));
  };
  const net::Endpoint own{net::IpAddress::v4(10, 0, 0, 1), 9092};
  const net::Endpoint peer{net::IpAddress::v4(10, 0, 0, 2), 40'000};
  const net::Endpoint own_v6{{{0xfd, 1}}, 9092};
  const net::Endpoint peer_v6{{{0xfd, 2}}, 40'000};
  add(test::segment_frame_of({own, peer}));
  add(test::segment_frame_of({own_v6, peer_v6}, 1, 5));
  add(test::error_frame({own, peer}, peer.address, 3));
  add(test::error_frame({own_v6, peer_v6}, peer_v6.address, 2));
  add(test::arp_frame_of({net::ArpPacket::Operation::reply, test::frame_peer_mac, peer.address,
                          test::frame_mac, own.address}));
  seeds.push_back(std::string(40, '\x81'));
  return seeds;
}
