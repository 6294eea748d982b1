#include "log/segment_scan.h"

#include <algorithm>

#include "base/aligned.h"

namespace tailrace::log {
namespace {

// A read is not larger unless a batch is.
constexpr std::uint64_t read_bytes = 256U << 10;

}  // namespace

SegmentScan::SegmentScan(const Limits& limits, MutableBytes buffer, std::uint64_t tag,
                         FileTable& files, OpQueue& queue)
    : buffer_(buffer), tag_(tag), files_(files), queue_(queue) {
  // The largest batch fits wherever in its first block it starts.
  TR_ASSERT(buffer.size() >= limits.batch_bytes_max() + disk_block_bytes);
  TR_ASSERT(buffer.size() % disk_block_bytes == 0);
}

void SegmentScan::start(const FileName& path, const SegmentInfo& segment) {
  TR_ASSERT(state_ == State::idle);
  path_ = path;
  segment_ = segment;
  pos_ = 0;
  read_pos_ = 0;
  valid_end_ = 0;
  offset_next_ = segment.base_offset;
  read_all_ = false;
  state_ = State::opening;
  step();
}

void SegmentScan::step() {
  if (state_ != State::opening) return;
  const bool is_first = lease_.slot == UINT32_MAX;
  const Result<FileTable::Lease> lease =
      is_first ? files_.acquire(path_, false) : files_.poll(lease_);
  if (!lease) {
    if (is_first) return;  // Every file is leased: the next step asks again.
    lease_ = {};
    return give_up(lease.error());
  }
  lease_ = *lease;
  if (lease_.file != no_file) look();
}

void SegmentScan::next() {
  TR_ASSERT(state_ == State::batch);
  pos_ += batch_.bytes.size();
  offset_next_ = batch_.header.last_offset() + 1;
  look();
}

void SegmentScan::look() {
  if (pos_ == segment_.size_bytes) {
    state_ = State::end;
    return;
  }
  if (pos_ + record::header_bytes > valid_end_) return read(record::header_bytes);
  const Bytes bytes = buffer_.subspan(pos_ - read_pos_, valid_end_ - pos_);
  const Result<record::BatchHeader> header = record::parse_header(bytes);
  const bool is_sane =
      header && header->base_offset >= offset_next_ &&
      (header->base_offset == offset_next_ || segment_.may_have_gaps()) &&
      header->base_offset <= INT64_MAX - header->last_offset_delta &&
      header->last_offset() < segment_.end_offset &&
      header->size_bytes() <= segment_.size_bytes - pos_ &&
      header->size_bytes() <= buffer_.size() - disk_block_bytes;
  if (!is_sane) return give_up({Errc::corrupt});
  if (bytes.size() < header->size_bytes()) return read(header->size_bytes());
  batch_ = {*header, bytes.first(header->size_bytes())};
  if (!record::crc_matches(batch_.bytes)) return give_up({Errc::corrupt});
  read_all_ = false;
  state_ = State::batch;
}

void SegmentScan::read(std::uint64_t need_bytes) {
  // Read once from here, for these bytes, and still too few: the file is shorter than it should be.
  if (read_all_ && round_down(pos_, disk_block_bytes) == read_pos_) {
    return give_up({Errc::corrupt});
  }
  read_pos_ = round_down(pos_, disk_block_bytes);
  const std::uint64_t need = round_up(pos_ - read_pos_ + need_bytes, disk_block_bytes);
  const std::uint64_t rest = round_up(segment_.size_bytes - read_pos_, disk_block_bytes);
  const std::uint64_t size = std::min({std::max(need, read_bytes), rest, buffer_.size()});
  read_all_ = need_bytes > record::header_bytes || size >= rest;
  state_ = State::reading;
  queue_.push({.kind = DiskOpKind::read,
               .disk_class = DiskClass::background,
               .file = lease_.file,
               .file_pos = read_pos_,
               .block = buffer_.first(size),
               .tag = tag_});
}

void SegmentScan::on_disk_done(const DiskDone& done) {
  TR_ASSERT(state_ == State::reading);
  if (done.result < 0) {
    return give_up({Errc::io, static_cast<std::uint16_t>(-done.result)});
  }
  bytes_read_ += static_cast<std::uint64_t>(done.result);
  valid_end_ = std::min(read_pos_ + static_cast<std::uint64_t>(done.result), segment_.size_bytes);
  look();
}

void SegmentScan::give_up(Error error) {
  error_ = error;
  state_ = State::failed;
}

void SegmentScan::close() {
  TR_ASSERT(state_ != State::reading);
  if (lease_.slot != UINT32_MAX) files_.release(lease_);
  lease_ = {};
  state_ = State::idle;
}

}  // namespace tailrace::log
