// The metadata log's formats: records, and journal files with a checksum that is made right.
#include <algorithm>
#include <vector>

#include "../support/fuzz_target.h"
#include "control/cluster_state.h"
#include "control/dump_metadata.h"
#include "control/journal_format.h"
#include "control/records.h"

namespace {

using namespace tailrace;
using namespace tailrace::control;

// What was read says the same when it is written, and the state it makes has a snapshot.
void try_records(Bytes input) {
  const Result<std::vector<Record>> records = decode_records(input);
  if (!records) return;
  std::vector<std::byte> again;
  ClusterState state;
  for (const Record& record : *records) {
    encode_record(record, again);
    TR_ASSERT(!to_text(record).empty());
    (void)state.apply(record);
  }
  const Result<std::vector<Record>> reread = decode_records(again);
  TR_ASSERT(reread);
  TR_ASSERT(*reread == *records);
  ClusterState restored;
  TR_ASSERT(restored.restore(state.snapshot()));
  TR_ASSERT(restored.snapshot_bytes() == state.snapshot_bytes());
}

// The input as the payload of a group of any kind, after a sound base.
void try_journal(Bytes input, std::uint8_t kind) {
  constexpr std::size_t payload_bytes_max = 2 * disk_block_bytes;
  if (input.size() > payload_bytes_max) return;
  std::vector<std::byte> file;
  GroupHeader header;
  const auto add = [&file, &header](GroupKind group_kind, Bytes payload) {
    const std::size_t at = file.size();
    file.resize(at + group_bytes(payload.size()));
    std::copy(payload.begin(), payload.end(), file.data() + at + group_header_bytes);
    header.kind = group_kind;
    header.previous_crc = seal_group(header, MutableBytes(file).subspan(at), payload.size());
    ++header.sequence;
  };
  raft::Snapshot snapshot;
  snapshot.configuration.voters = {1};
  if (kind % 2 == 0) add(GroupKind::base_last, encode_base({1, 1}, snapshot, {}));
  add(static_cast<GroupKind>(kind / 2 % 6), input);
  (void)dump_metadata(file, [](std::string_view line) { TR_ASSERT(!line.empty()); });
  JournalScan scan = scan_journal(file);
  if (scan.state != JournalState::whole) return;
  (void)raft::Raft(1, std::move(scan.recovered)).valid();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  try_records(input);
  (void)scan_journal(input);
  const std::uint8_t kind = fuzz::take_choice(input);
  try_journal(input, kind);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  const PartitionRecord partition{1, 0, 1, {1}, {1}};
  Uuid id;
  id.bytes.fill(7);
  const Record samples[] = {
      ClusterRecord{"cluster"}, NodeRecord{1, "r", {{"h", 9092}}},
      TopicRecord{id, "t", false, {partition}, {{"a", "b"}}},
      PartitionsAddedRecord{id, {partition}}, TopicConfigRecord{id, {{"a", std::nullopt}}},
      BrokerConfigRecord{-1, {{"c", "d"}}}, ProducerIdsRecord{1000},
      PartitionChangedRecord{id, 0, partition},
      ClientQuotaRecord{{{"user", std::nullopt}}, "q", 2.5},
      GroupConfigRecord{"g", {{"c", "d"}, {"e", std::nullopt}}}, TopicDeletedRecord{id}};
  std::vector<std::string> seeds;
  std::vector<std::byte> all;
  for (const Record& record : samples) {
    std::vector<std::byte> bytes;
    encode_record(record, bytes);
    all.insert(all.end(), bytes.begin(), bytes.end());
    seeds.emplace_back(as_text(bytes));
  }
  seeds.emplace_back(as_text(all));
  std::vector<std::byte> log = {std::byte{4}};
  put_hard_state(log, {2, 1});
  put_entry(log, {1, 2, raft::EntryKind::data, all});
  seeds.emplace_back(as_text(log));
  return seeds;
}
