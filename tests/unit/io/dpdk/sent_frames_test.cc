#include "io/dpdk/sent_frames.h"

#include <cstring>
#include <string>

#include "support.h"

namespace tailrace::io::dpdk {
namespace {

constexpr std::uint32_t buffers = 63;

struct Place {
  Place() {
    set_up_environment();
    pool = rte_pktmbuf_pool_create("sent", buffers, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, -1);
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 7);
  }
  ~Place() {
    EXPECT_EQ(rte_mempool_avail_count(pool), buffers);
    rte_mempool_free(pool);
  }
  SentFrames& make(const SendAbilities& abilities) {
    sent.emplace(pool, abilities, 8);
    const MutableBytes region(memory);
    sent->set_regions({&region, 1});
    return *sent;
  }
  std::vector<std::uint32_t> finished() {
    std::array<std::uint32_t, 8> holds;
    const std::size_t count = sent->take_finished(holds);
    return {holds.begin(), holds.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  rte_mempool* pool = nullptr;
  std::vector<std::byte> memory = std::vector<std::byte>(8192);
  std::optional<SentFrames> sent;
};

TxFrame frame_of(std::vector<Bytes> slices, std::uint32_t hold) {
  TxFrame frame{};
  frame.link_bytes = 14;
  frame.network_bytes = 20;
  frame.header_bytes = 14 + 20 + 32;
  for (std::size_t i = 0; i < frame.header_bytes; ++i) frame.header[i] = static_cast<std::byte>(i);
  for (const Bytes slice : slices) {
    frame.slices[frame.slice_count++] = slice;
    frame.payload_bytes += static_cast<std::uint32_t>(slice.size());
  }
  frame.hold = hold;
  return frame;
}

std::vector<std::byte> bytes_of(const rte_mbuf* buffer) {
  std::vector<std::byte> all;
  for (const rte_mbuf* part = buffer; part != nullptr; part = part->next) {
    const auto* data = rte_pktmbuf_mtod(part, const std::byte*);
    all.insert(all.end(), data, data + part->data_len);
  }
  return all;
}

std::vector<std::byte> bytes_of(const TxFrame& frame) {
  std::vector<std::byte> all(frame.header.begin(), frame.header.begin() + frame.header_bytes);
  for (const Bytes slice : frame.payload()) all.insert(all.end(), slice.begin(), slice.end());
  return all;
}

TEST(SentFrames, LongPiecesAreReferencedAndHeldUntilTheDeviceLetsGo) {
  Place place;
  SentFrames& sent = place.make({.chains = true});
  const Bytes memory(place.memory);
  const TxFrame frame = frame_of({memory.subspan(0, 1000), memory.subspan(3000, 448)}, 5);
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(bytes_of(chain), bytes_of(frame));
  EXPECT_EQ(chain->pkt_len, frame.size());
  EXPECT_EQ(chain->nb_segs, 3);
  EXPECT_EQ(static_cast<void*>(rte_pktmbuf_mtod(chain->next, std::byte*)), place.memory.data());
  EXPECT_EQ(sent.held_count(), 1U);
  EXPECT_TRUE(place.finished().empty());
  rte_pktmbuf_free(chain);
  EXPECT_EQ(place.finished(), std::vector<std::uint32_t>{5});
  EXPECT_EQ(sent.held_count(), 0U);
}

TEST(SentFrames, ShortPiecesAndForeignMemoryAreCopiedAndDoneAtOnce) {
  Place place;
  SentFrames& sent = place.make({.chains = true});
  const std::vector<std::byte> foreign(600, std::byte{0x33});
  const TxFrame frame = frame_of({Bytes(place.memory).first(100), foreign}, 1);
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(chain->nb_segs, 1);
  EXPECT_EQ(bytes_of(chain), bytes_of(frame));
  EXPECT_EQ(place.finished(), std::vector<std::uint32_t>{1});
  rte_pktmbuf_free(chain);
  EXPECT_TRUE(place.finished().empty());
}

TEST(SentFrames, ADeviceWithoutChainsGetsOneBuffer) {
  Place place;
  SentFrames& sent = place.make({.chains = false});
  const TxFrame frame = frame_of({Bytes(place.memory).first(1448)}, 2);
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(chain->nb_segs, 1);
  EXPECT_EQ(bytes_of(chain), bytes_of(frame));
  EXPECT_EQ(place.finished(), std::vector<std::uint32_t>{2});
  rte_pktmbuf_free(chain);
}

// A piece is copied after a referenced one: in a buffer of its own, in order.
TEST(SentFrames, MixedPiecesStayInOrder) {
  Place place;
  SentFrames& sent = place.make({.chains = true});
  const Bytes memory(place.memory);
  const TxFrame frame = frame_of({memory.subspan(10, 20), memory.subspan(500, 700),
                                  memory.subspan(40, 30), memory.subspan(80, 25)}, 3);
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(chain->nb_segs, 3);
  EXPECT_EQ(bytes_of(chain), bytes_of(frame));
  rte_pktmbuf_free(chain);
  EXPECT_EQ(place.finished(), std::vector<std::uint32_t>{3});
}

// More pieces than the device takes in one frame: the last are copied.
TEST(SentFrames, TheNumberOfPiecesIsTheDevices) {
  Place place;
  SentFrames& sent = place.make({.chains = true, .pieces_max = 4});
  std::vector<Bytes> slices;
  for (std::size_t i = 0; i < 5; ++i) slices.push_back(Bytes(place.memory).subspan(i * 300, 280));
  const TxFrame frame = frame_of(slices, 4);
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_LE(chain->nb_segs, 4);
  EXPECT_EQ(bytes_of(chain), bytes_of(frame));
  rte_pktmbuf_free(chain);
  EXPECT_EQ(place.finished(), std::vector<std::uint32_t>{4});
}

TEST(SentFrames, WithoutBuffersNothingIsTakenAndNothingIsFinished) {
  Place place;
  SentFrames& sent = place.make({.chains = true});
  const TxFrame frame = frame_of({Bytes(place.memory).first(1000)}, 6);
  std::vector<rte_mbuf*> chains;
  while (rte_mbuf* chain = sent.make(frame)) chains.push_back(chain);
  EXPECT_EQ(chains.size(), 8U);   // holds
  EXPECT_TRUE(place.finished().empty());
  // Buffers are short in the middle of a frame.
  std::vector<rte_mbuf*> taken;
  while (rte_mempool_avail_count(place.pool) > 1) taken.push_back(rte_pktmbuf_alloc(place.pool));
  rte_pktmbuf_free(chains.back());
  chains.pop_back();
  taken.push_back(rte_pktmbuf_alloc(place.pool));
  taken.push_back(rte_pktmbuf_alloc(place.pool));
  EXPECT_EQ(place.finished(), std::vector<std::uint32_t>{6});
  EXPECT_EQ(sent.make(frame), nullptr);
  EXPECT_TRUE(place.finished().empty());
  for (rte_mbuf* chain : chains) rte_pktmbuf_free(chain);
  for (rte_mbuf* buffer : taken) rte_pktmbuf_free(buffer);
  EXPECT_EQ(place.finished().size(), 7U);
  EXPECT_EQ(sent.held_count(), 0U);
}

TEST(SentFrames, ChecksumsOfTcpAreTheDevicesWhenItOffersThem) {
  Place place;
  SentFrames& sent = place.make({.chains = true, .checksums = true});
  TxFrame frame = frame_of({Bytes(place.memory).first(500)}, 7);
  frame.checksum_pos = 16;
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(chain->ol_flags & RTE_MBUF_F_TX_L4_MASK, RTE_MBUF_F_TX_TCP_CKSUM);
  EXPECT_NE(chain->ol_flags & RTE_MBUF_F_TX_IPV4, 0U);
  EXPECT_EQ(chain->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0U);
  EXPECT_EQ(chain->l2_len, 14);
  EXPECT_EQ(chain->l3_len, 20);
  EXPECT_EQ(chain->l4_len, 32);
  EXPECT_EQ(bytes_of(chain), bytes_of(frame));
  rte_pktmbuf_free(chain);
  frame.checksum_pos = 2;   // ICMP's: done already
  chain = sent.make(frame);
  EXPECT_EQ(chain->ol_flags & RTE_MBUF_F_TX_L4_MASK, 0U);
  rte_pktmbuf_free(chain);
}

// The device adds the length of each piece itself (DPDK, "TSO"); IP's checksum it makes anew.
TEST(SentFrames, ALongFrameIsPreparedForCutting) {
  Place place;
  SentFrames& sent = place.make({.chains = true, .checksums = true, .ip_checksums = true});
  TxFrame frame = frame_of({Bytes(place.memory).first(4000)}, 0);
  frame.checksum_pos = 16;
  frame.segment_bytes = 1448;
  constexpr std::uint32_t without_length = 0x1234;
  const std::uint32_t sum = without_length + 32 + 4000;
  frame.header[14 + 20 + 16] = static_cast<std::byte>(sum >> 8);
  frame.header[14 + 20 + 17] = static_cast<std::byte>(sum & 255);
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_NE(chain->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0U);
  EXPECT_NE(chain->ol_flags & RTE_MBUF_F_TX_IP_CKSUM, 0U);
  EXPECT_EQ(chain->tso_segsz, 1448);
  const std::vector<std::byte> bytes = bytes_of(chain);
  EXPECT_EQ(bytes[14 + 10], std::byte{0});
  EXPECT_EQ(bytes[14 + 11], std::byte{0});
  EXPECT_EQ(bytes[14 + 20 + 16], std::byte{0x12});
  EXPECT_EQ(bytes[14 + 20 + 17], std::byte{0x34});
  rte_pktmbuf_free(chain);
}

TEST(SentFrames, OfADeviceThatKeepsFramesEachIsCopied) {
  Place place;
  SentFrames& sent = place.make({.chains = true});
  sent.copy_always();
  rte_mbuf* chain = sent.make(frame_of({Bytes(place.memory).first(4000)}, 7));
  ASSERT_NE(chain, nullptr);
  std::array<std::uint32_t, 4> holds;
  EXPECT_EQ(sent.take_finished(holds), 1U);   // though the device has the frame
  EXPECT_EQ(holds[0], 7U);
  EXPECT_EQ(sent.held_count(), 0U);
  EXPECT_EQ(bytes_of(chain).back(), place.memory[3999]);
  rte_pktmbuf_free(chain);
}

// Virtio has no word for it: at its other end the frame is whole, and so is its IP checksum.
TEST(SentFrames, ADeviceThatCutsWithoutIpChecksumsGetsTheStacks) {
  Place place;
  SentFrames& sent = place.make({.chains = true, .checksums = true});
  TxFrame frame = frame_of({Bytes(place.memory).first(4000)}, 0);
  frame.checksum_pos = 16;
  frame.segment_bytes = 1448;
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_NE(chain->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0U);
  EXPECT_EQ(chain->ol_flags & RTE_MBUF_F_TX_IP_CKSUM, 0U);
  EXPECT_EQ(bytes_of(chain)[14 + 10], frame.header[14 + 10]);
  EXPECT_EQ(bytes_of(chain)[14 + 11], frame.header[14 + 11]);
  rte_pktmbuf_free(chain);
}

TEST(SentFrames, AFrameOfIpv6IsToldAsSuchAndHasNoChecksumOfIp) {
  Place place;
  SentFrames& sent = place.make({.chains = true, .checksums = true, .ip_checksums = true});
  TxFrame frame = frame_of({Bytes(place.memory).first(4000)}, 0);
  frame.network_bytes = 40;
  frame.header_bytes = 14 + 40 + 32;
  for (std::size_t i = 0; i < frame.header_bytes; ++i) frame.header[i] = static_cast<std::byte>(i);
  frame.header[14] = std::byte{0x60};
  frame.checksum_pos = 16;
  frame.segment_bytes = 1428;
  rte_mbuf* chain = sent.make(frame);
  ASSERT_NE(chain, nullptr);
  EXPECT_NE(chain->ol_flags & RTE_MBUF_F_TX_IPV6, 0U);
  EXPECT_EQ(chain->ol_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM), 0U);
  EXPECT_EQ(chain->l3_len, 40);
  EXPECT_EQ(bytes_of(chain)[14 + 10], std::byte{14 + 10}) << "a piece of an address";
  rte_pktmbuf_free(chain);
}

}  // namespace
}  // namespace tailrace::io::dpdk
