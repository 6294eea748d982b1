// SentFrames: frames of ours as DPDK's buffers (mbufs). Headers and short pieces are copied; longer
// pieces of payload are referenced where they lie, when the device takes a frame in pieces, and
// their hold is finished when the device has let go of the last.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/frame.h"

namespace tailrace::io::dpdk {

struct SendAbilities {
  bool chains = false;          // a frame may be several buffers
  bool checksums = false;       // completes those of TCP
  bool ip_checksums = false;    // ... and IP's, of the pieces that it cuts
  std::uint16_t pieces_max = 8;        // of a frame of one segment
  std::uint16_t long_pieces_max = 8;   // of one that the device cuts
};

class SentFrames {
 public:
  // `pool`: where buffers are from; each has room for a whole frame of one segment. At most
  // `holds_max` frames are referenced at a time.
  SentFrames(rte_mempool* pool, const SendAbilities& abilities, std::uint32_t holds_max);
  SentFrames(const SentFrames&) = delete;
  SentFrames& operator=(const SentFrames&) = delete;

  // Payload in these may be referenced; all other is copied.
  void set_regions(std::span<const MutableBytes> regions);
  // All is copied, for a device that keeps what it has sent until it has more to send: the memory
  // of an answer would come back with the next, and the next may be waiting for that memory.
  void copy_always() { copies_always_ = true; }

  // A chain that is the caller's, or null: no buffers are left.
  rte_mbuf* make(const TxFrame& frame);

  std::size_t take_finished(std::span<std::uint32_t> holds);
  // Holds that the device still has.
  std::uint32_t held_count() const { return held_count_; }

 private:
  struct Hold {
    rte_mbuf_ext_shared_info shared{};
    SentFrames* owner = nullptr;
    std::uint32_t hold = no_hold;
  };
  // The end of a chain that is being made.
  struct Chain {
    rte_mbuf* head = nullptr;
    rte_mbuf* tail = nullptr;
    Hold* hold = nullptr;
  };

  static void on_free(void* memory, void* opaque);
  void finish(Hold& hold);
  bool add_buffer(Chain& chain);
  bool copy(Chain& chain, Bytes bytes);
  bool reference(Chain& chain, Bytes bytes);
  bool is_referable(Bytes bytes) const;
  bool add_payload(Chain& chain, const TxFrame& frame);
  void set_offloads(const Chain& chain, const TxFrame& frame);
  void drop(Chain& chain);

  rte_mempool* pool_;
  const SendAbilities abilities_;
  std::vector<Bytes> regions_;
  bool copies_always_ = false;
  std::unique_ptr<Hold[]> holds_;
  std::vector<std::uint32_t> free_;        // of holds_
  std::vector<std::uint32_t> finished_;    // holds not yet taken
  std::uint32_t held_count_ = 0;
};

}  // namespace tailrace::io::dpdk
