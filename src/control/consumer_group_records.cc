#include "control/consumer_group_records.h"

#include <algorithm>

#include "control/optional_text.h"
#include "control/record_bytes.h"
#include "kafka/wire.h"

namespace tailrace::control {
namespace {

constexpr std::int16_t value_version = 0;
constexpr std::uint64_t hash_tag = 0;
constexpr std::uint64_t classic_tag = 0;

// A reader behind the version, or one that has failed.
kafka::Reader open(Bytes value) {
  kafka::Reader in(value);
  const auto version = in.integer<std::int16_t>();
  if (!in.failed() && version != value_version) {
    in.fail_with(version < 0 ? Errc::malformed : Errc::unsupported);
  }
  return in;
}

// Partitions of one topic follow each other.
void write_assignment(kafka::Writer& out, const Assignment& assignment) {
  std::int64_t topics = 0;
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    topics += i == 0 || assignment[i].topic != assignment[i - 1].topic ? 1 : 0;
  }
  out.array_count(topics, true);
  for (std::size_t from = 0; from < assignment.size();) {
    std::size_t end = from;
    while (end < assignment.size() && assignment[end].topic == assignment[from].topic) ++end;
    out.uuid(assignment[from].topic);
    out.array_count(static_cast<std::int64_t>(end - from), true);
    for (; from < end; ++from) out.integer(assignment[from].partition);
    out.uvarint(0);
  }
}

Assignment read_assignment(kafka::Reader& in) {
  Assignment assignment;
  for (std::int64_t topics = in.array_count(true); topics > 0 && !in.failed(); --topics) {
    const Uuid topic = in.uuid();
    for (std::int64_t left = in.array_count(true); left > 0 && !in.failed(); --left) {
      assignment.push_back({topic, in.integer<std::int32_t>()});
    }
    in.skip_tags();
  }
  std::sort(assignment.begin(), assignment.end());
  assignment.erase(std::unique(assignment.begin(), assignment.end()), assignment.end());
  return assignment;
}

// Calls `read(tag, content)` for each.
template <class Read>
void read_tags(kafka::Reader& in, Read read) {
  for (std::uint64_t count = in.uvarint(); count > 0 && !in.failed(); --count) {
    const std::uint64_t tag = in.uvarint();
    kafka::Reader content(in.take(in.uvarint()));
    if (in.failed()) return;
    read(tag, content);
    if (content.failed()) in.fail_with(content.error().code);
  }
}

void write_classic(kafka::Writer& out, const ClassicMember& classic) {
  out.integer(classic.session_timeout_ms);
  out.array_count(static_cast<std::int64_t>(classic.protocols.size()), true);
  for (const ClassicMember::Protocol& protocol : classic.protocols) {
    out.string(protocol.name, true);
    out.bytes(protocol.metadata, true);
    out.uvarint(0);
  }
  out.uvarint(0);
}

// A tagged struct that may be null begins with a byte that says whether it is.
std::optional<ClassicMember> read_classic(kafka::Reader& in) {
  if (in.integer<std::int8_t>() < 0) return std::nullopt;
  ClassicMember classic;
  classic.session_timeout_ms = in.integer<std::int32_t>();
  for (std::int64_t left = in.array_count(true); left > 0 && !in.failed(); --left) {
    ClassicMember::Protocol& protocol = classic.protocols.emplace_back();
    protocol.name = in.string(true);
    protocol.metadata = copy_of(in.bytes(true));
    in.skip_tags();
  }
  in.skip_tags();
  return classic;
}

std::int16_t key_version(RecordKey::Kind kind) {
  switch (kind) {
    case RecordKey::Kind::consumer_group: return 3;
    case RecordKey::Kind::consumer_member: return 5;
    case RecordKey::Kind::target_epoch: return 6;
    case RecordKey::Kind::target: return 7;
    case RecordKey::Kind::current_assignment: return 8;
    case RecordKey::Kind::offset:
    case RecordKey::Kind::group:
    case RecordKey::Kind::other: break;  // Have their own encoders, or none.
  }
  TR_ASSERT(false);
  return -1;
}

}  // namespace

ByteString encode_consumer_key(RecordKey::Kind kind, std::string_view group,
                               std::string_view member) {
  return encoded([&](kafka::Writer& out) {
    out.integer(key_version(kind));
    out.string(group, false);
    const bool is_group = kind == RecordKey::Kind::consumer_group ||
                          kind == RecordKey::Kind::target_epoch;
    if (!is_group) out.string(member, false);
  });
}

ByteString encode_value(const ConsumerGroupRecord& record) {
  return encoded([&](kafka::Writer& out) {
    out.integer(value_version);
    out.integer(record.epoch);
    const bool has_hash = record.metadata_hash != 0;
    out.uvarint(has_hash ? 1 : 0);
    if (!has_hash) return;
    out.uvarint(hash_tag);
    out.uvarint(sizeof record.metadata_hash);
    out.integer(static_cast<std::int64_t>(record.metadata_hash));
  });
}

ByteString encode_value(const ConsumerMemberRecord& record) {
  return encoded([&](kafka::Writer& out) {
    out.integer(value_version);
    out.nullable_string(nullable(record.instance_id), true);
    out.nullable_string(nullable(record.rack_id), true);
    out.string(record.client_id, true);
    out.string(record.client_host, true);
    out.array_count(static_cast<std::int64_t>(record.topics.size()), true);
    for (const std::string& topic : record.topics) out.string(topic, true);
    out.nullable_string(nullable(record.regex), true);
    out.integer(record.rebalance_timeout_ms);
    out.nullable_string(nullable(record.assignor), true);
    out.uvarint(record.classic ? 1 : 0);
    if (!record.classic) return;
    kafka::Writer size = kafka::Writer::counter();
    write_classic(size, *record.classic);
    out.uvarint(classic_tag);
    out.uvarint(size.size() + 1);
    out.integer(std::int8_t{1});
    write_classic(out, *record.classic);
  });
}

ByteString encode_target_epoch(std::int32_t epoch) {
  return encoded([&](kafka::Writer& out) {
    out.integer(value_version);
    out.integer(epoch);
    out.uvarint(0);
  });
}

ByteString encode_target(const Assignment& target) {
  return encoded([&](kafka::Writer& out) {
    out.integer(value_version);
    write_assignment(out, target);
    out.uvarint(0);
  });
}

ByteString encode_value(const CurrentAssignmentRecord& record) {
  return encoded([&](kafka::Writer& out) {
    out.integer(value_version);
    out.integer(record.epoch);
    out.integer(record.previous_epoch);
    out.integer(static_cast<std::int8_t>(record.state));
    write_assignment(out, record.assigned);
    write_assignment(out, record.revoking);
    out.uvarint(0);
  });
}

Result<ConsumerGroupRecord> parse_consumer_group(Bytes value) {
  kafka::Reader in = open(value);
  ConsumerGroupRecord record;
  record.epoch = in.integer<std::int32_t>();
  read_tags(in, [&record](std::uint64_t tag, kafka::Reader& content) {
    if (tag != hash_tag) return;
    record.metadata_hash = static_cast<std::uint64_t>(content.integer<std::int64_t>());
  });
  if (in.failed()) return fail(in.error());
  return record;
}

Result<ConsumerMemberRecord> parse_consumer_member(Bytes value) {
  kafka::Reader in = open(value);
  ConsumerMemberRecord record;
  record.instance_id = optional_of(in.nullable_string(true));
  record.rack_id = optional_of(in.nullable_string(true));
  record.client_id = in.string(true);
  record.client_host = in.string(true);
  for (std::int64_t left = in.array_count(true); left > 0 && !in.failed(); --left) {
    record.topics.emplace_back(in.string(true));
  }
  record.regex = optional_of(in.nullable_string(true));
  record.rebalance_timeout_ms = in.integer<std::int32_t>();
  record.assignor = optional_of(in.nullable_string(true));
  read_tags(in, [&record](std::uint64_t tag, kafka::Reader& content) {
    if (tag == classic_tag) record.classic = read_classic(content);
  });
  if (in.failed()) return fail(in.error());
  return record;
}

Result<std::int32_t> parse_target_epoch(Bytes value) {
  kafka::Reader in = open(value);
  const auto epoch = in.integer<std::int32_t>();
  in.skip_tags();
  if (in.failed()) return fail(in.error());
  return epoch;
}

Result<Assignment> parse_target(Bytes value) {
  kafka::Reader in = open(value);
  Assignment target = read_assignment(in);
  in.skip_tags();
  if (in.failed()) return fail(in.error());
  return target;
}

Result<CurrentAssignmentRecord> parse_current_assignment(Bytes value) {
  kafka::Reader in = open(value);
  CurrentAssignmentRecord record;
  record.epoch = in.integer<std::int32_t>();
  record.previous_epoch = in.integer<std::int32_t>();
  const auto state = in.integer<std::int8_t>();
  record.assigned = read_assignment(in);
  record.revoking = read_assignment(in);
  in.skip_tags();
  if (in.failed()) return fail(in.error());
  if (state < 0 || state > static_cast<std::int8_t>(MemberState::unreleased)) {
    return fail(Errc::unsupported);
  }
  record.state = static_cast<MemberState>(state);
  return record;
}

}  // namespace tailrace::control
