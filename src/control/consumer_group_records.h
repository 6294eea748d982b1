// The records of groups of the consumer protocol (KIP-848) in __consumer_offsets, in Kafka's own
// format.
//
//   key: version i16, group id, for members the member id; not flexible
//     3 the group's epoch       5 a member            6 epoch of the target assignment
//     7 a member's target       8 what a member has   (4 and 16 can be told from topics again)
//   value: version i16 (0), content, flexible; without value: taken back
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/assignor.h"
#include "control/group_records.h"

namespace tailrace::control {

struct ConsumerGroupRecord {
  std::int32_t epoch = 0;
  std::uint64_t metadata_hash = 0;
  friend bool operator==(const ConsumerGroupRecord&, const ConsumerGroupRecord&) = default;
};

// Of a member that speaks the classic protocol in a group of the new one.
struct ClassicMember {
  struct Protocol {
    std::string name;
    ByteString metadata;
    friend bool operator==(const Protocol&, const Protocol&) = default;
  };
  std::int32_t session_timeout_ms = 0;
  std::vector<Protocol> protocols;
  friend bool operator==(const ClassicMember&, const ClassicMember&) = default;
};

struct ConsumerMemberRecord {
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::string client_id;
  std::string client_host;
  std::vector<std::string> topics;
  std::optional<std::string> regex;
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::string> assignor;
  std::optional<ClassicMember> classic;
  friend bool operator==(const ConsumerMemberRecord&, const ConsumerMemberRecord&) = default;
};

enum class MemberState : std::int8_t { stable = 0, unrevoked = 1, unreleased = 2 };

struct CurrentAssignmentRecord {
  std::int32_t epoch = 0;
  std::int32_t previous_epoch = -1;
  MemberState state = MemberState::stable;
  Assignment assigned;
  Assignment revoking;
  friend bool operator==(const CurrentAssignmentRecord&, const CurrentAssignmentRecord&) = default;
};

// `member` is empty for kinds that are of the group.
ByteString encode_consumer_key(RecordKey::Kind kind, std::string_view group,
                               std::string_view member = {});
ByteString encode_value(const ConsumerGroupRecord& record);
ByteString encode_value(const ConsumerMemberRecord& record);
ByteString encode_target_epoch(std::int32_t epoch);
ByteString encode_target(const Assignment& target);
ByteString encode_value(const CurrentAssignmentRecord& record);

// Any bytes may be given. Errors: truncated, malformed; unsupported for a newer version.
Result<ConsumerGroupRecord> parse_consumer_group(Bytes value);
Result<ConsumerMemberRecord> parse_consumer_member(Bytes value);
Result<std::int32_t> parse_target_epoch(Bytes value);
Result<Assignment> parse_target(Bytes value);
Result<CurrentAssignmentRecord> parse_current_assignment(Bytes value);

}  // namespace tailrace::control
