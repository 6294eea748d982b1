#include "log/file_reader.h"

#include <algorithm>
#include <cerrno>

namespace tailrace::log {
namespace {

constexpr std::size_t first_read_bytes = std::size_t{256} << 10;

}  // namespace

FileReader::FileReader(OpQueue& queue) : queue_(queue) {}

void FileReader::start(const FileName& path, std::size_t bytes_max) {
  TR_ASSERT(!busy());
  phase_ = Phase::opening;
  bytes_max_ = bytes_max;
  size_ = 0;
  status_ = {};
  queue_.push({.kind = DiskOpKind::open, .tag = make_tag(Asker::boot, 0), .name = path});
}

void FileReader::push_read() {
  const std::size_t room = buffer_ == nullptr ? 0 : buffer_->size() - size_;
  if (room == 0) {
    auto larger = std::make_unique<AlignedBuffer>(std::max(first_read_bytes, size_ * 2));
    if (size_ > 0) std::memcpy(larger->data(), buffer_->data(), size_);
    buffer_ = std::move(larger);
  }
  phase_ = Phase::reading;
  queue_.push({.kind = DiskOpKind::read,
               .file = file_,
               .file_pos = size_,
               .block = buffer_->bytes().subspan(size_),
               .tag = make_tag(Asker::boot, 0)});
}

void FileReader::push_close() {
  phase_ = Phase::closing;
  queue_.push({.kind = DiskOpKind::close, .file = file_, .tag = make_tag(Asker::boot, 0)});
}

void FileReader::on_disk_done(const DiskDone& done) {
  const auto error_number = static_cast<std::uint16_t>(done.result < 0 ? -done.result : 0);
  switch (phase_) {
    case Phase::idle: TR_ASSERT(false); return;
    case Phase::opening:
      if (error_number != 0) {
        status_ = fail(error_number == ENOENT ? Errc::not_found : Errc::io, error_number);
        phase_ = Phase::idle;
        return;
      }
      file_ = static_cast<FileId>(done.result);
      push_read();
      return;
    case Phase::reading: {
      const std::size_t asked = buffer_->size() - size_;
      if (error_number != 0) status_ = fail(Errc::io, error_number);
      size_ += error_number == 0 ? static_cast<std::size_t>(done.result) : 0;
      if (size_ > bytes_max_) status_ = fail(Errc::too_large);
      // A read that ends inside a block has met the end of the file.
      const bool at_end = error_number != 0 || static_cast<std::size_t>(done.result) < asked;
      if (status_ && !at_end) {
        push_read();
        return;
      }
      // The process that wrote it may have died before its sync; what is decided by this content
      // must not be undone by a power cut.
      if (status_) {
        phase_ = Phase::syncing;
        queue_.push({.kind = DiskOpKind::sync, .file = file_, .tag = make_tag(Asker::boot, 0)});
        return;
      }
      push_close();
      return;
    }
    case Phase::syncing:
      if (error_number != 0) status_ = fail(Errc::io, error_number);
      push_close();
      return;
    case Phase::closing: phase_ = Phase::idle; return;
  }
}

Result<Bytes> FileReader::content() const {
  TR_ASSERT(!busy());
  if (!status_) return fail(status_.error());
  if (buffer_ == nullptr) return Bytes{};
  return Bytes{buffer_->data(), size_};
}

}  // namespace tailrace::log
