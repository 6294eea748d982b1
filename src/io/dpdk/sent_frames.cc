#include "io/dpdk/sent_frames.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace tailrace::io::dpdk {
namespace {

// Below this, copying costs less than one more buffer and one more descriptor of the device.
constexpr std::size_t copied_bytes_max = 256;
constexpr std::uint8_t tcp_checksum_pos = 16;
constexpr std::size_t ipv4_checksum_pos = 10;

// For segments DPDK wants the pseudo-header's sum without the length, which differs between them.
void take_length_out(std::byte* field, std::uint32_t length) {
  std::uint16_t word = 0;
  std::memcpy(&word, field, sizeof word);
  std::uint32_t sum = rte_be_to_cpu_16(word);
  sum += ~((length & 0xffff) + (length >> 16)) & 0xffff;
  sum = (sum & 0xffff) + (sum >> 16);
  word = rte_cpu_to_be_16(static_cast<std::uint16_t>(sum));
  std::memcpy(field, &word, sizeof word);
}

}  // namespace

SentFrames::SentFrames(rte_mempool* pool, const SendAbilities& abilities, std::uint32_t holds_max)
    : pool_(pool), abilities_(abilities), holds_(std::make_unique<Hold[]>(holds_max)) {
  free_.reserve(holds_max);
  finished_.reserve(holds_max);
  for (std::uint32_t i = holds_max; i > 0; --i) {
    Hold& hold = holds_[i - 1];
    hold.owner = this;
    hold.shared.free_cb = on_free;
    hold.shared.fcb_opaque = &hold;
    free_.push_back(i - 1);
  }
}

void SentFrames::set_regions(std::span<const MutableBytes> regions) {
  regions_.assign(regions.begin(), regions.end());
}

void SentFrames::on_free(void*, void* opaque) {
  Hold& hold = *static_cast<Hold*>(opaque);
  hold.owner->finish(hold);
}

void SentFrames::finish(Hold& hold) {
  if (hold.hold != no_hold) finished_.push_back(hold.hold);
  free_.push_back(static_cast<std::uint32_t>(&hold - holds_.get()));
  --held_count_;
}

std::size_t SentFrames::take_finished(std::span<std::uint32_t> holds) {
  const std::size_t count = std::min(holds.size(), finished_.size());
  std::copy_n(finished_.end() - static_cast<std::ptrdiff_t>(count), count, holds.begin());
  finished_.resize(finished_.size() - count);
  return count;
}

rte_mbuf* SentFrames::make(const TxFrame& frame) {
  Chain chain;
  const bool is_whole = add_buffer(chain) &&
                        copy(chain, Bytes(frame.header.data(), frame.header_bytes)) &&
                        add_payload(chain, frame);
  if (!is_whole) {
    drop(chain);
    return nullptr;
  }
  set_offloads(chain, frame);
  if (chain.hold != nullptr) {
    // The reference that kept it while the chain was made.
    chain.hold->hold = frame.hold;
    const std::uint16_t left = rte_mbuf_ext_refcnt_update(&chain.hold->shared, -1);
    TR_ASSERT(left > 0);
  } else if (frame.hold != no_hold) {
    finished_.push_back(frame.hold);
  }
  return chain.head;
}

// Whoever got no frame must not hear that its payload is finished with.
void SentFrames::drop(Chain& chain) {
  if (chain.hold != nullptr) {
    chain.hold->hold = no_hold;
    if (rte_mbuf_ext_refcnt_update(&chain.hold->shared, -1) == 0) finish(*chain.hold);
  }
  rte_pktmbuf_free(chain.head);
}

bool SentFrames::add_payload(Chain& chain, const TxFrame& frame) {
  const bool is_cut = frame.segment_bytes != 0;
  const std::size_t pieces_max = is_cut ? abilities_.long_pieces_max : abilities_.pieces_max;
  for (const Bytes slice : frame.payload()) {
    // The next piece needs a buffer, and what is copied after it another.
    const bool has_room = std::size_t{chain.head->nb_segs} + 2 <= pieces_max;
    const bool done = has_room && is_referable(slice) ? reference(chain, slice)
                                                      : copy(chain, slice);
    if (!done) return false;
  }
  return true;
}

bool SentFrames::is_referable(Bytes bytes) const {
  if (!abilities_.chains || copies_always_ || bytes.size() <= copied_bytes_max) return false;
  return std::any_of(regions_.begin(), regions_.end(), [&](Bytes region) {
    return region.data() <= bytes.data() &&
           bytes.data() + bytes.size() <= region.data() + region.size();
  });
}

bool SentFrames::add_buffer(Chain& chain) {
  rte_mbuf* buffer = rte_pktmbuf_alloc(pool_);
  if (buffer == nullptr) return false;
  if (chain.head == nullptr) {
    chain.head = buffer;
  } else {
    chain.tail->next = buffer;
    ++chain.head->nb_segs;
  }
  chain.tail = buffer;
  return true;
}

bool SentFrames::copy(Chain& chain, Bytes bytes) {
  while (!bytes.empty()) {
    const bool is_own = !RTE_MBUF_HAS_EXTBUF(chain.tail);
    const std::size_t room = is_own ? rte_pktmbuf_tailroom(chain.tail) : 0;
    if (room == 0) {
      if (!add_buffer(chain)) return false;
      continue;
    }
    const std::size_t size = std::min(room, bytes.size());
    std::memcpy(rte_pktmbuf_mtod_offset(chain.tail, std::byte*, chain.tail->data_len),
                bytes.data(), size);
    chain.tail->data_len = static_cast<std::uint16_t>(chain.tail->data_len + size);
    chain.head->pkt_len += static_cast<std::uint32_t>(size);
    bytes = bytes.subspan(size);
  }
  return true;
}

bool SentFrames::reference(Chain& chain, Bytes bytes) {
  if (chain.hold == nullptr) {
    if (free_.empty()) return false;
    chain.hold = &holds_[free_.back()];
    free_.pop_back();
    ++held_count_;
    rte_mbuf_ext_refcnt_set(&chain.hold->shared, 1);
  }
  if (!add_buffer(chain)) return false;
  rte_mbuf_ext_refcnt_update(&chain.hold->shared, 1);
  // DPDK has no buffers that are only read; this one is.
  auto* memory = const_cast<std::byte*>(bytes.data());
  const auto size = static_cast<std::uint16_t>(bytes.size());
  rte_pktmbuf_attach_extbuf(chain.tail, memory, reinterpret_cast<rte_iova_t>(memory), size,
                            &chain.hold->shared);
  chain.tail->data_off = 0;
  chain.tail->data_len = size;
  chain.head->pkt_len += size;
  return true;
}

void SentFrames::set_offloads(const Chain& chain, const TxFrame& frame) {
  if (!abilities_.checksums || frame.checksum_pos != tcp_checksum_pos) return;
  rte_mbuf& head = *chain.head;
  const bool is_v6 = frame.is_ipv6();
  const std::uint32_t headers = frame.link_bytes + frame.network_bytes;
  const std::uint32_t tcp_bytes = frame.header_bytes - headers;
  const bool is_cut = frame.segment_bytes != 0 && frame.payload_bytes > frame.segment_bytes;
  head.tx_offload = rte_mbuf_tx_offload(frame.link_bytes, frame.network_bytes, tcp_bytes,
                                        is_cut ? frame.segment_bytes : 0, 0, 0, 0);
  head.ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | (is_v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
  if (!is_cut) return;
  head.ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
  auto* start = rte_pktmbuf_mtod(&head, std::byte*);
  if (!is_v6 && abilities_.ip_checksums) {
    head.ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
    std::memset(start + frame.link_bytes + ipv4_checksum_pos, 0, 2);
  }
  take_length_out(start + headers + tcp_checksum_pos, tcp_bytes + frame.payload_bytes);
}

}  // namespace tailrace::io::dpdk
