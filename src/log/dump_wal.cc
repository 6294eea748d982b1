#include "log/dump_wal.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/aligned.h"
#include "log/checkpoint.h"
#include "log/commit_frame.h"
#include "log/wal_format.h"

namespace tailrace::log {
namespace {

struct FoundFrame {
  std::uint64_t file_pos = 0;
  FrameHeader header;
  bool whole = false;
};

const char* kind_name(EntryKind kind) {
  switch (kind) {
    case EntryKind::batch: return "batch";
    case EntryKind::tail: return "tail";
    case EntryKind::log_start: return "log start";
    case EntryKind::truncate: return "truncate";
    case EntryKind::remove: return "remove";
  }
  return "unknown";
}

void dump_entries(Bytes frame, const FrameHeader& header, const DumpSink& sink) {
  for (std::uint32_t i = 0; i < header.entry_count; ++i) {
    const Entry entry = frame_entry(frame, header, i);
    sink(fmt::format("                {} {}/{}-{} offset {} to {} epoch {} bytes {}, segment {} "
                     "at {}", kind_name(entry.kind), to_string(entry.key.topic),
                     entry.key.partition, entry.key.incarnation, entry.base_offset,
                     entry.base_offset + entry.last_offset_delta, entry.leader_epoch,
                     entry.payload_bytes, entry.segment_base, entry.segment_pos));
  }
}

// Every frame of this WAL whose header is whole, by place.
std::vector<FoundFrame> find_frames(Bytes bytes, const Uuid& wal) {
  std::vector<FoundFrame> found;
  std::uint64_t pos = disk_block_bytes;
  while (pos + disk_block_bytes <= bytes.size()) {
    const Result<FrameHeader> header = parse_frame_header(bytes.subspan(pos));
    if (!header || header->wal != wal || header->frame_bytes > bytes.size() - pos ||
        header->frame_bytes == 0) {
      pos += disk_block_bytes;
      continue;
    }
    const bool whole = check_frame(bytes.subspan(pos, header->frame_bytes), *header).has_value();
    found.push_back({pos, *header, whole});
    // Behind a torn frame there may be a frame of the lap before, inside what it would have been.
    pos += whole ? header->frame_bytes : disk_block_bytes;
  }
  return found;
}

std::uint64_t dump_frames(const std::vector<FoundFrame>& frames, Bytes bytes, bool with_frames,
                          const DumpSink& sink) {
  std::uint64_t durable_seq = 0;
  for (const FoundFrame& frame : frames) {
    if (frame.whole) durable_seq = std::max(durable_seq, frame.header.durable_seq);
  }
  std::uint64_t problems = 0;
  for (const FoundFrame& frame : frames) {
    const FrameHeader& header = frame.header;
    const bool is_problem = !frame.whole && header.seq <= durable_seq;
    if (is_problem) ++problems;
    if (with_frames || !frame.whole) {
      sink(fmt::format("{:>12} frame {} entries {} payload {} bytes {}{}", frame.file_pos,
                       header.seq, header.entry_count, header.payload_bytes, header.frame_bytes,
                       frame.whole ? ""
                       : is_problem ? " PROBLEM: damaged, and it had been durable"
                                    : " torn: not acknowledged"));
    }
    if (with_frames && frame.whole) {
      dump_entries(bytes.subspan(frame.file_pos, header.frame_bytes), header, sink);
    }
  }
  return problems;
}

// Sequence numbers in the newest unbroken run, as recovery would need them.
void dump_summary(std::vector<FoundFrame> frames, const DumpSink& sink) {
  std::erase_if(frames, [](const FoundFrame& frame) { return !frame.whole; });
  if (frames.empty()) {
    sink("no frame was written yet");
    return;
  }
  std::sort(frames.begin(), frames.end(), [](const FoundFrame& a, const FoundFrame& b) {
    return a.header.seq < b.header.seq;
  });
  std::size_t first = frames.size() - 1;
  while (first > 0 && frames[first - 1].header.seq + 1 == frames[first].header.seq) --first;
  sink(fmt::format("{} whole frames; the newest run is {} to {}, ends at {}", frames.size(),
                   frames[first].header.seq, frames.back().header.seq,
                   frames.back().file_pos + frames.back().header.frame_bytes));
}

}  // namespace

std::uint64_t dump_wal(Bytes bytes, bool with_frames, const DumpSink& sink) {
  const Result<WalFormatBlock> format = parse_wal_format(bytes);
  if (!format) {
    sink(fmt::format("PROBLEM: the format block is {}", to_string(format.error().code)));
    return 1;
  }
  sink(fmt::format("WAL {}, ring of {} bytes", to_string(format->wal), format->ring_bytes));
  std::uint64_t problems = 0;
  if (bytes.size() < disk_block_bytes + format->ring_bytes) {
    sink(fmt::format("PROBLEM: the file has only {} bytes", bytes.size()));
    ++problems;
  }
  const std::vector<FoundFrame> frames = find_frames(bytes, format->wal);
  problems += dump_frames(frames, bytes, with_frames, sink);
  dump_summary(frames, sink);
  return problems;
}

std::uint64_t dump_checkpoint(Bytes bytes, const DumpSink& sink) {
  const Result<Checkpoint> checkpoint = decode_checkpoint(bytes);
  if (!checkpoint) {
    sink(fmt::format("PROBLEM: the checkpoint is {}; the other one of the pair counts",
                     to_string(checkpoint.error().code)));
    return 1;
  }
  sink(fmt::format("checkpoint {} of WAL {}: replay from frame {} at {}, {} partitions",
                   checkpoint->number, to_string(checkpoint->wal), checkpoint->replay_from.seq,
                   checkpoint->replay_from.file_pos, checkpoint->partitions.size()));
  for (const PartitionCheckpoint& partition : checkpoint->partitions) {
    std::uint64_t size_bytes = 0;
    for (const SegmentInfo& segment : partition.segments) size_bytes += segment.size_bytes;
    std::string line = fmt::format(
        "  {}/{}-{} offsets {} to {}, {} segments of {} bytes, {} epochs, {} producers",
        to_string(partition.key.topic), partition.key.partition, partition.key.incarnation,
        partition.log_start, partition.end_offset, partition.segments.size(), size_bytes,
        partition.epochs.size(), partition.producers.size());
    const auto open = std::count_if(
        partition.producers.begin(), partition.producers.end(),
        [](const ProducerState& producer) { return producer.transaction_start >= 0; });
    if (open > 0) line += fmt::format(", {} open transactions", open);
    if (!partition.aborted.empty()) line += fmt::format(", {} aborted", partition.aborted.size());
    sink(line);
  }
  return 0;
}

}  // namespace tailrace::log
