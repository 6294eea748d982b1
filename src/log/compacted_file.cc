#include "log/compacted_file.h"

#include <cerrno>
#include <cstring>

#include "base/aligned.h"

namespace tailrace::log {

std::size_t CompactedFile::buffer_bytes(const Limits& limits) {
  // Less than one write waits when a batch comes.
  return round_up(limits.segment_write_bytes + limits.batch_bytes_max(), disk_block_bytes);
}

CompactedFile::CompactedFile(const Limits& limits, MutableBytes buffer, std::uint64_t tag,
                             OpQueue& queue)
    : write_bytes_(limits.segment_write_bytes), buffer_(buffer), tag_(tag), queue_(queue) {
  TR_ASSERT(buffer.size() >= buffer_bytes(limits));
}

void CompactedFile::start(const FileName& path) {
  TR_ASSERT(phase_ == Phase::closed);
  path_ = path;
  size_bytes_ = 0;
  file_pos_ = 0;
  fill_ = 0;
  finishing_ = false;
  error_number_ = 0;
  push(Phase::opening, {.kind = DiskOpKind::open, .flags = open_create, .name = path});
}

void CompactedFile::append(Bytes bytes) {
  TR_ASSERT(ready());
  TR_ASSERT(!finishing_);
  TR_ASSERT(bytes.size() <= buffer_.size() - fill_);
  std::memcpy(buffer_.data() + fill_, bytes.data(), bytes.size());
  fill_ += bytes.size();
  size_bytes_ += bytes.size();
  if (fill_ >= write_bytes_) write(round_down(fill_, disk_block_bytes));
}

void CompactedFile::finish() {
  TR_ASSERT(ready());
  finishing_ = true;
  if (fill_ == 0) return on_written();
  const std::size_t whole = round_up(fill_, disk_block_bytes);
  std::memset(buffer_.data() + fill_, 0, whole - fill_);
  fill_ = whole;
  write(whole);
}

void CompactedFile::write(std::size_t bytes) {
  writing_ = bytes;
  push(Phase::writing, {.kind = DiskOpKind::write,
                        .file = file_,
                        .file_pos = file_pos_,
                        .block = buffer_.first(bytes)});
}

void CompactedFile::on_written() {
  fill_ -= writing_;
  if (fill_ > 0) std::memmove(buffer_.data(), buffer_.data() + writing_, fill_);
  file_pos_ += writing_;
  bytes_written_ += writing_;
  writing_ = 0;
  phase_ = Phase::open;
  if (!finishing_) return;
  // The length that counts stands in the checkpoint; this gives back what was there before.
  push(Phase::trimming,
       {.kind = DiskOpKind::truncate, .file = file_, .file_pos = file_pos_});
}

void CompactedFile::give_up() {
  TR_ASSERT(ready() || done());
  if (done()) {
    phase_ = Phase::failed;
    return;
  }
  fail(ECANCELED);
}

void CompactedFile::reset() {
  TR_ASSERT(done() || failed() || is_closed());
  phase_ = Phase::closed;
}

void CompactedFile::on_disk_done(const DiskDone& done) {
  const std::int32_t error_number =
      done.result < 0 ? static_cast<std::int32_t>(-done.result) : 0;
  switch (phase_) {
    case Phase::opening:
      if (error_number != 0) {
        error_number_ = error_number;
        phase_ = Phase::failed;
        return;
      }
      file_ = static_cast<FileId>(done.result);
      phase_ = Phase::open;
      return;
    case Phase::writing:
      if (error_number != 0) return fail(error_number);
      if (done.result != static_cast<std::int64_t>(writing_)) return fail(EIO);
      return on_written();
    case Phase::trimming:
      // Failed, it costs space and nothing else.
      return push(Phase::syncing, {.kind = DiskOpKind::sync, .file = file_});
    case Phase::syncing:
      if (error_number != 0) return fail(error_number);
      return push(Phase::closing, {.kind = DiskOpKind::close, .file = file_});
    case Phase::closing: {
      file_ = no_file;
      if (error_number_ != 0) {
        phase_ = Phase::failed;
        return;
      }
      const std::string_view path = path_.text();
      return push(Phase::syncing_directory, {.kind = DiskOpKind::sync_directory,
                                             .name = path.substr(0, path.rfind('/'))});
    }
    case Phase::syncing_directory:
      error_number_ = error_number;
      phase_ = error_number == 0 ? Phase::done : Phase::failed;
      return;
    case Phase::closed:
    case Phase::open:
    case Phase::done:
    case Phase::failed: break;  // No operation of ours is under way in these.
  }
  TR_ASSERT(false);
}

void CompactedFile::fail(std::int32_t error_number) {
  error_number_ = error_number;
  push(Phase::closing, {.kind = DiskOpKind::close, .file = file_});
}

void CompactedFile::push(Phase phase, DiskOp op) {
  phase_ = phase;
  op.disk_class = DiskClass::background;
  op.tag = tag_;
  queue_.push(op);
}

}  // namespace tailrace::log
