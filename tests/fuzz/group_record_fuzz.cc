// Records of __consumer_offsets: a key and a value, of any kind. Input: a byte that chooses, then
// the bytes.
#include "../support/fuzz_target.h"
#include "control/group_records.h"
#include "control/internal_topics.h"

namespace {

using namespace tailrace;
using namespace tailrace::control;

void try_key(Bytes input) {
  const Result<RecordKey> key = parse_record_key(input);
  if (!key || key->kind == RecordKey::Kind::other) return;
  const bool is_group = key->kind == RecordKey::Kind::group;
  const ByteString again = is_group ? encode_group_key(key->group)
                                    : encode_offset_key(key->group, key->topic, key->partition);
  const Result<RecordKey> reread = parse_record_key(again);
  TR_ASSERT(reread);
  TR_ASSERT(reread->group == key->group);
  TR_ASSERT(reread->topic == key->topic);
  const std::int32_t partition = partition_of_group(key->group, 50);
  TR_ASSERT(partition >= 0);
  TR_ASSERT(partition < 50);
}

// What was read says the same when it is written.
void try_values(Bytes input) {
  if (const Result<OffsetRecord> offset = parse_offset_value(input)) {
    TR_ASSERT(*parse_offset_value(encode_offset_value(*offset)) == *offset);
  }
  if (const Result<GroupRecord> group = parse_group_value(input)) {
    TR_ASSERT(*parse_group_value(encode_group_value(*group)) == *group);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t kind = fuzz::take_choice(input);
  if (input.size() > INT16_MAX) return 0;  // Longer names can be read, but are never written.
  if (kind % 2 == 0) try_key(input);
  else try_values(input);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  GroupRecord group;
  group.protocol_type = "consumer";
  group.protocol = "range";
  group.leader = "a";
  group.members = {{.id = "a", .instance_id = "i", .subscription = ByteString(9),
                    .assignment = ByteString(9)}};
  std::vector<std::string> seeds;
  for (const auto& [kind, bytes] : {std::pair{'\0', encode_offset_key("group", "topic", 3)},
                                    std::pair{'\0', encode_group_key("group")},
                                    std::pair{'\1', encode_offset_value({5, 1, "text", 9})},
                                    std::pair{'\1', encode_group_value(group)}}) {
    seeds.push_back(kind + std::string(as_text(bytes)));
  }
  return seeds;
}
