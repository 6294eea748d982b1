#include "log/remover.h"

#include <cerrno>

#include "base/log.h"

namespace tailrace::log {

Remover::Remover(OpQueue& queue) : queue_(queue) {}

void Remover::enqueue(const FileName& path) { items_.push_back({.path = path}); }

void Remover::enqueue_directory(const FileName& path) {
  items_.push_back({.path = path, .is_directory = true});
}

void Remover::step() {
  while (begun_ < items_.size() && in_flight_ < in_flight_max) {
    const Item& item = items_[begun_];
    // Files may go side by side, a directory only alone.
    if (item.is_directory && in_flight_ > 0) return;
    if (begun_ > 0 && items_[begun_ - 1].is_directory && in_flight_ > 0) return;
    queue_.push({.kind = item.is_directory ? DiskOpKind::remove_directory : DiskOpKind::remove,
                 .tag = make_tag(Asker::remover, number_ + begun_),
                 .name = item.path});
    ++begun_;
    ++in_flight_;
  }
}

void Remover::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::remover);
  TR_ASSERT(word_of(done.tag) >= number_);
  const std::size_t index = word_of(done.tag) - number_;
  TR_ASSERT(index < begun_);
  TR_ASSERT(!items_[index].done);
  TR_ASSERT(in_flight_ > 0);
  // A topic's directory goes with the last of its partitions only.
  const bool is_used = items_[index].is_directory && done.result == -ENOTEMPTY;
  if (done.result < 0 && done.result != -ENOENT && !is_used) {
    log_event(LogLevel::warn, "log", "{} could not be removed: errno {}",
              items_[index].path.text(), -done.result);
  }
  items_[index].done = true;
  --in_flight_;
  while (begun_ > 0 && items_.front().done) {
    items_.pop_front();
    --begun_;
    ++number_;
  }
}

}  // namespace tailrace::log
