// What was sent and is not yet acknowledged: one record per segment (or super-segment that the
// device cuts), in two orders: by sequence number, and, while it is under way, by the time it was
// last sent, which is how RACK looks at it (RFC 8985).
//
//   flags of a record: sacked            the peer has it
//                      lost              we think that the network dropped it
//                      lost, resent      ... and it is under way again
//
//   pipe = all - sacked - lost + resent         (RFC 6675, in bytes)
#pragma once

#include <cstdint>

#include "base/time.h"
#include "net/pool.h"
#include "net/send_queue.h"
#include "net/seq.h"

namespace tailrace::net {

struct SentRecord {
  Seq seq;
  std::uint32_t length = 0;        // of sequence space: a FIN counts as one
  StreamPos at;                    // its first byte
  Instant sent_at{};
  std::uint32_t next = none;       // by sequence number
  std::uint32_t previous = none;
  std::uint32_t newer = none;      // by time
  std::uint32_t older = none;
  bool sacked = false;
  bool lost = false;
  bool resent = false;             // since it was found lost
  bool ever_resent = false;
  bool has_fin = false;            // its last number is the FIN's
  bool front_resent = false;       // a copy of its beginning went: no memory to cut it in two
  bool in_time = false;            // under way, as far as we know: in the order by time

  Seq end() const { return seq + length; }
  std::uint32_t payload() const { return length - (has_fin ? 1 : 0); }
};

struct SentLog {
  std::uint32_t head = none;
  std::uint32_t tail = none;
  std::uint32_t oldest = none;
  std::uint32_t newest = none;
  std::uint32_t count = 0;
  std::uint32_t sacked_count = 0;
  std::uint32_t bytes = 0;
  std::uint32_t sacked_bytes = 0;
  std::uint32_t lost_bytes = 0;
  std::uint32_t resent_bytes = 0;
  std::uint32_t resend_hint = none;   // no record before this one waits to be sent again
  std::uint32_t sack_hint = none;     // where the last SACK block was found

  std::uint32_t pipe() const { return bytes - sacked_bytes - lost_bytes + resent_bytes; }
  std::uint32_t to_resend_bytes() const { return lost_bytes - resent_bytes; }
};

class SentMemory {
 public:
  explicit SentMemory(std::uint32_t records) : records_(records) {}

  SentRecord& operator[](std::uint32_t index) { return records_[index]; }
  const SentRecord& operator[](std::uint32_t index) const { return records_[index]; }
  bool has_room() const { return records_.free_count() > 0; }
  std::uint32_t records_used() const { return records_.used_count(); }

  // At the end, as sent at `now`. The caller has asked has_room().
  std::uint32_t append(SentLog& log, Seq seq, std::uint32_t length, StreamPos at, bool has_fin,
                       Instant now);
  // The first record is acknowledged.
  void pop_front(SentLog& log);
  // ... in part: its first `bytes`.
  void trim_front(SentLog& log, std::uint32_t bytes, StreamPos at);
  // Cuts a record in two, `bytes` in the first; `at`: where the second begins. False: no memory.
  bool split(SentLog& log, std::uint32_t index, std::uint32_t bytes, StreamPos at);
  void mark_sacked(SentLog& log, std::uint32_t index);
  void mark_lost(SentLog& log, std::uint32_t index);
  // It was not lost after all.
  void unmark_lost(SentLog& log, std::uint32_t index);
  // A peer may throw away what it had only reported (RFC 2018, 8).
  void forget_sacks(SentLog& log);
  void mark_resent(SentLog& log, std::uint32_t index, Instant now);
  // The first lost record that was not sent again, or none.
  std::uint32_t next_to_resend(SentLog& log);
  void drop_all(SentLog& log);
  // Adds everything up anew; for tests.
  bool counts_are_right(const SentLog& log) const;

 private:
  void link_newest(SentLog& log, std::uint32_t index);
  void link_by_time(SentLog& log, std::uint32_t index);
  void unlink_time(SentLog& log, std::uint32_t index);

  Pool<SentRecord> records_;
};

}  // namespace tailrace::net
