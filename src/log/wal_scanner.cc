#include "log/wal_scanner.h"

#include <algorithm>
#include <cerrno>

#include "base/assert.h"

namespace tailrace::log {
namespace {

constexpr std::uint64_t front_word = 2;  // 0 and 1: the windows
constexpr std::uint64_t sync_word = 3;
constexpr std::uint64_t front_pos = disk_block_bytes;

bool is_valid(const WalFormatBlock& format, const WalMark& mark) {
  return format.ring_bytes > 0 && format.ring_bytes % disk_block_bytes == 0 && mark.seq > 0 &&
         mark.file_pos % disk_block_bytes == 0 && mark.file_pos >= front_pos &&
         mark.file_pos < front_pos + format.ring_bytes;
}

}  // namespace

WalScanner::WalScanner(const Limits& limits, FileId file, const WalFormatBlock& format,
                       const WalMark& from, OpQueue& queue)
    : queue_(queue),
      file_(file),
      wal_(format.wal),
      ring_bytes_(format.ring_bytes),
      window_bytes_(static_cast<std::uint32_t>(
          round_up(limits.frame_bytes_max, disk_block_bytes))),
      search_bytes_max_(search_bytes(limits)),
      windows_{Window{AlignedBuffer(2 * std::size_t{window_bytes_})},
               Window{AlignedBuffer(2 * std::size_t{window_bytes_})}},
      next_read_pos_(from.file_pos),
      front_(disk_block_bytes),
      frame_pos_(from.file_pos),
      mark_(from) {
  TR_ASSERT(file != no_file);
  if (!is_valid(format, from)) {
    on_failure(EINVAL);
    return;
  }
  front_in_flight_ = true;
  queue_.push({.kind = DiskOpKind::read,
               .disk_class = DiskClass::wal,
               .file = file_,
               .file_pos = front_pos,
               .block = front_.bytes(),
               .tag = make_tag(Asker::wal_scanner, front_word)});
  advance();
}

std::uint64_t WalScanner::search_bytes(const Limits& limits) {
  return (2 * std::uint64_t{limits.frames_in_flight_max} + 2) * limits.frame_bytes_max;
}

Bytes WalScanner::frame() const {
  TR_ASSERT(state_ == State::frame);
  return bytes_at(frame_pos_).first(header_.frame_bytes);
}

const FrameHeader& WalScanner::header() const {
  TR_ASSERT(state_ == State::frame);
  return header_;
}

void WalScanner::next() {
  TR_ASSERT(state_ == State::frame);
  state_ = State::reading;
  frame_pos_ = mark_.file_pos;
  advance();
}

void WalScanner::step() { advance(); }

bool WalScanner::idle() const {
  return !front_in_flight_ && !sync_in_flight_ && !windows_[0].in_flight &&
         !windows_[1].in_flight;
}

void WalScanner::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::wal_scanner);
  const std::uint64_t word = word_of(done.tag);
  TR_ASSERT(word <= sync_word);
  if (word == sync_word) {
    on_sync_done(done.result);
    return;
  }
  std::int64_t expected_bytes = disk_block_bytes;
  if (word == front_word) {
    TR_ASSERT(front_in_flight_);
    front_in_flight_ = false;
    front_loaded_ = true;
  } else {
    Window& window = windows_[word];
    TR_ASSERT(window.in_flight);
    window.in_flight = false;
    window.loaded = !restarting_;
    expected_bytes = window.read_bytes;
  }
  if (state_ == State::failed) return;
  // Short: the file has lost its end. What is gone may have been acknowledged.
  if (done.result != expected_bytes) {
    on_failure(done.result < 0 ? static_cast<std::int32_t>(-done.result) : EIO);
    return;
  }
  advance();
}

// Goes on until there is a frame, an answer, or nothing to do without the disk.
void WalScanner::advance() {
  while (state_ == State::reading && !sync_in_flight_) {
    if (restarting_ && !begin_reading()) return;
    if (!front_loaded_) return;
    if (searching_) {
      search();
      return;
    }
    switch (look_at(frame_pos_)) {
      case Found::wait:
        if (!restarting_ || windows_[0].in_flight || windows_[1].in_flight) return;
        break;
      case Found::frame: take(); break;
      case Found::none:
        if (frame_pos_ == mark_.file_pos && front_holds_expected()) {
          frame_pos_ = front_pos;
        } else {
          begin_search();
        }
        break;
    }
  }
}

// Whether the expected frame lies whole at `file_pos`.
WalScanner::Found WalScanner::look_at(std::uint64_t file_pos) {
  if (!reach(file_pos)) return Found::wait;
  const Result<FrameHeader> header = parse_frame_header(bytes_at(file_pos));
  if (!header || !is_expected(*header)) return Found::none;
  if (header->frame_bytes > ring_end() - file_pos) return Found::none;
  if (header->frame_bytes > window_bytes_) {
    on_failure(EFBIG);
    return Found::wait;
  }
  if (!extend(file_pos, header->frame_bytes)) return Found::wait;
  if (!check_frame(bytes_at(file_pos), *header)) return Found::none;
  header_ = *header;
  return Found::frame;
}

bool WalScanner::is_expected(const FrameHeader& header) const {
  return header.wal == wal_ && header.seq == mark_.seq && header.previous_crc == mark_.previous_crc;
}

// A frame goes to the front only when it does not fit before the ring's end. An older life of the
// log may have left another frame with the same seq at mark(), torn: so a bad one there does not
// mean that the front need not be looked at.
bool WalScanner::front_holds_expected() const {
  if (mark_.file_pos == front_pos) return false;
  const Result<FrameHeader> header = parse_frame_header({front_.data(), front_.size()});
  return header && is_expected(*header) && header->frame_bytes > ring_end() - mark_.file_pos;
}

void WalScanner::take() {
  TR_ASSERT(header_.seq == mark_.seq);
  const std::uint64_t end_pos = frame_pos_ + header_.frame_bytes;
  TR_ASSERT(end_pos <= ring_end());
  mark_ = {.seq = header_.seq + 1,
           .file_pos = wrapped(end_pos),
           .previous_crc = header_.header_crc};
  state_ = State::frame;
}

void WalScanner::begin_search() {
  searching_ = true;
  search_pos_ = wrapped(frame_pos_ + disk_block_bytes);
  search_left_bytes_ = std::min(search_bytes_max_, ring_bytes_ - disk_block_bytes);
}

// Looks for a frame that was sealed when the missing one was durable.
void WalScanner::search() {
  while (search_left_bytes_ > 0) {
    if (!reach(search_pos_)) {
      if (restarting_) (void)begin_reading();
      return;
    }
    const Result<FrameHeader> header = parse_frame_header(bytes_at(search_pos_));
    if (header && header->wal == wal_ && header->durable_seq >= mark_.seq) {
      found_seq_ = header->seq;
      state_ = State::damaged;
      return;
    }
    search_pos_ = wrapped(search_pos_ + disk_block_bytes);
    search_left_bytes_ -= disk_block_bytes;
  }
  begin_sync();
}

// Frames that a killed process wrote but did not sync are read back all the same, and from now on
// count as durable: so they must be.
void WalScanner::begin_sync() {
  TR_ASSERT(!sync_in_flight_);
  sync_in_flight_ = true;
  queue_.push({.kind = DiskOpKind::sync,
               .disk_class = DiskClass::wal,
               .file = file_,
               .tag = make_tag(Asker::wal_scanner, sync_word)});
}

void WalScanner::on_sync_done(std::int64_t result) {
  TR_ASSERT(sync_in_flight_);
  sync_in_flight_ = false;
  if (state_ == State::failed) return;  // A read ahead failed meanwhile.
  if (result < 0) {
    on_failure(static_cast<std::int32_t>(-result));
  } else {
    state_ = State::end;
  }
}

std::uint64_t WalScanner::wrapped(std::uint64_t file_pos) const {
  TR_ASSERT(file_pos <= ring_end());
  return file_pos == ring_end() ? front_pos : file_pos;
}

// From `file_pos`, which is in the current window, to the window's end.
Bytes WalScanner::bytes_at(std::uint64_t file_pos) const {
  const Window& window = windows_[current_];
  TR_ASSERT(window.loaded);
  TR_ASSERT(file_pos + window.carried_bytes >= window.file_pos);
  TR_ASSERT(file_pos < window.file_pos + window.read_bytes);
  const std::byte* read_space = window.memory.data() + window_bytes_;
  const auto distance = static_cast<std::ptrdiff_t>(file_pos - window.file_pos);
  return {read_space + distance,
          static_cast<std::size_t>(window.file_pos + window.read_bytes - file_pos)};
}

// Makes the window that holds `file_pos` the current one. False: wait for the disk.
bool WalScanner::reach(std::uint64_t file_pos) {
  const Window& window = windows_[current_];
  if (!window.loaded) return false;
  const std::uint64_t end_pos = window.file_pos + window.read_bytes;
  if (file_pos + window.carried_bytes >= window.file_pos && file_pos < end_pos) return true;
  const Window& other = windows_[1 - current_];
  if (file_pos >= other.file_pos && file_pos < other.file_pos + other.read_bytes) {
    if (!other.loaded) return false;
    use_other_window();
    return true;
  }
  restarting_ = true;
  next_read_pos_ = file_pos;
  return false;
}

// Makes `size` bytes from `file_pos` on one span. False: wait for the disk.
bool WalScanner::extend(std::uint64_t file_pos, std::uint32_t size) {
  const Bytes tail = bytes_at(file_pos);
  if (tail.size() >= size) return true;
  Window& window = windows_[current_];
  Window& other = windows_[1 - current_];
  TR_ASSERT(other.file_pos == window.file_pos + window.read_bytes);
  TR_ASSERT(tail.size() < window_bytes_);
  if (!other.loaded) return false;
  std::memcpy(other.memory.data() + window_bytes_ - tail.size(), tail.data(), tail.size());
  other.carried_bytes = static_cast<std::uint32_t>(tail.size());
  use_other_window();
  TR_ASSERT(bytes_at(file_pos).size() >= size);
  return true;
}

void WalScanner::use_other_window() {
  TR_ASSERT(windows_[1 - current_].loaded);
  push_read(current_);
  current_ = 1 - current_;
}

// False: reads from before the jump still hold the windows.
bool WalScanner::begin_reading() {
  TR_ASSERT(restarting_);
  if (windows_[0].in_flight || windows_[1].in_flight) return false;
  restarting_ = false;
  current_ = 0;
  push_read(0);
  push_read(1);
  return true;
}

void WalScanner::push_read(std::size_t index) {
  Window& window = windows_[index];
  TR_ASSERT(!window.in_flight);
  TR_ASSERT(next_read_pos_ >= front_pos);
  TR_ASSERT(next_read_pos_ < ring_end());
  window.file_pos = next_read_pos_;
  window.read_bytes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(window_bytes_, ring_end() - next_read_pos_));
  window.carried_bytes = 0;
  window.loaded = false;
  window.in_flight = true;
  next_read_pos_ = wrapped(next_read_pos_ + window.read_bytes);
  queue_.push({.kind = DiskOpKind::read,
               .disk_class = DiskClass::wal,
               .file = file_,
               .file_pos = window.file_pos,
               .block = window.memory.bytes().subspan(window_bytes_, window.read_bytes),
               .tag = make_tag(Asker::wal_scanner, index)});
}

void WalScanner::on_failure(std::int32_t error_number) {
  TR_ASSERT(error_number > 0);
  state_ = State::failed;
  error_number_ = error_number;
}

}  // namespace tailrace::log
