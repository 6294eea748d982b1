#include "log/wal_recovery.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace tailrace::log {
namespace {

constexpr std::size_t checkpoint_bytes_max = std::size_t{1} << 30;
constexpr const char* advice =
    "\nNothing was changed. `tailrace dump` on the data directory shows what is there.";

}  // namespace

WalRecovery::WalRecovery(const Limits& limits, std::string path, CoreLog& core, OpQueue& queue)
    : limits_(limits), path_(std::move(path)), core_(core), queue_(queue), reader_(queue) {}

void WalRecovery::push(Phase phase, DiskOp op) {
  phase_ = phase;
  op.tag = make_tag(Asker::boot, 0);
  queue_.push(op);
}

void WalRecovery::give_up(std::string why) {
  phase_ = Phase::failed;
  why_ = std::move(why) + advice;
}

std::string WalRecovery::segments_failed() const {
  return fmt::format("the segments of {}.wal cannot be written", path_);
}

void WalRecovery::step(Now now) {
  switch (phase_) {
    case Phase::opening:
      if (begun_) return;
      begun_ = true;
      push(Phase::opening, {.kind = DiskOpKind::open, .name = FileName(path_ + ".wal")});
      return;
    case Phase::replaying: replay(now); return;
    case Phase::settling:
      if (core_.fenced()) return give_up(segments_failed());
      if (!core_.settle(now)) return;
      push(Phase::closing, {.kind = DiskOpKind::close, .file = file_});
      return;
    case Phase::format:
    case Phase::checkpoint_a:
    case Phase::checkpoint_b:
    case Phase::closing:
    case Phase::done:
    case Phase::failed: return;  // A disk completion goes on, or nothing does.
  }
}

void WalRecovery::on_disk_done(const DiskDone& done) {
  if (asker_of(done.tag) == Asker::wal_scanner) {
    scanner_->on_disk_done(done);
    return;
  }
  const bool failed = done.result < 0;
  const char* text = failed ? std::strerror(static_cast<int>(-done.result)) : "";
  switch (phase_) {
    case Phase::opening:
      if (failed) return give_up(fmt::format("{}.wal cannot be opened: {}", path_, text));
      file_ = static_cast<FileId>(done.result);
      push(Phase::format, {.kind = DiskOpKind::read, .file = file_, .block = block_.bytes()});
      return;
    case Phase::format: {
      const bool is_short = done.result != static_cast<std::int64_t>(disk_block_bytes);
      const auto format = is_short ? fail(failed ? Errc::io : Errc::truncated)
                                   : parse_wal_format(block_.bytes());
      if (!format) {
        return give_up(fmt::format("{}.wal is no WAL of this version: {}", path_,
                                   failed ? text : to_string(format.error().code)));
      }
      format_ = *format;
      phase_ = Phase::checkpoint_a;
      reader_.start(FileName(path_ + ".checkpoint-a"), checkpoint_bytes_max);
      return;
    }
    case Phase::checkpoint_a:
    case Phase::checkpoint_b:
      reader_.on_disk_done(done);
      if (!reader_.busy()) on_checkpoint();
      return;
    case Phase::closing: phase_ = Phase::done; return;
    case Phase::replaying:
    case Phase::settling:
    case Phase::done:
    case Phase::failed: TR_ASSERT(false); return;
  }
}

void WalRecovery::on_checkpoint() {
  const char* name = phase_ == Phase::checkpoint_a ? "a" : "b";
  const Result<Bytes> bytes = reader_.content();
  // It may be the newest and readable again tomorrow: what an older one leads to must not be mixed
  // with it.
  if (!bytes && bytes.error().code == Errc::io) {
    return give_up(fmt::format("{}.checkpoint-{} cannot be read: {}", path_, name,
                               std::strerror(bytes.error().detail)));
  }
  Result<Checkpoint> checkpoint =
      bytes ? decode_checkpoint(*bytes) : Result<Checkpoint>(fail(bytes.error()));
  if (checkpoint && checkpoint->wal != format_.wal) checkpoint = fail(Errc::not_found);
  if (!checkpoint) {
    checkpoint_faults_ += fmt::format("\n{}.checkpoint-{}: {}", path_, name,
                                      to_string(checkpoint.error().code));
  } else if (!has_checkpoint_ || checkpoint->number > checkpoint_.number) {
    checkpoint_ = std::move(*checkpoint);
    has_checkpoint_ = true;
  }
  if (phase_ == Phase::checkpoint_a) {
    phase_ = Phase::checkpoint_b;
    reader_.start(FileName(path_ + ".checkpoint-b"), checkpoint_bytes_max);
    return;
  }
  restore();
}

void WalRecovery::restore() {
  if (!has_checkpoint_) {
    return give_up(fmt::format("{}.wal has no checkpoint that is whole:{}", path_,
                               checkpoint_faults_));
  }
  if (checkpoint_.partitions.size() > limits_.partitions_max) {
    return give_up(fmt::format("{} holds {} partitions, limits.partitions_max allows {}", path_,
                               checkpoint_.partitions.size(), limits_.partitions_max));
  }
  core_.restore(checkpoint_);
  checkpoint_.partitions.clear();
  scanner_ = std::make_unique<WalScanner>(limits_, file_, format_, checkpoint_.replay_from, queue_);
  phase_ = Phase::replaying;
}

void WalRecovery::replay(Now now) {
  if (core_.fenced()) return give_up(segments_failed());
  scanner_->step();
  while (scanner_->state() == WalScanner::State::frame) {
    if (!replay_frame(now)) return;
    scanner_->next();
    scanner_->step();
  }
  switch (scanner_->state()) {
    case WalScanner::State::frame:
    case WalScanner::State::reading: return;
    case WalScanner::State::end:
      if (scanner_->idle()) phase_ = Phase::settling;
      return;
    case WalScanner::State::damaged:
      if (!scanner_->idle()) return;
      return give_up(fmt::format(
          "{}.wal is damaged: frame {} at byte {} is not whole, but frame {} behind it is.\n"
          "Records that were acknowledged may be lost.{}",
          path_, scanner_->mark().seq, scanner_->mark().file_pos, scanner_->found_seq(),
          checkpoint_faults_));
    case WalScanner::State::failed:
      if (!scanner_->idle()) return;
      if (scanner_->error_number() == EFBIG) {
        return give_up(fmt::format("{}.wal holds a frame larger than storage.frame_bytes_max, {}, "
                                   "allows now: start once with the old value",
                                   path_, limits_.frame_bytes_max));
      }
      return give_up(fmt::format("{}.wal cannot be read at byte {}: {}", path_,
                                 scanner_->mark().file_pos,
                                 std::strerror(scanner_->error_number())));
  }
}

// False: no memory, or the entry contradicts the log.
bool WalRecovery::replay_frame(Now now) {
  const Bytes frame = scanner_->frame();
  const FrameHeader& header = scanner_->header();
  while (entry_index_ < header.entry_count) {
    const Entry entry = frame_entry(frame, header, entry_index_);
    const Bytes payload = frame.subspan(entry.payload_pos, entry.payload_bytes);
    const Result<bool> replayed = core_.replay(entry, payload, now);
    if (!replayed) {
      give_up(fmt::format("{}.wal: entry {} of frame {} contradicts the log of partition {} of "
                          "topic {}: {}",
                          path_, entry_index_, header.seq, entry.key.partition,
                          to_string(entry.key.topic), to_string(replayed.error().code)));
      return false;
    }
    if (!*replayed) {
      core_.step_replay(now);
      return false;
    }
    replayed_bytes_ += entry.payload_bytes;
    ++entry_index_;
  }
  entry_index_ = 0;
  return true;
}

void WalRecovery::attach(std::uint16_t life, Now now) {
  TR_ASSERT(done());
  core_.attach(path_, format_.wal, life, checkpoint_.number, checkpoint_.replay_from,
               scanner_->mark(), now);
}

}  // namespace tailrace::log
