#include "log/file_table.h"

#include <cerrno>

#include "base/log.h"

namespace tailrace::log {

FileTable::FileTable(std::size_t files_max, OpQueue& queue) : queue_(queue), slots_(files_max) {
  TR_ASSERT(files_max > 0);
  unused_.reserve(files_max);
  for (std::size_t i = files_max; i > 0; --i) unused_.push_back(static_cast<std::uint32_t>(i - 1));
  by_path_.reserve(files_max);
}

Result<FileTable::Lease> FileTable::acquire(const FileName& path, bool create) {
  const auto found = by_path_.find(path.text());
  if (found != by_path_.end()) {
    Slot& slot = slots_[found->second];
    TR_ASSERT(!slot.forgotten);
    if (slot.state == State::open && slot.leases == 0) unlink(found->second);
    ++slot.leases;
    slot.create = slot.create || create;
    return Lease{found->second, slot.state == State::open ? slot.file : no_file};
  }

  const std::uint32_t index = slot_for_new();
  if (index == no_slot) return fail(Errc::full);
  Slot& slot = slots_[index];
  slot.path = path;
  slot.leases = 1;
  slot.create = create;
  slot.forgotten = false;
  by_path_.emplace(slot.path.text(), index);
  if (slot.state == State::unused) begin_open(index);
  return Lease{index, no_file};
}

// An unused slot; else that of the file nobody has used for longest, which is closed first
// (State::replacing), so that never more than files_max descriptors are open.
std::uint32_t FileTable::slot_for_new() {
  if (!unused_.empty()) {
    const std::uint32_t index = unused_.back();
    unused_.pop_back();
    return index;
  }
  if (oldest_ == no_slot) return no_slot;
  const std::uint32_t index = oldest_;
  unlink(index);
  unmap(index);
  begin_close(index);
  slots_[index].state = State::replacing;
  return index;
}

Result<FileTable::Lease> FileTable::poll(Lease lease) {
  TR_ASSERT(lease.slot < slots_.size());
  const Slot& slot = slots_[lease.slot];
  TR_ASSERT(slot.leases > 0);
  switch (slot.state) {
    case State::opening:
    case State::replacing:
      return Lease{lease.slot, no_file};
    case State::open:
      return Lease{lease.slot, slot.file};
    case State::failed: {
      const std::int32_t error_number = slot.error_number;
      drop_lease(lease.slot);
      return fail(error_number == ENOENT ? Errc::not_found : Errc::io,
                  static_cast<std::uint16_t>(error_number));
    }
    case State::unused:
    case State::closing:
      break;  // Nobody can hold a lease on these.
  }
  TR_ASSERT(false);
  return fail(Errc::io);
}

void FileTable::release(Lease lease) {
  TR_ASSERT(lease.slot < slots_.size());
  drop_lease(lease.slot);
}

void FileTable::drop_lease(std::uint32_t index) {
  Slot& slot = slots_[index];
  TR_ASSERT(slot.leases > 0);
  --slot.leases;
  if (slot.leases > 0) return;
  switch (slot.state) {
    case State::failed:
      free_slot(index);
      return;
    case State::open:
      if (slot.forgotten) {
        begin_close(index);
      } else {
        push_newest(index);
      }
      return;
    case State::opening:
    case State::replacing:
      return;  // on_opened() sees that nobody waits any more.
    case State::unused:
    case State::closing:
      break;  // Nobody can hold a lease on these.
  }
  TR_ASSERT(false);
}

void FileTable::forget(const FileName& path) {
  const auto found = by_path_.find(path.text());
  if (found == by_path_.end()) return;
  const std::uint32_t index = found->second;
  Slot& slot = slots_[index];
  unmap(index);
  slot.forgotten = true;
  if (slot.state != State::open || slot.leases > 0) return;
  unlink(index);
  begin_close(index);
}

void FileTable::close_all() {
  while (oldest_ != no_slot) {
    const std::uint32_t index = oldest_;
    unlink(index);
    unmap(index);
    begin_close(index);
  }
}

void FileTable::begin_open(std::uint32_t index) {
  Slot& slot = slots_[index];
  slot.state = State::opening;
  slot.opened_to_create = slot.create;
  slot.file = no_file;
  ++busy_count_;
  queue_.push({.kind = DiskOpKind::open,
               .flags = slot.create ? open_create : std::uint8_t{0},
               .tag = make_tag(Asker::file_table, index),
               .name = slot.path});
}

void FileTable::begin_close(std::uint32_t index) {
  Slot& slot = slots_[index];
  TR_ASSERT(slot.state == State::open);
  TR_ASSERT(slot.leases == 0);
  slot.state = State::closing;
  TR_ASSERT(open_count_ > 0);
  --open_count_;
  ++busy_count_;
  queue_.push({.kind = DiskOpKind::close,
               .file = slot.file,
               .tag = make_tag(Asker::file_table, index)});
}

void FileTable::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::file_table);
  const auto index = static_cast<std::uint32_t>(word_of(done.tag));
  TR_ASSERT(index < slots_.size());
  TR_ASSERT(busy_count_ > 0);
  --busy_count_;
  Slot& slot = slots_[index];
  switch (slot.state) {
    case State::opening:
      on_opened(index, done.result);
      return;
    case State::closing:
    case State::replacing:
      // The descriptor is gone whatever the result; what was written is judged by its syncs.
      if (done.result < 0) {
        log_event(LogLevel::warn, "log", "closing a file failed: errno {}", -done.result);
      }
      if (slot.state == State::closing || slot.leases == 0) {
        if (!slot.forgotten && slot.state == State::replacing) unmap(index);
        free_slot(index);
      } else {
        begin_open(index);
      }
      return;
    case State::unused:
    case State::open:
    case State::failed:
      break;  // No operation is under way in these.
  }
  TR_ASSERT(false);
}

void FileTable::on_opened(std::uint32_t index, std::int64_t result) {
  Slot& slot = slots_[index];
  if (result >= 0) {
    slot.state = State::open;
    slot.file = static_cast<FileId>(result);
    slot.create = false;
    ++open_count_;
    if (slot.leases > 0) return;
    if (slot.forgotten) {
      begin_close(index);
    } else {
      push_newest(index);
    }
    return;
  }
  // One who would make it joined one who would not, after that one's open was on its way.
  if (result == -ENOENT && slot.create && !slot.opened_to_create && slot.leases > 0) {
    begin_open(index);
    return;
  }
  if (!slot.forgotten) unmap(index);  // The next acquire() tries anew.
  slot.state = State::failed;
  slot.error_number = static_cast<std::int32_t>(-result);
  if (slot.leases == 0) free_slot(index);
}

void FileTable::unmap(std::uint32_t index) {
  const std::size_t erased = by_path_.erase(slots_[index].path.text());
  TR_ASSERT(erased == 1);
}

void FileTable::free_slot(std::uint32_t index) {
  TR_ASSERT(slots_[index].leases == 0);
  slots_[index] = Slot{};
  unused_.push_back(index);
  TR_ASSERT(unused_.size() <= slots_.size());
}

void FileTable::push_newest(std::uint32_t index) {
  Slot& slot = slots_[index];
  slot.older = newest_;
  slot.newer = no_slot;
  if (newest_ != no_slot) slots_[newest_].newer = index;
  newest_ = index;
  if (oldest_ == no_slot) oldest_ = index;
}

void FileTable::unlink(std::uint32_t index) {
  Slot& slot = slots_[index];
  TR_ASSERT(slot.state == State::open);
  TR_ASSERT(slot.leases == 0);
  (slot.newer == no_slot ? newest_ : slots_[slot.newer].older) = slot.older;
  (slot.older == no_slot ? oldest_ : slots_[slot.older].newer) = slot.newer;
  slot.newer = no_slot;
  slot.older = no_slot;
}

}  // namespace tailrace::log
