// Records of __consumer_offsets: a key and a value, of any kind. Input: a byte that chooses, then
// the bytes.
#include "../support/fuzz_target.h"
#include "control/consumer_group_records.h"
#include "control/consumer_protocol.h"
#include "control/group_records.h"
#include "control/internal_topics.h"

namespace {

using namespace tailrace;
using namespace tailrace::control;

void try_key(Bytes input) {
  const Result<RecordKey> key = parse_record_key(input);
  if (!key || key->kind == RecordKey::Kind::other) return;
  ByteString again;
  switch (key->kind) {
    case RecordKey::Kind::group: again = encode_group_key(key->group); break;
    case RecordKey::Kind::offset:
      again = encode_offset_key(key->group, key->topic, key->partition);
      break;
    case RecordKey::Kind::consumer_group:
    case RecordKey::Kind::consumer_member:
    case RecordKey::Kind::target_epoch:
    case RecordKey::Kind::target:
    case RecordKey::Kind::current_assignment:
      again = encode_consumer_key(key->kind, key->group, key->member);
      break;
    case RecordKey::Kind::other: return;
  }
  const Result<RecordKey> reread = parse_record_key(again);
  TR_ASSERT(reread);
  TR_ASSERT(reread->group == key->group);
  TR_ASSERT(reread->topic == key->topic);
  TR_ASSERT(reread->member == key->member);
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

void try_consumer_values(Bytes input) {
  if (const auto group = parse_consumer_group(input)) {
    TR_ASSERT(*parse_consumer_group(encode_value(*group)) == *group);
  }
  if (const auto member = parse_consumer_member(input)) {
    TR_ASSERT(*parse_consumer_member(encode_value(*member)) == *member);
  }
  if (const auto epoch = parse_target_epoch(input)) {
    TR_ASSERT(*parse_target_epoch(encode_target_epoch(*epoch)) == *epoch);
  }
  if (const auto target = parse_target(input)) {
    TR_ASSERT(*parse_target(encode_target(*target)) == *target);
  }
  if (const auto current = parse_current_assignment(input)) {
    TR_ASSERT(*parse_current_assignment(encode_value(*current)) == *current);
  }
}

// What members of the classic protocol say, which is opaque but where a group changes its kind.
void try_client_bytes(Bytes input) {
  if (const auto wanted = parse_subscription(input)) TR_ASSERT(wanted->version >= 0);
  if (const auto given = parse_client_assignment(input)) {
    TR_ASSERT(parse_client_assignment(encode_client_assignment(1, *given)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t kind = fuzz::take_choice(input);
  if (input.size() > INT16_MAX) return 0;  // Longer names can be read, but are never written.
  switch (kind % 4) {
    case 0: try_key(input); break;
    case 1: try_values(input); break;
    case 2: try_consumer_values(input); break;
    case 3: try_client_bytes(input); break;
  }
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  GroupRecord group;
  group.protocol_type = "consumer";
  group.protocol = "range";
  group.leader = "a";
  group.members = {{.id = "a", .instance_id = "i", .subscription = ByteString(9),
                    .assignment = ByteString(9)}};
  ConsumerMemberRecord member{.instance_id = "i", .client_id = "c", .topics = {"a", "b"},
                              .regex = "a.*", .assignor = "uniform"};
  member.classic = ClassicMember{1, {{"range", ByteString(3)}}};
  const Assignment some = {{Uuid{{1}}, 0}, {Uuid{{1}}, 4}, {Uuid{{2}}, 0}};
  std::vector<std::string> seeds;
  for (const auto& [kind, bytes] : {std::pair{'\0', encode_offset_key("group", "topic", 3)},
                                    std::pair{'\0', encode_group_key("group")},
                                    std::pair{'\1', encode_offset_value({5, 1, "text", 9})},
                                    std::pair{'\1', encode_group_value(group)},
                                    std::pair{'\0', encode_consumer_key(
                                        RecordKey::Kind::target, "group", "member")},
                                    std::pair{'\2', encode_value(ConsumerGroupRecord{3, 9})},
                                    std::pair{'\2', encode_value(member)},
                                    std::pair{'\2', encode_target(some)},
                                    std::pair{'\2', encode_value(CurrentAssignmentRecord{
                                        3, 2, MemberState::unrevoked, some, some})},
                                    std::pair{'\3', encode_client_assignment(
                                        1, {{"t", 0}, {"t", 1}, {"u", 0}})}}) {
    seeds.push_back(kind + std::string(as_text(bytes)));
  }
  return seeds;
}
