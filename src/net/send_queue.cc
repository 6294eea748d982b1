#include "net/send_queue.h"

#include <algorithm>

namespace tailrace::net {

bool SendMemory::push(SendQueue& queue, std::uint32_t owner, std::span<const Bytes> bytes,
                      std::uint64_t token) {
  const auto used = static_cast<std::uint32_t>(
      std::count_if(bytes.begin(), bytes.end(), [](Bytes slice) { return !slice.empty(); }));
  if (used == 0) return push_finished(owner, token) && ++queue.unreported > 0;
  if (slices_.free_count() < used || sends_.free_count() == 0) return false;
  const std::uint32_t send = sends_.take();
  // Each field by itself, here and below: a whole object would be made elsewhere and copied.
  Send& made = sends_[send];
  made.token = token;
  made.next = made.finished_next = none;
  made.owner = owner;
  made.slices_left = used;
  made.holds = 0;
  // A send all of whose bytes were acknowledged is linked to nothing.
  if (queue.last_send != none) sends_[queue.last_send].next = send;
  queue.last_send = send;
  ++queue.unreported;
  for (const Bytes slice : bytes) {
    if (slice.empty()) continue;
    TR_ASSERT(slice.size() <= UINT32_MAX / 2);
    const std::uint32_t index = slices_.take();
    Slice& kept = slices_[index];
    kept.at = slice.data();
    kept.size = static_cast<std::uint32_t>(slice.size());
    kept.next = none;
    kept.send = send;
    if (queue.tail != none) slices_[queue.tail].next = index;
    if (queue.head == none) queue.head = index;
    if (queue.unsent.slice == none) queue.unsent = {index, 0};
    queue.tail = index;
    queue.unsent_bytes += slice.size();
  }
  return true;
}

bool SendMemory::push_finished(std::uint32_t owner, std::uint64_t token) {
  const std::uint32_t send = sends_.take();
  if (send == none) return false;
  sends_[send] = {.token = token, .owner = owner};
  finish_if_done(send);
  return true;
}

void SendMemory::drop_slice(std::uint32_t slice) {
  const std::uint32_t send = slices_[slice].send;
  slices_.give(slice);
  TR_ASSERT(sends_[send].slices_left > 0);
  --sends_[send].slices_left;
  finish_if_done(send);
}

void SendMemory::acknowledge(SendQueue& queue, std::uint64_t bytes) {
  while (bytes > 0) {
    TR_ASSERT(queue.head != none);
    const Slice slice = slices_[queue.head];
    const std::uint64_t left = slice.size - queue.head_acked;
    if (bytes < left) {
      queue.head_acked += static_cast<std::uint32_t>(bytes);
      return;
    }
    bytes -= left;
    const std::uint32_t gone = queue.head;
    queue.head = slice.next;
    queue.head_acked = 0;
    if (queue.head == none) {
      queue.tail = none;
      queue.last_send = none;
    }
    drop_slice(gone);
  }
}

void SendMemory::drop_all(SendQueue& queue) {
  while (queue.head != none) {
    const std::uint32_t gone = queue.head;
    queue.head = slices_[gone].next;
    drop_slice(gone);
  }
  queue.tail = none;
  queue.last_send = none;
  queue.head_acked = 0;
  queue.unsent = {};
  queue.unsent_bytes = 0;
}

std::uint32_t SendMemory::gather(StreamPos from, std::uint32_t bytes, TxFrame& frame,
                                 StreamPos& after) {
  TR_ASSERT(bytes > 0);
  const std::uint32_t hold = holds_.take();
  if (hold == none) return 0;
  std::uint32_t gathered = 0;
  Hold& held = holds_[hold];
  held.first_send = slices_[from.slice].send;
  while (gathered < bytes && frame.slice_count < frame_slices_max) {
    const Slice& slice = slices_[from.slice];
    const std::uint32_t here = std::min(bytes - gathered, slice.size - from.offset);
    frame.slices[frame.slice_count++] = {slice.at + from.offset, here};
    gathered += here;
    from.offset += here;
    held.last_send = slice.send;
    if (from.offset == slice.size) from = {slice.next, 0};
  }
  for (std::uint32_t send = held.first_send;; send = sends_[send].next) {
    ++sends_[send].holds;
    if (send == held.last_send) break;
  }
  frame.payload_bytes = gathered;
  frame.hold = hold;
  after = from;
  return gathered;
}

StreamPos SendMemory::advance(StreamPos from, std::uint64_t bytes) const {
  while (bytes > 0) {
    const Slice& slice = slices_[from.slice];
    const std::uint64_t here = std::min<std::uint64_t>(bytes, slice.size - from.offset);
    from.offset += static_cast<std::uint32_t>(here);
    bytes -= here;
    if (from.offset == slice.size) from = {slice.next, 0};
  }
  return from;
}

void SendMemory::release(std::uint32_t hold) {
  const Hold held = holds_[hold];
  holds_.give(hold);
  for (std::uint32_t send = held.first_send;;) {
    const std::uint32_t next = sends_[send].next;
    TR_ASSERT(sends_[send].holds > 0);
    --sends_[send].holds;
    finish_if_done(send);
    if (send == held.last_send) break;
    send = next;
  }
}

void SendMemory::finish_if_done(std::uint32_t index) {
  Send& send = sends_[index];
  if (send.slices_left > 0 || send.holds > 0) return;
  send.finished_next = none;
  if (finished_tail_ != none) sends_[finished_tail_].finished_next = index;
  if (finished_head_ == none) finished_head_ = index;
  finished_tail_ = index;
}

SendMemory::Finished SendMemory::take_finished() {
  TR_ASSERT(finished_head_ != none);
  const std::uint32_t index = finished_head_;
  const Send& send = sends_[index];
  const Finished finished{send.token, send.owner};
  finished_head_ = send.finished_next;
  if (finished_head_ == none) finished_tail_ = none;
  sends_.give(index);
  return finished;
}

}  // namespace tailrace::net
