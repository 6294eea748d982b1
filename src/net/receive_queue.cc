#include "net/receive_queue.h"

namespace tailrace::net {

void ReceiveMemory::drop(std::uint32_t piece) {
  release(pieces_[piece].token);
  pieces_.give(piece);
}

bool ReceiveMemory::append(ReceiveQueue& queue, Bytes bytes, std::uint64_t token) {
  const std::uint32_t index = pieces_.take();
  if (index == none) return false;
  // Each field by itself: a whole piece would be made elsewhere and copied.
  Piece& piece = pieces_[index];
  piece.at = bytes.data();
  piece.token = token;
  piece.seq = {};
  piece.size = static_cast<std::uint32_t>(bytes.size());
  piece.next = none;
  if (queue.tail != none) pieces_[queue.tail].next = index;
  if (queue.head == none) queue.head = index;
  queue.tail = index;
  ++queue.count;
  return true;
}

bool ReceiveMemory::insert_early(ReceiveQueue& queue, Seq seq, Bytes bytes, std::uint64_t token,
                                 std::uint32_t early_max) {
  TR_ASSERT(!bytes.empty());
  Seq end = seq + static_cast<std::uint32_t>(bytes.size());
  // `before`: the last piece that begins before us.
  std::uint32_t before = none;
  std::uint32_t after = queue.early;
  if (queue.early_hint != none && pieces_[queue.early_hint].seq < seq) {
    before = queue.early_hint;
    after = pieces_[before].next;
  }
  while (after != none && pieces_[after].seq < seq) {
    before = after;
    after = pieces_[after].next;
  }
  if (before != none && pieces_[before].end() > seq) {
    if (pieces_[before].end() >= end) return false;   // All known.
    bytes = bytes.subspan(pieces_[before].end() - seq);
    seq = pieces_[before].end();
  }
  while (after != none && pieces_[after].end() <= end) {
    if (pieces_[after].seq == seq && pieces_[after].end() == end) return false;   // A double.
    const std::uint32_t covered = after;
    after = pieces_[after].next;
    if (queue.early_hint == covered) queue.early_hint = none;
    drop(covered);
    --queue.early_count;
    (before == none ? queue.early : pieces_[before].next) = after;
  }
  if (after != none && pieces_[after].seq < end) {
    if (pieces_[after].seq <= seq) return false;
    end = pieces_[after].seq;
    bytes = bytes.first(end - seq);
  }
  if (queue.early_count >= early_max) return false;
  const std::uint32_t index = pieces_.take();
  if (index == none) return false;
  pieces_[index] = {bytes.data(), token, seq, static_cast<std::uint32_t>(bytes.size()), after};
  (before == none ? queue.early : pieces_[before].next) = index;
  queue.early_hint = index;
  ++queue.early_count;
  return true;
}

Seq ReceiveMemory::join(ReceiveQueue& queue, Seq next) {
  while (queue.early != none && pieces_[queue.early].seq <= next) {
    const std::uint32_t index = queue.early;
    Piece& piece = pieces_[index];
    queue.early = piece.next;
    if (queue.early_hint == index) queue.early_hint = none;
    --queue.early_count;
    if (piece.end() <= next) {
      drop(index);
      continue;
    }
    const std::uint32_t known = next - piece.seq;
    piece.at += known;
    piece.size -= known;
    piece.next = none;
    next = next + piece.size;
    if (queue.tail != none) pieces_[queue.tail].next = index;
    if (queue.head == none) queue.head = index;
    queue.tail = index;
    ++queue.count;
  }
  return next;
}

Piece ReceiveMemory::pop(ReceiveQueue& queue) {
  const std::uint32_t index = queue.head;
  const Piece piece = pieces_[index];
  queue.head = piece.next;
  if (queue.head == none) queue.tail = none;
  --queue.count;
  pieces_.give(index);
  return piece;
}

void ReceiveMemory::drop_early(ReceiveQueue& queue) {
  while (queue.early != none) {
    const std::uint32_t index = queue.early;
    queue.early = pieces_[index].next;
    drop(index);
  }
  queue.early_count = 0;
  queue.early_hint = none;
}

void ReceiveMemory::drop_all(ReceiveQueue& queue) {
  while (queue.head != none) release(pop(queue).token);
  drop_early(queue);
}

}  // namespace tailrace::net
