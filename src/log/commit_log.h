// CommitLog: the write side of a core's WAL. One write and one sync make every batch staged in a
// frame durable (group commit). There is no timer: a frame is sealed when the one before it is
// durable, or when it is full; up to frames_in_flight_max are on their way at a time, and they
// become durable in sequence whatever order the disk completes them in.
//
//   staging --step: sealed--> writing --write done--> (syncing --sync done-->) durable
//
// The file is a ring behind one 4 KiB format block, zero-filled at format (log/wal_format.h). A
// frame never straddles the end: the next one starts at the front again. Space is given back by
// trim() alone.
#pragma once

#include <cstdint>

#include "base/bounded_vector.h"
#include "base/ring.h"
#include "base/time.h"
#include "log/chunk_cache.h"
#include "log/commit_frame.h"
#include "log/limits.h"
#include "log/op_queue.h"

namespace tailrace::log {

// A place in the WAL between two frames: replay starts at the frame `seq`, which lies at file_pos
// (or, if it did not fit there, at the front of the ring).
struct WalMark {
  std::uint64_t seq = 1;
  std::uint64_t file_pos = disk_block_bytes;
  std::uint32_t previous_crc = 0;
  friend bool operator==(const WalMark&, const WalMark&) = default;
};

class CommitLog {
 public:
  // `cache` and `queue` outlive the object.
  CommitLog(const Limits& limits, ChunkCache& cache, OpQueue& queue);

  // Begins to write: `file` is open for O_DIRECT writes; frames in [kept_from, next) stay until
  // trimmed. Right after format both are WalMark{}. `life`: see FrameHeader.
  void start(FileId file, const Uuid& wal, std::uint16_t life, const WalMark& kept_from,
             const WalMark& next);

  // Staging. begin() opens an entry in the open frame; the caller fills `payload` and then calls
  // finish() or abandon(), nothing in between. Errors of begin: full (no chunk, no space in the
  // ring or too many frames under way: normal under load); fenced after a disk error.
  struct Draft {
    MutableBytes payload;
    ChunkId chunk;
    std::uint32_t chunk_pos = 0;  // of the payload's first byte in the chunk
  };
  Result<Draft> begin(std::size_t payload_bytes);
  // payload_pos and payload_bytes of `entry` are filled in here. Returns the seq of the frame:
  // the entry is durable once durable_seq() reaches it. The chunk counts payload_bytes dirty
  // (batch and tail entries only).
  std::uint64_t finish(Entry entry);
  void abandon();

  // Seals the open frame if it is its time. Call once per turn, after staging.
  void step();
  // A completion with Asker::commit_log.
  void on_disk_done(const DiskDone& done);

  std::uint64_t durable_seq() const;  // every frame up to this one is durable
  std::uint64_t staged_seq() const;   // the newest frame with an entry; == durable_seq(): all is
  WalMark durable_mark() const;       // right behind frame durable_seq()
  // Seals the open frame; the mark right behind everything staged. Errors: full (too many frames
  // under way: try again later); fenced.
  Result<WalMark> cut();
  std::uint64_t bytes_since(const WalMark& mark) const;  // ring bytes from mark to the write end
  std::uint64_t free_bytes() const;   // of the ring

  // Frames before `mark` are needed no more.
  void trim(const WalMark& mark);

  // A write or sync failed, or was short: nothing is ever acknowledged again. Never retried.
  bool failed() const;
  // No frame is open or under way.
  bool idle() const;

  struct Counters {
    std::uint64_t frames = 0;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;          // with padding
    std::uint64_t payload_bytes = 0;
    std::uint64_t syncs = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  //   writing --write done--> written --sync started--> syncing --sync done--> safe
  //      |________________ durable_writes: write done ______________________|
  enum class FrameState : std::uint8_t { writing, written, syncing, safe };
  struct Frame {
    std::uint64_t seq = 0;
    FrameState state = FrameState::writing;
    ChunkId chunk;
    std::uint32_t frame_bytes = 0;
    std::uint32_t header_crc = 0;
    std::uint64_t end_pos = 0;  // log position right behind it
  };

  // Log positions count ring bytes since start and never go back; modulo the ring's size they are
  // places in it. They make "behind" and "before" plain comparisons.
  std::uint64_t file_pos_of(std::uint64_t log_pos) const;
  std::uint64_t log_pos_of(const WalMark& mark) const;
  std::uint64_t placed(std::uint64_t frame_bytes) const;  // log position a frame would start at
  bool ring_has_room(std::uint64_t frame_bytes) const;
  bool frame_has_room(std::size_t payload_bytes) const;
  bool chunk_has_room(std::uint64_t frame_bytes) const;
  std::uint64_t open_frame_bytes() const;  // 0 when it has no entry
  bool open_chunk();
  void seal();
  void on_write_done(std::uint64_t seq, std::int64_t result);
  void on_sync_done(std::int64_t result);
  void start_sync();
  void advance_durable();
  void drop_finished();
  void on_failure(const char* what, std::int64_t result, std::uint64_t seq);

  const Limits limits_;
  ChunkCache& cache_;
  OpQueue& queue_;
  FileId file_ = no_file;
  Uuid wal_;
  std::uint16_t life_ = 0;

  // The frame under construction lies at chunk_pos_ of chunk_. It is open once it has an entry.
  ChunkId chunk_;
  std::uint32_t chunk_pos_ = 0;
  std::uint32_t payload_bytes_ = 0;
  BoundedVector<Entry> entries_;
  bool drafting_ = false;
  std::uint32_t draft_bytes_ = 0;

  Ring<Frame> in_flight_;  // sealed and not durable, by seq
  bool sync_in_flight_ = false;
  bool failed_ = false;
  std::uint64_t next_seq_ = 1;         // of the frame under construction
  std::uint32_t previous_crc_ = 0;     // of frame next_seq_ - 1
  std::uint64_t write_pos_ = 0;        // log position behind frame next_seq_ - 1
  WalMark durable_;
  std::uint64_t kept_seq_ = 1;
  std::uint64_t kept_pos_ = 0;         // log position of the trim mark
  Counters counters_;
};

}  // namespace tailrace::log
