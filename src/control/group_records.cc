#include "control/group_records.h"

#include "control/optional_text.h"
#include "control/record_bytes.h"
#include "kafka/wire.h"

namespace tailrace::control {
namespace {

constexpr std::int16_t offset_key_version = 1;
constexpr std::int16_t group_key_version = 2;
constexpr std::int16_t value_version = 3;
constexpr std::int16_t expiring_offset_version = 1;
// From here on strings are compact and tags follow (KIP-915).
constexpr std::int16_t first_flexible = 4;
constexpr std::int16_t value_version_max = 4;

Result<std::int16_t> take_version(kafka::Reader& in) {
  const auto version = in.integer<std::int16_t>();
  if (in.failed()) return fail(in.error());
  if (version < 0) return fail(Errc::malformed);
  if (version > value_version_max) return fail(Errc::unsupported);
  return version;
}

RecordKey::Kind kind_of(std::int16_t key_version) {
  switch (key_version) {
    case 0:
    case offset_key_version: return RecordKey::Kind::offset;
    case group_key_version: return RecordKey::Kind::group;
    case 3: return RecordKey::Kind::consumer_group;
    case 5: return RecordKey::Kind::consumer_member;
    case 6: return RecordKey::Kind::target_epoch;
    case 7: return RecordKey::Kind::target;
    case 8: return RecordKey::Kind::current_assignment;
    default: return RecordKey::Kind::other;
  }
}

bool is_of_member(RecordKey::Kind kind) {
  return kind == RecordKey::Kind::consumer_member || kind == RecordKey::Kind::target ||
         kind == RecordKey::Kind::current_assignment;
}

MemberRecord read_member(kafka::Reader& in, std::int16_t version) {
  const bool flexible = version >= first_flexible;
  MemberRecord member;
  member.id = in.string(flexible);
  if (version >= 3) member.instance_id = optional_of(in.nullable_string(flexible));
  member.client_id = in.string(flexible);
  member.client_host = in.string(flexible);
  if (version >= 1) member.rebalance_timeout_ms = in.integer<std::int32_t>();
  member.session_timeout_ms = in.integer<std::int32_t>();
  // Before there were two, the session's was the rebalance's as well.
  if (version < 1) member.rebalance_timeout_ms = member.session_timeout_ms;
  member.subscription = copy_of(in.bytes(flexible));
  member.assignment = copy_of(in.bytes(flexible));
  if (flexible) in.skip_tags();
  return member;
}

void write_group(kafka::Writer& out, const GroupRecord& record) {
  out.integer(value_version);
  out.string(record.protocol_type, false);
  out.integer(record.generation);
  out.nullable_string(nullable(record.protocol), false);
  out.nullable_string(nullable(record.leader), false);
  out.integer(record.state_ms);
  out.array_count(static_cast<std::int64_t>(record.members.size()), false);
  for (const MemberRecord& member : record.members) {
    out.string(member.id, false);
    out.nullable_string(nullable(member.instance_id), false);
    out.string(member.client_id, false);
    out.string(member.client_host, false);
    out.integer(member.rebalance_timeout_ms);
    out.integer(member.session_timeout_ms);
    out.bytes(member.subscription, false);
    out.bytes(member.assignment, false);
  }
}

}  // namespace

ByteString encode_offset_key(std::string_view group, std::string_view topic,
                             std::int32_t partition) {
  return encoded([&](kafka::Writer& out) {
    out.integer(offset_key_version);
    out.string(group, false);
    out.string(topic, false);
    out.integer(partition);
  });
}

ByteString encode_offset_value(const OffsetRecord& record) {
  return encoded([&](kafka::Writer& out) {
    const bool expires = record.expire_ms >= 0;
    out.integer(expires ? expiring_offset_version : value_version);
    out.integer(record.offset);
    if (!expires) out.integer(record.leader_epoch);
    out.string(record.metadata, false);
    out.integer(record.commit_ms);
    if (expires) out.integer(record.expire_ms);
  });
}

ByteString encode_group_key(std::string_view group) {
  return encoded([&](kafka::Writer& out) {
    out.integer(group_key_version);
    out.string(group, false);
  });
}

ByteString encode_group_value(const GroupRecord& record) {
  return encoded([&](kafka::Writer& out) { write_group(out, record); });
}

Result<RecordKey> parse_record_key(Bytes bytes) {
  kafka::Reader in(bytes);
  RecordKey key;
  const auto version = in.integer<std::int16_t>();
  if (in.failed()) return fail(in.error());
  if (version < 0) return fail(Errc::malformed);
  key.kind = kind_of(version);
  if (key.kind == RecordKey::Kind::other) return key;
  key.group = in.string(false);
  if (key.kind == RecordKey::Kind::offset) {
    key.topic = in.string(false);
    key.partition = in.integer<std::int32_t>();
  } else if (is_of_member(key.kind)) {
    key.member = in.string(false);
  }
  if (in.failed()) return fail(in.error());
  return key;
}

Result<OffsetRecord> parse_offset_value(Bytes bytes) {
  kafka::Reader in(bytes);
  const Result<std::int16_t> version = take_version(in);
  if (!version) return fail(version.error());
  const bool flexible = *version >= first_flexible;
  OffsetRecord record;
  record.offset = in.integer<std::int64_t>();
  if (*version >= 3) record.leader_epoch = in.integer<std::int32_t>();
  record.metadata = in.string(flexible);
  record.commit_ms = in.integer<std::int64_t>();
  if (*version == expiring_offset_version) record.expire_ms = in.integer<std::int64_t>();
  if (flexible) in.skip_tags();
  if (in.failed()) return fail(in.error());
  if (record.expire_ms < 0) record.expire_ms = -1;
  return record;
}

Result<GroupRecord> parse_group_value(Bytes bytes) {
  kafka::Reader in(bytes);
  const Result<std::int16_t> version = take_version(in);
  if (!version) return fail(version.error());
  const bool flexible = *version >= first_flexible;
  GroupRecord record;
  record.protocol_type = in.string(flexible);
  record.generation = in.integer<std::int32_t>();
  record.protocol = optional_of(in.nullable_string(flexible));
  record.leader = optional_of(in.nullable_string(flexible));
  if (*version >= 2) record.state_ms = in.integer<std::int64_t>();
  for (std::int64_t left = in.array_count(flexible); left > 0 && !in.failed(); --left) {
    record.members.push_back(read_member(in, *version));
  }
  if (flexible) in.skip_tags();
  if (in.failed()) return fail(in.error());
  return record;
}

}  // namespace tailrace::control
