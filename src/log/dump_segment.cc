#include "log/dump_segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/crc32c.h"
#include "log/index.h"

namespace tailrace::log {

namespace {

const char* codec_name(std::uint8_t codec_bits) {
  switch (static_cast<record::Codec>(codec_bits)) {
    case record::Codec::none: return "none";
    case record::Codec::gzip: return "gzip";
    case record::Codec::snappy: return "snappy";
    case record::Codec::lz4: return "lz4";
    case record::Codec::zstd: return "zstd";
  }
  return "unknown codec";
}

std::string batch_line(const record::BatchHeader& header, std::uint64_t pos) {
  std::string line = fmt::format(
      "{:>12} offsets {} to {} records {} bytes {} epoch {} {} timestamps {} to {}", pos,
      header.base_offset, header.last_offset(), header.record_count, header.size_bytes(),
      header.leader_epoch, codec_name(header.codec_bits()), header.base_timestamp,
      header.max_timestamp);
  if (header.has_producer()) {
    line += fmt::format(" producer {} epoch {} sequences {} to {}", header.producer_id,
                        header.producer_epoch, header.base_sequence, header.last_sequence());
  }
  if (header.is_log_append_time()) line += " log-append-time";
  if (header.is_transactional()) line += " transactional";
  if (header.is_control()) line += " control";
  if (header.record_count <= header.last_offset_delta) line += " compacted";
  return line;
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

SegmentDump::SegmentDump(std::int64_t base_offset, DumpSink sink, bool compacted)
    : sink_(std::move(sink)),
      offset_next_(base_offset),
      base_offset_(base_offset),
      compacted_(compacted) {}

void SegmentDump::feed(Bytes bytes) {
  while (!bytes.empty()) {
    std::size_t used = bytes.size();
    switch (state_) {
      case State::header:
        used = feed_header(bytes);
        break;
      case State::records:
        used = feed_records(bytes);
        break;
      case State::lost:
        lost_is_zero_ = lost_is_zero_ && all_zero(bytes);
        break;
    }
    pos_ += used;
    bytes = bytes.subspan(used);
    if (state_ == State::header && header_fill_ == header_bytes_.size()) on_header();
    if (state_ == State::records && records_left_ == 0) on_batch();
  }
}

std::size_t SegmentDump::feed_header(Bytes bytes) {
  const std::size_t used = std::min(bytes.size(), header_bytes_.size() - header_fill_);
  std::copy_n(bytes.begin(), used, header_bytes_.data() + header_fill_);
  header_fill_ += used;
  return used;
}

std::size_t SegmentDump::feed_records(Bytes bytes) {
  const std::size_t used = std::min<std::uint64_t>(bytes.size(), records_left_);
  crc_ = crc32c(bytes.first(used), crc_);
  records_left_ -= used;
  return used;
}

std::uint64_t SegmentDump::batch_pos() const { return pos_ - header_bytes_.size(); }

void SegmentDump::on_header() {
  const auto header = record::parse_header(header_bytes_);
  if (!header) {
    get_lost();
    return;
  }
  header_ = *header;
  batch_pos_ = batch_pos();
  records_left_ = header_.size_bytes() - record::header_bytes;
  crc_ = crc32c(Bytes(header_bytes_).subspan(record::crc_start));
  state_ = State::records;
}

// No batch begins here, so nothing tells where the next one would.
void SegmentDump::get_lost() {
  state_ = State::lost;
  lost_pos_ = batch_pos();
  lost_is_zero_ = all_zero(header_bytes_);
}

void SegmentDump::on_batch() {
  const bool good = crc_ == header_.crc;
  const bool overflows = header_.base_offset > INT64_MAX - header_.last_offset_delta;
  if (overflows) header_.last_offset_delta = 0;  // The line below could not name its end.
  sink_(batch_line(header_, batch_pos_));
  if (!good) problem(fmt::format("CRC is {:08x}, the bytes have {:08x}", header_.crc, crc_));
  if (overflows) problem("its offsets are beyond the largest");
  if (batch_count_ == 0 && base_offset_ >= 0 && header_.base_offset != base_offset_ &&
      !(compacted_ && header_.base_offset > base_offset_)) {
    problem(fmt::format("the segment's first offset should be {}", base_offset_));
  } else if (header_.base_offset < offset_next_) {
    problem(fmt::format("the offset goes back: at least {} was due", offset_next_));
  } else if (batch_count_ > 0 && header_.base_offset > offset_next_) {
    sink_(fmt::format("             note: offsets {} to {} are missing", offset_next_,
                      header_.base_offset - 1));
  }
  const std::int64_t offsets = header_.last_offset_delta + std::int64_t{1};
  const bool agree = compacted_ ? header_.record_count <= offsets
                                : header_.record_count == offsets;
  if (!agree && !overflows) problem("record count and offsets do not agree");

  ++batch_count_;
  record_count_ += static_cast<std::uint64_t>(header_.record_count);
  if (problem_count_ == 0) good_bytes_ = pos_;
  if (header_.last_offset() < INT64_MAX) {
    offset_next_ = std::max(offset_next_, header_.last_offset() + 1);
  }
  header_fill_ = 0;
  state_ = State::header;
}

void SegmentDump::finish() {
  switch (state_) {
    case State::header: {
      const Bytes rest = Bytes(header_bytes_).first(header_fill_);
      if (rest.empty()) break;
      batch_pos_ = pos_ - header_fill_;
      if (all_zero(rest)) {
        sink_(fmt::format("{:>12} padding: {} zeros", batch_pos_, rest.size()));
      } else {
        problem(fmt::format("{} bytes at {} are too few for a batch", rest.size(), batch_pos_));
      }
      break;
    }
    case State::records:
      sink_(batch_line(header_, batch_pos_));
      problem(fmt::format("the segment ends {} bytes before this batch does", records_left_));
      break;
    case State::lost:
      batch_pos_ = lost_pos_;
      if (lost_is_zero_) {
        sink_(fmt::format("{:>12} padding: {} zeros", lost_pos_, pos_ - lost_pos_));
      } else {
        problem(fmt::format("no batch begins at {}; {} bytes not looked at", lost_pos_,
                            pos_ - lost_pos_));
      }
      break;
  }
  sink_(fmt::format("{} batches, {} records, {} bytes good from the front, {} problems",
                    batch_count_, record_count_, good_bytes_, problem_count_));
}

void SegmentDump::problem(std::string_view text) {
  ++problem_count_;
  sink_(fmt::format("             PROBLEM: {}", text));
}

std::uint64_t dump_index(Bytes bytes, const DumpSink& sink) {
  const auto decoded = Index::decode(bytes, 1);
  if (!decoded) {
    sink(fmt::format("PROBLEM: this is no index: {}", to_string(decoded.error().code)));
    return 1;
  }
  sink(fmt::format("{} entries for the first {} bytes of the segment",
                   decoded->index.entries().size(), decoded->covered_bytes));
  for (const IndexEntry& entry : decoded->index.entries()) {
    sink(fmt::format("{:>12} offset {} largest timestamp before {}", entry.segment_pos,
                     entry.base_offset, entry.max_timestamp_before));
  }
  return 0;
}

}  // namespace tailrace::log
