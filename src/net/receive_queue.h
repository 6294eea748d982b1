// What a connection received and the application has not taken: frames the device lent us, never
// copied. In order: a queue. Out of order: a list sorted by sequence number, without overlaps.
//
// One frame gives at most one piece. A segment that overlaps its neighbours is trimmed at either
// end; one that covers whole pieces takes their place. So whatever a peer sends, the list is no
// longer than its segments, and a limit of pieces is a limit of frames held (CVE-2018-5390).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "net/pool.h"
#include "net/seq.h"

namespace tailrace::net {

struct Piece {
  const std::byte* at = nullptr;
  std::uint64_t token = 0;      // of the frame
  Seq seq;
  std::uint32_t size = 0;
  std::uint32_t next = none;

  Seq end() const { return seq + size; }
  Bytes bytes() const { return {at, size}; }
};

struct ReceiveQueue {
  std::uint32_t head = none;    // in order
  std::uint32_t tail = none;
  std::uint32_t early = none;   // out of order, lowest first
  std::uint32_t early_hint = none;  // the last that was put in: the next most often follows it
  std::uint32_t count = 0;      // pieces in order
  std::uint32_t early_count = 0;
};

// One per core. Also collects the tokens of frames that are no longer needed.
class ReceiveMemory {
 public:
  ReceiveMemory(std::uint32_t pieces, std::uint32_t frames_max)
      : pieces_(pieces), released_(std::make_unique<std::uint64_t[]>(frames_max)),
        released_max_(frames_max) {}

  // Bytes that continue the stream. False: no memory, nothing was done.
  bool append(ReceiveQueue& queue, Bytes bytes, std::uint64_t token);
  // Bytes ahead of the stream, none of them continuing it. Keeps the frame, or (false) not.
  // `early_max`: pieces that may wait.
  bool insert_early(ReceiveQueue& queue, Seq seq, Bytes bytes, std::uint64_t token,
                    std::uint32_t early_max);
  // Moves what now continues the stream into the queue; returns the new end of it.
  Seq join(ReceiveQueue& queue, Seq next);

  const Piece& front(const ReceiveQueue& queue) const { return pieces_[queue.head]; }
  Piece pop(ReceiveQueue& queue);
  // Gives all frames back.
  void drop_all(ReceiveQueue& queue);
  void drop_early(ReceiveQueue& queue);

  void release(std::uint64_t token) {
    TR_ASSERT(released_count_ < released_max_);
    released_[released_count_++] = token;
  }
  // Frames that are the device's again, since the last call.
  std::span<const std::uint64_t> take_released() {
    const std::size_t count = std::exchange(released_count_, 0);
    return {released_.get(), count};
  }
  std::uint32_t pieces_used() const { return pieces_.used_count(); }

 private:
  void drop(std::uint32_t piece);

  Pool<Piece> pieces_;
  std::unique_ptr<std::uint64_t[]> released_;
  std::size_t released_count_ = 0;
  std::size_t released_max_;
};

}  // namespace tailrace::net
