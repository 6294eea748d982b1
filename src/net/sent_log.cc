#include "net/sent_log.h"

namespace tailrace::net {

void SentMemory::link_newest(SentLog& log, std::uint32_t index) {
  SentRecord& record = records_[index];
  record.newer = none;
  record.older = log.newest;
  if (log.newest != none) records_[log.newest].newer = index;
  log.newest = index;
  if (log.oldest == none) log.oldest = index;
  record.in_time = true;
}

// For the few that come back: nearly always they are among the oldest.
void SentMemory::link_by_time(SentLog& log, std::uint32_t index) {
  SentRecord& record = records_[index];
  std::uint32_t after = log.oldest;
  while (after != none && records_[after].sent_at < record.sent_at) after = records_[after].newer;
  if (after == none) return link_newest(log, index);
  record.newer = after;
  record.older = records_[after].older;
  (record.older == none ? log.oldest : records_[record.older].newer) = index;
  records_[after].older = index;
  record.in_time = true;
}

void SentMemory::unlink_time(SentLog& log, std::uint32_t index) {
  SentRecord& record = records_[index];
  if (!record.in_time) return;
  record.in_time = false;
  (record.older == none ? log.oldest : records_[record.older].newer) = record.newer;
  (record.newer == none ? log.newest : records_[record.newer].older) = record.older;
}

std::uint32_t SentMemory::append(SentLog& log, Seq seq, std::uint32_t length, StreamPos at,
                                 bool has_fin, Instant now) {
  const std::uint32_t index = records_.take();
  TR_ASSERT(index != none);
  TR_ASSERT(log.tail == none || records_[log.tail].end() == seq);
  SentRecord& record = records_[index];
  // Each field by itself: a whole record would be made elsewhere and copied.
  record.seq = seq;
  record.length = length;
  record.at.slice = at.slice;
  record.at.offset = at.offset;
  record.sent_at = now;
  record.next = none;
  record.previous = log.tail;
  record.sacked = record.lost = record.resent = false;
  record.ever_resent = record.front_resent = false;
  record.has_fin = has_fin;
  (log.tail == none ? log.head : records_[log.tail].next) = index;
  log.tail = index;
  ++log.count;
  log.bytes += length;
  link_newest(log, index);
  return index;
}

void SentMemory::pop_front(SentLog& log) {
  const std::uint32_t index = log.head;
  const SentRecord record = records_[index];
  unlink_time(log, index);
  log.head = record.next;
  (record.next == none ? log.tail : records_[record.next].previous) = none;
  --log.count;
  log.bytes -= record.length;
  if (record.sacked) {
    log.sacked_bytes -= record.length;
    --log.sacked_count;
  }
  if (record.lost) log.lost_bytes -= record.length;
  if (record.lost && record.resent) log.resent_bytes -= record.length;
  if (log.resend_hint == index) log.resend_hint = log.head;
  if (log.sack_hint == index) log.sack_hint = none;
  records_.give(index);
}

void SentMemory::trim_front(SentLog& log, std::uint32_t bytes, StreamPos at) {
  SentRecord& record = records_[log.head];
  TR_ASSERT(bytes < record.length);
  record.seq += bytes;
  record.length -= bytes;
  record.at = at;
  record.front_resent = false;
  log.bytes -= bytes;
  if (record.sacked) log.sacked_bytes -= bytes;
  if (record.lost) log.lost_bytes -= bytes;
  if (record.lost && record.resent) log.resent_bytes -= bytes;
}

bool SentMemory::split(SentLog& log, std::uint32_t index, std::uint32_t bytes, StreamPos at) {
  const std::uint32_t second = records_.take();
  if (second == none) return false;
  SentRecord& first = records_[index];
  TR_ASSERT(bytes > 0 && bytes < first.length);
  SentRecord& rest = records_[second];
  rest = first;
  rest.seq = first.seq + bytes;
  rest.length = first.length - bytes;
  rest.at = at;
  rest.front_resent = false;
  rest.previous = index;
  first.length = bytes;
  first.has_fin = false;
  first.next = second;
  (rest.next == none ? log.tail : records_[rest.next].previous) = second;
  if (rest.in_time) {
    // Sent at the same time: beside each other.
    rest.older = index;
    first.newer = second;
    (rest.newer == none ? log.newest : records_[rest.newer].older) = second;
  }
  ++log.count;
  if (first.sacked) ++log.sacked_count;
  return true;
}

void SentMemory::mark_sacked(SentLog& log, std::uint32_t index) {
  SentRecord& record = records_[index];
  TR_ASSERT(!record.sacked);
  unmark_lost(log, index);
  unlink_time(log, index);
  record.sacked = true;
  log.sacked_bytes += record.length;
  ++log.sacked_count;
}

void SentMemory::mark_lost(SentLog& log, std::uint32_t index) {
  SentRecord& record = records_[index];
  TR_ASSERT(!record.sacked);
  record.front_resent = false;
  if (record.lost && !record.resent) return;
  if (record.resent) {
    log.resent_bytes -= record.length;   // The retransmission was lost, too.
  } else {
    log.lost_bytes += record.length;
  }
  unlink_time(log, index);
  record.lost = true;
  record.resent = false;
  if (log.resend_hint == none || record.seq < records_[log.resend_hint].seq) {
    log.resend_hint = index;
  }
}

void SentMemory::unmark_lost(SentLog& log, std::uint32_t index) {
  SentRecord& record = records_[index];
  if (!record.lost) return;
  log.lost_bytes -= record.length;
  if (record.resent) log.resent_bytes -= record.length;
  if (!record.in_time) link_by_time(log, index);
  record.lost = false;
  record.resent = false;
}

void SentMemory::forget_sacks(SentLog& log) {
  for (std::uint32_t i = log.head; i != none; i = records_[i].next) {
    if (!records_[i].sacked) continue;
    records_[i].sacked = false;
    link_by_time(log, i);
  }
  log.sacked_bytes = 0;
  log.sacked_count = 0;
}

void SentMemory::mark_resent(SentLog& log, std::uint32_t index, Instant now) {
  SentRecord& record = records_[index];
  if (record.lost && !record.resent) {
    log.resent_bytes += record.length;
    record.resent = true;
  }
  record.ever_resent = true;
  record.front_resent = false;
  record.sent_at = now;
  unlink_time(log, index);
  link_newest(log, index);
}

std::uint32_t SentMemory::next_to_resend(SentLog& log) {
  if (log.to_resend_bytes() == 0) return none;
  std::uint32_t index = log.resend_hint;
  while (index != none && (!records_[index].lost || records_[index].resent)) {
    index = records_[index].next;
  }
  TR_ASSERT(index != none);
  log.resend_hint = index;
  return index;
}

void SentMemory::drop_all(SentLog& log) {
  while (log.head != none) pop_front(log);
}

bool SentMemory::counts_are_right(const SentLog& log) const {
  std::uint32_t bytes = 0, sacked = 0, lost = 0, resent = 0, count = 0, in_time = 0;
  for (std::uint32_t i = log.head; i != none; i = records_[i].next) {
    const SentRecord& record = records_[i];
    ++count;
    bytes += record.length;
    if (record.sacked) sacked += record.length;
    if (record.lost) lost += record.length;
    if (record.lost && record.resent) resent += record.length;
    if (record.in_time) ++in_time;
    if (record.sacked && record.lost) return false;
    if (record.in_time == (record.sacked || (record.lost && !record.resent))) return false;
  }
  std::uint32_t by_time = 0;
  for (std::uint32_t i = log.oldest; i != none; i = records_[i].newer) {
    ++by_time;
    const std::uint32_t newer = records_[i].newer;
    if (newer != none && records_[newer].sent_at < records_[i].sent_at) return false;
  }
  return count == log.count && by_time == in_time && bytes == log.bytes &&
         sacked == log.sacked_bytes && lost == log.lost_bytes && resent == log.resent_bytes;
}

}  // namespace tailrace::net
