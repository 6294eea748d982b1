// The records of __consumer_offsets, in Kafka's own format, so that Kafka's tools can read the
// topic and a topic of Kafka's can be read here.
//
//   key: version i16 (0, 1: an offset; 2: a group; 3 and 5 to 8: the consumer protocol, see
//   control/consumer_group_records.h; others belong to protocols not spoken here)
//   value: version i16, content; a record without value takes back what was under its key
//
// Written are offset values of version 3 and group values of version 3, as Kafka 4 does; all
// versions are read. An offset with a time of its own is written in version 1, the only one that
// has a place for it (and none for the leader epoch).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "control/record_bytes.h"

namespace tailrace::control {

struct OffsetRecord {
  std::int64_t offset = -1;
  std::int32_t leader_epoch = -1;
  std::string metadata;
  std::int64_t commit_ms = -1;
  std::int64_t expire_ms = -1;  // -1: as the node keeps offsets
  std::uint64_t order = 0;  // not in the record: when it was read or became durable here
  friend bool operator==(const OffsetRecord&, const OffsetRecord&) = default;
};

struct MemberRecord {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::int32_t rebalance_timeout_ms = 0;
  std::int32_t session_timeout_ms = 0;
  ByteString subscription;  // under the group's protocol
  ByteString assignment;
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

struct GroupRecord {
  std::string protocol_type;
  std::int32_t generation = 0;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  std::int64_t state_ms = -1;  // since when it is in its state
  std::vector<MemberRecord> members;
  friend bool operator==(const GroupRecord&, const GroupRecord&) = default;
};

ByteString encode_offset_key(std::string_view group, std::string_view topic,
                             std::int32_t partition);
ByteString encode_offset_value(const OffsetRecord& record);
ByteString encode_group_key(std::string_view group);
ByteString encode_group_value(const GroupRecord& record);

struct RecordKey {
  enum class Kind : std::uint8_t {
    offset, group,
    // Of the consumer protocol: control/consumer_group_records.h.
    consumer_group, consumer_member, target_epoch, target, current_assignment,
    other,
  };
  Kind kind = Kind::other;
  std::string_view group;
  std::string_view member;      // of a record of a member in the consumer protocol
  std::string_view topic;       // of an offset
  std::int32_t partition = -1;  // likewise
};

// Any bytes may be given. Errors: truncated, malformed; unsupported for a newer version.
Result<RecordKey> parse_record_key(Bytes key);
Result<OffsetRecord> parse_offset_value(Bytes value);
Result<GroupRecord> parse_group_value(Bytes value);

}  // namespace tailrace::control
