#include "control/journal_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "control/little_endian.h"

namespace tailrace::control {
namespace {

constexpr std::uint32_t magic = 0x4a4d5254;  // "TRMJ"
constexpr std::size_t crc_from = 8;
constexpr std::uint8_t item_hard_state = 1;
constexpr std::uint8_t item_entry = 2;
constexpr std::size_t item_header_bytes = 5;
constexpr std::size_t entry_header_bytes = 17;

std::size_t entry_bytes(const raft::Entry& entry) {
  return entry_header_bytes + entry.bytes.size();
}

void put_entry_content(LittleWriter& out, const raft::Entry& entry) {
  out.number(entry.index);
  out.number(entry.term);
  out.number(static_cast<std::uint8_t>(entry.kind));
  out.raw(entry.bytes);
}

bool read_entry(Bytes content, raft::Entry& entry) {
  LittleReader in(content);
  entry.index = in.number<raft::Index>();
  entry.term = in.number<raft::Term>();
  const auto kind = in.number<std::uint8_t>();
  if (in.failed() || kind < 1 || kind > 3) return false;
  entry.kind = static_cast<raft::EntryKind>(kind);
  entry.bytes.assign(in.rest().begin(), in.rest().end());
  return true;
}

// Appends as the log does: an entry replaces all from its index on.
bool replay_entry(raft::Entry entry, raft::Recovered& recovered) {
  const raft::Index first = recovered.snapshot.index + 1;
  const raft::Index next = first + recovered.entries.size();
  if (entry.index < first || entry.index > next) return false;
  recovered.entries.resize(entry.index - first);
  recovered.entries.push_back(std::move(entry));
  return true;
}

struct Parsed {
  GroupHeader header;
  std::uint32_t crc = 0;
  std::uint16_t version = 0;
  Bytes payload;
};

// A whole group at the front of `bytes`, by magic and CRC.
bool parse_group(Bytes bytes, Parsed& group) {
  LittleReader in(bytes);
  if (in.number<std::uint32_t>() != magic) return false;
  group.crc = in.number<std::uint32_t>();
  group.header.store = in.uuid();
  group.header.generation = in.number<std::uint64_t>();
  group.header.sequence = in.number<std::uint64_t>();
  const auto payload_bytes = in.number<std::uint32_t>();
  group.version = in.number<std::uint16_t>();
  group.header.kind = static_cast<GroupKind>(in.number<std::uint16_t>());
  group.header.previous_crc = in.number<std::uint32_t>();
  in.take(12);
  group.payload = in.take(payload_bytes);
  if (in.failed()) return false;
  const std::size_t end = group_header_bytes + payload_bytes;
  return crc32c(bytes.subspan(crc_from, end - crc_from)) == group.crc;
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; });
}

class Scanner {
 public:
  Scanner(Bytes file, GroupVisitor* visitor) : file_(file), visitor_(visitor) {}

  JournalScan run() {
    if (all_zero(file_)) return std::move(scan_);
    while (take_group()) {
    }
    if (scan_.state == JournalState::damaged) return std::move(scan_);
    look_behind();
    return std::move(scan_);
  }

 private:
  // False at the first group that does not continue the run.
  bool take_group() {
    Parsed group;
    const std::uint64_t pos = scan_.end_pos;
    if (pos >= file_.size() || !parse_group(file_.subspan(pos), group)) return false;
    if (pos == 0) {
      scan_.store = group.header.store;
      scan_.generation = group.header.generation;
    }
    if (!continues(group)) return false;
    if (group.version > journal_version) {
      damage(pos, fmt::format("format version {} is newer than this program", group.version));
      return false;
    }
    if (!take_payload(group)) {
      damage(pos, "a group with a good checksum has content that makes no sense");
      return false;
    }
    if (visitor_ != nullptr) visitor_->on_group({group.header, pos, group.payload});
    scan_.end_pos = pos + group_bytes(group.payload.size());
    scan_.last_crc = group.crc;
    ++scan_.sequence_next;
    return true;
  }

  bool continues(const Parsed& group) const {
    return group.header.store == scan_.store && group.header.generation == scan_.generation &&
           group.header.sequence == scan_.sequence_next &&
           group.header.previous_crc == scan_.last_crc && !scan_.moved;
  }

  bool take_payload(const Parsed& group) {
    switch (group.header.kind) {
      case GroupKind::base:
      case GroupKind::base_last:
        if (based_) return false;
        base_.insert(base_.end(), group.payload.begin(), group.payload.end());
        if (group.header.kind == GroupKind::base) return true;
        based_ = true;
        return decode_base(base_, scan_.recovered);
      case GroupKind::log:
        return based_ && replay_log(group.payload, scan_.recovered);
      case GroupKind::moved:
        scan_.moved = true;
        return based_;
    }
    return false;
  }

  // The run has ended. What lies behind decides whether its end is an end.
  void look_behind() {
    scan_.state = based_ ? JournalState::whole : JournalState::unfinished;
    const std::uint64_t end = scan_.end_pos;
    if (end < file_.size()) {
      const std::size_t block = std::min<std::size_t>(disk_block_bytes, file_.size() - end);
      Parsed next;
      // An older generation's group there is a group not yet written over.
      const bool is_group = parse_group(file_.subspan(end), next);
      scan_.torn_tail = based_ && !is_group && !all_zero(file_.subspan(end, block));
    }
    const bool no_start = scan_.sequence_next == 0;
    std::uint64_t newest = scan_.generation;
    bool goes_on = false;
    for (std::uint64_t pos = end; pos < file_.size(); pos += disk_block_bytes) {
      Parsed group;
      if (!parse_group(file_.subspan(pos), group)) continue;
      if (!no_start && group.header.store != scan_.store) continue;
      const std::uint64_t generation = group.header.generation;
      if (generation < newest) continue;
      if (generation > newest) goes_on = false;
      newest = generation;
      // Groups of a base are written without waiting, so one may be missing after a crash.
      const bool is_base = group.header.kind == GroupKind::base ||
                           group.header.kind == GroupKind::base_last;
      if (is_base && !based_) continue;
      if (no_start || group.header.sequence >= scan_.sequence_next) goes_on = true;
    }
    scan_.generation = newest;
    if (goes_on) damage(end, "this group cannot be read, but later ones can");
  }

  void damage(std::uint64_t pos, std::string why) {
    scan_.state = JournalState::damaged;
    scan_.damage_pos = pos;
    scan_.why = std::move(why);
  }

  Bytes file_;
  GroupVisitor* visitor_;
  JournalScan scan_;
  std::vector<std::byte> base_;
  bool based_ = false;
};

}  // namespace

std::uint32_t seal_group(const GroupHeader& header, MutableBytes to, std::size_t payload_bytes) {
  const std::size_t end = group_header_bytes + payload_bytes;
  TR_ASSERT(to.size() == group_bytes(payload_bytes));
  std::vector<std::byte> bytes;
  bytes.reserve(group_header_bytes);
  LittleWriter out(bytes);
  out.number(magic);
  out.number(std::uint32_t{0});
  out.uuid(header.store);
  out.number(header.generation);
  out.number(header.sequence);
  out.number(static_cast<std::uint32_t>(payload_bytes));
  out.number(journal_version);
  out.number(static_cast<std::uint16_t>(header.kind));
  out.number(header.previous_crc);
  bytes.resize(group_header_bytes);
  std::memcpy(to.data(), bytes.data(), bytes.size());
  std::memset(to.data() + end, 0, to.size() - end);
  const std::uint32_t crc = crc32c(to.subspan(crc_from, end - crc_from));
  std::memcpy(to.data() + 4, &crc, sizeof crc);
  return crc;
}

void put_hard_state(std::vector<std::byte>& payload, const raft::HardState& state) {
  LittleWriter out(payload);
  out.number(item_hard_state);
  out.number(std::uint32_t{12});
  out.number(state.term);
  out.number(state.vote);
}

void put_entry(std::vector<std::byte>& payload, const raft::Entry& entry) {
  LittleWriter out(payload);
  out.number(item_entry);
  out.number(static_cast<std::uint32_t>(entry_bytes(entry)));
  put_entry_content(out, entry);
}

std::size_t entry_item_bytes(const raft::Entry& entry) {
  return item_header_bytes + entry_bytes(entry);
}

std::vector<std::byte> encode_base(const raft::HardState& state, const raft::Snapshot& snapshot,
                                   std::span<const raft::Entry> entries) {
  std::vector<std::byte> base;
  LittleWriter out(base);
  out.number(state.term);
  out.number(state.vote);
  out.number(snapshot.index);
  out.number(snapshot.term);
  const std::vector<std::byte> configuration = encode_configuration(snapshot.configuration);
  out.number(static_cast<std::uint32_t>(configuration.size()));
  out.raw(configuration);
  out.number(static_cast<std::uint32_t>(snapshot.bytes.size()));
  out.raw(snapshot.bytes);
  out.number(static_cast<std::uint32_t>(entries.size()));
  for (const raft::Entry& entry : entries) {
    out.number(static_cast<std::uint32_t>(entry_bytes(entry)));
    put_entry_content(out, entry);
  }
  return base;
}

bool decode_base(Bytes base, raft::Recovered& recovered) {
  recovered = {};
  LittleReader in(base);
  recovered.hard_state.term = in.number<raft::Term>();
  recovered.hard_state.vote = in.number<raft::NodeId>();
  recovered.snapshot.index = in.number<raft::Index>();
  recovered.snapshot.term = in.number<raft::Term>();
  const Bytes configuration = in.take(in.number<std::uint32_t>());
  const Bytes state = in.take(in.number<std::uint32_t>());
  const std::uint32_t count = in.count(4 + entry_header_bytes);
  if (in.failed()) return false;
  if (!raft::decode_configuration(configuration, recovered.snapshot.configuration)) return false;
  recovered.snapshot.bytes.assign(state.begin(), state.end());
  for (std::uint32_t i = 0; i < count; ++i) {
    raft::Entry entry;
    if (!read_entry(in.take(in.number<std::uint32_t>()), entry)) return false;
    if (!replay_entry(std::move(entry), recovered)) return false;
  }
  return !in.failed() && in.at_end();
}

bool read_log(Bytes payload, raft::Recovered& items) {
  LittleReader in(payload);
  while (!in.at_end()) {
    const auto type = in.number<std::uint8_t>();
    const Bytes content = in.take(in.number<std::uint32_t>());
    if (in.failed()) return false;
    if (type == item_hard_state) {
      LittleReader state(content);
      items.hard_state.term = state.number<raft::Term>();
      items.hard_state.vote = state.number<raft::NodeId>();
      if (state.failed() || !state.at_end()) return false;
    } else if (type == item_entry) {
      if (!read_entry(content, items.entries.emplace_back())) return false;
    } else {
      return false;
    }
  }
  return true;
}

bool replay_log(Bytes payload, raft::Recovered& recovered) {
  raft::Recovered items{recovered.hard_state, {}, {}};
  if (!read_log(payload, items)) return false;
  recovered.hard_state = items.hard_state;
  for (raft::Entry& entry : items.entries) {
    if (!replay_entry(std::move(entry), recovered)) return false;
  }
  return true;
}

JournalScan scan_journal(Bytes file, GroupVisitor* visitor) {
  return Scanner(file, visitor).run();
}

}  // namespace tailrace::control
