#include "control/dump_metadata.h"

#include <fmt/format.h>

#include "control/journal_format.h"
#include "control/records.h"

namespace tailrace::control {
namespace {

using Line = std::function<void(std::string_view)>;

void dump_records(Bytes bytes, std::string_view indent, const Line& line) {
  const Result<std::vector<Record>> records = decode_records(bytes);
  if (!records) {
    line(fmt::format("{}{} bytes that are no records: {} ({})", indent, bytes.size(),
                     to_string(records.error().code), records.error().detail));
    return;
  }
  for (const Record& record : *records) line(fmt::format("{}{}", indent, to_text(record)));
}

void dump_entry(const raft::Entry& entry, const Line& line) {
  switch (entry.kind) {
    case raft::EntryKind::no_op:
      return line(fmt::format("  entry {} term {}: a leader's first", entry.index, entry.term));
    case raft::EntryKind::configuration: {
      raft::Configuration configuration;
      const bool good = raft::decode_configuration(entry.bytes, configuration);
      return line(fmt::format("  entry {} term {}: {} voters", entry.index, entry.term,
                              good ? configuration.voters.size() : 0));
    }
    case raft::EntryKind::data:
      line(fmt::format("  entry {} term {}:", entry.index, entry.term));
      return dump_records(entry.bytes, "    ", line);
  }
}

class Dumper final : public GroupVisitor {
 public:
  explicit Dumper(const Line& line) : line_(line) {}

  void on_group(const GroupView& group) override {
    const GroupHeader& header = group.header;
    switch (header.kind) {
      case GroupKind::base:
      case GroupKind::base_last:
        line_(fmt::format("byte {}: generation {}, base part {}, {} bytes", group.pos,
                          header.generation, header.sequence, group.payload.size()));
        base_.insert(base_.end(), group.payload.begin(), group.payload.end());
        if (header.kind == GroupKind::base_last) dump_base();
        return;
      case GroupKind::log:
        line_(fmt::format("byte {}: log group {}", group.pos, header.sequence));
        return dump_log(group.payload);
      case GroupKind::moved:
        return line_(fmt::format("byte {}: closed; generation {} is in the other file", group.pos,
                                 header.generation + 1));
    }
  }

 private:
  void dump_base() {
    if (!decode_base(base_, recovered_)) return line_("  a base that makes no sense");
    const raft::Snapshot& snapshot = recovered_.snapshot;
    hard_state_ = recovered_.hard_state;
    line_(fmt::format("  term {}, vote {}; snapshot of entry {} (term {}):",
                      hard_state_.term, hard_state_.vote, snapshot.index, snapshot.term));
    dump_records(snapshot.bytes, "    ", line_);
    for (const raft::Entry& entry : recovered_.entries) dump_entry(entry, line_);
  }

  // Entries are shown as they come, so those that are replaced later are seen as well.
  void dump_log(Bytes payload) {
    raft::Recovered group;
    if (!read_log(payload, group)) return line_("  content that makes no sense");
    if (group.hard_state != raft::HardState{}) {
      line_(fmt::format("  term {}, vote {}", group.hard_state.term, group.hard_state.vote));
    }
    for (const raft::Entry& entry : group.entries) dump_entry(entry, line_);
  }

  const Line& line_;
  std::vector<std::byte> base_;
  raft::Recovered recovered_;
  raft::HardState hard_state_;
};

}  // namespace

bool dump_metadata(Bytes file, const Line& line) {
  Dumper dumper(line);
  const JournalScan scan = scan_journal(file, &dumper);
  switch (scan.state) {
    case JournalState::blank:
      line("blank: nothing was written here yet");
      return true;
    case JournalState::unfinished:
      line(fmt::format("unfinished: the base of generation {} is not complete; the other file "
                       "counts", scan.generation));
      return true;
    case JournalState::damaged:
      line(fmt::format("DAMAGED at byte {}: {}", scan.damage_pos, scan.why));
      return false;
    case JournalState::whole:
      line(fmt::format("in order: store {}, generation {}, {} bytes used of {}{}{}",
                       to_string(scan.store), scan.generation, scan.end_pos, file.size(),
                       scan.torn_tail ? ", then a write that was cut off" : "",
                       scan.moved ? ", closed" : ""));
      return true;
  }
  return false;
}

}  // namespace tailrace::control
