#include "log/index_writer.h"

#include "base/log.h"

namespace tailrace::log {

IndexWriter::IndexWriter(OpQueue& queue) : queue_(queue) {}

void IndexWriter::start(const FileName& path, const Index& index, std::uint64_t covered_bytes) {
  TR_ASSERT(state_ == State::idle);
  index.encode(covered_bytes, encoded_);
  TR_ASSERT(encoded_.size() % disk_block_bytes == 0);
  if (block_ == nullptr || block_->size() < encoded_.size()) {
    block_ = std::make_unique<AlignedBuffer>(encoded_.size());
  }
  std::memcpy(block_->data(), encoded_.data(), encoded_.size());
  path_ = path;
  state_ = State::opening;
  queue_.push({.kind = DiskOpKind::open,
               .flags = open_create,
               .tag = make_tag(Asker::index, 0),
               .name = path_});
}

void IndexWriter::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::index);
  const auto failed_to = [&](std::string_view what) {
    ++failures_;
    log_event(LogLevel::warn, "log", "index {} could not be {}: errno {}", path_.text(), what,
              done.result < 0 ? -done.result : 0);
  };
  switch (state_) {
    case State::opening:
      if (done.result < 0) {
        failed_to("opened");
        state_ = State::idle;
        return;
      }
      file_ = static_cast<FileId>(done.result);
      state_ = State::writing;
      // What an older, longer index leaves behind this one is not looked at.
      queue_.push({.kind = DiskOpKind::write,
                   .file = file_,
                   .file_pos = 0,
                   .block = block_->bytes().first(encoded_.size()),
                   .tag = make_tag(Asker::index, 0)});
      return;
    case State::writing:
      // A short one fails its CRC when it is read.
      if (done.result != static_cast<std::int64_t>(encoded_.size())) failed_to("written");
      state_ = State::closing;
      queue_.push({.kind = DiskOpKind::close, .file = file_, .tag = make_tag(Asker::index, 0)});
      return;
    case State::closing:
      file_ = no_file;
      state_ = State::idle;
      return;
    case State::idle:
      break;  // Nothing is under way.
  }
  TR_ASSERT(false);
}

}  // namespace tailrace::log
