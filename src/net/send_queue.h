// What applications gave to be sent, as references. A send is done when all its bytes have been
// acknowledged and no frame that points into it is still with the device: a retransmission may be
// in the device's queue when the acknowledgement comes, and its memory must not change then.
//
//   connection: head -> [slice] -> [slice] -> [slice] -> [slice] <- tail
//                        acked in part            ^ unsent
//
// One SendMemory per core; a SendQueue per connection.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/frame.h"
#include "net/pool.h"

namespace tailrace::net {

// A place in the stream of a connection.
struct StreamPos {
  std::uint32_t slice = none;
  std::uint32_t offset = 0;
};

struct SendQueue {
  std::uint32_t head = none;         // slices
  std::uint32_t tail = none;
  std::uint32_t head_acked = 0;      // bytes of the first slice that were acknowledged
  std::uint32_t last_send = none;    // the send of the tail slice
  std::uint32_t unreported = 0;      // sends whose `sent` was not taken
  StreamPos unsent;
  std::uint64_t unsent_bytes = 0;
};

class SendMemory {
 public:
  SendMemory(std::uint32_t sends, std::uint32_t slices, std::uint32_t holds)
      : sends_(sends), slices_(slices), holds_(holds) {}

  // All of it, or nothing: false when there is no room. `owner` comes back with the finished send.
  bool push(SendQueue& queue, std::uint32_t owner, std::span<const Bytes> bytes,
            std::uint64_t token);
  // A send for which nothing will go out; false when there is no room.
  bool push_finished(std::uint32_t owner, std::uint64_t token);
  // The next `bytes` were acknowledged.
  void acknowledge(SendQueue& queue, std::uint64_t bytes);
  // Nothing more goes out: all sends are done as soon as the device is.
  void drop_all(SendQueue& queue);

  // References the bytes at `from` in the frame, at most `bytes` and as many slices as it takes,
  // and gives it a hold on their sends. Returns how many; 0 when there is no hold left. `after`:
  // the place behind them.
  std::uint32_t gather(StreamPos from, std::uint32_t bytes, TxFrame& frame, StreamPos& after);
  // The place `bytes` behind `from`.
  StreamPos advance(StreamPos from, std::uint64_t bytes) const;
  // The device has finished with a frame.
  void release(std::uint32_t hold);

  struct Finished {
    std::uint64_t token = 0;
    std::uint32_t owner = none;
  };
  bool has_finished() const { return finished_head_ != none; }
  Finished take_finished();

  std::uint32_t free_holds() const { return holds_.free_count(); }
  std::uint32_t sends_used() const { return sends_.used_count(); }
  std::uint32_t slices_used() const { return slices_.used_count(); }

 private:
  struct Slice {
    const std::byte* at = nullptr;
    std::uint32_t size = 0;
    std::uint32_t next = none;
    std::uint32_t send = none;
  };
  struct Send {
    std::uint64_t token = 0;
    std::uint32_t next = none;          // of the same connection
    std::uint32_t finished_next = none;
    std::uint32_t owner = none;
    std::uint32_t slices_left = 0;
    std::uint32_t holds = 0;
  };
  struct Hold {
    std::uint32_t next = none;
    std::uint32_t first_send = none;
    std::uint32_t last_send = none;
  };

  void drop_slice(std::uint32_t slice);
  void finish_if_done(std::uint32_t send);

  Pool<Send> sends_;
  Pool<Slice> slices_;
  Pool<Hold> holds_;
  std::uint32_t finished_head_ = none;
  std::uint32_t finished_tail_ = none;
};

}  // namespace tailrace::net
