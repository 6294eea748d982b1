// What the API files of the control plane share: the request with all it is checked against, and
// the ways to say no and to build a reply.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/prng.h"
#include "bus/message.h"
#include "control/cluster_state.h"
#include "control/control_answer.h"
#include "control/limits.h"
#include "kafka/errors.h"

namespace tailrace::control {

// What a request comes to.
struct Outcome {
  // One log entry each, in this order; empty when nothing is to be committed.
  std::vector<std::vector<std::byte>> entries;
  // The response after its header, valid once the entries are committed and shown.
  std::vector<std::byte> reply;
  bool has_error = false;  // an error code is in it
  // The request makes no sense: there is no reply.
  bool close_connection = false;
  // For how long the client is to wait, for a quota.
  std::uint32_t throttle_ms = 0;
};

// Why something is refused; empty (ErrorCode::none) when it is not.
struct Refusal {
  kafka::ErrorCode code = kafka::ErrorCode::none;
  std::string message;

  bool refused() const { return code != kafka::ErrorCode::none; }
  std::int16_t wire_code() const { return kafka::to_wire(code); }
};

class MutationQuota;

struct RequestContext {
  const Limits& limits;
  bus::NodeId node_id;
  const ClusterState& state;
  Prng& prng;
  Arena& arena;
  const bus::ControlRequest& request;
  // By how much the metadata may still grow.
  std::uint64_t room_bytes = 0;
  // Set: answer everything in the request with this instead of working on it.
  Refusal refuse_all;

  Outcome outcome;
  std::deque<std::string> texts;
  MutationQuota* mutations = nullptr;  // null: not counted
  std::size_t groups_made = 0;         // that had no configs before this request

  // A message that lives until the reply is encoded; null when there is none. Cut, because old
  // versions have 15-bit lengths and a value in it may be long.
  kafka::NullableString text(std::string message) {
    constexpr std::size_t text_bytes_max = 1000;
    if (message.empty()) return nullptr;
    if (message.size() > text_bytes_max) message.resize(text_bytes_max);
    return std::string_view(texts.emplace_back(std::move(message)));
  }

  template <class Request>
  Result<Request> decode() {
    return decode_body<Request>(request, arena);
  }

  template <class Response>
  Outcome answer(const Response& content) {
    outcome.throttle_ms = std::max(outcome.throttle_ms, request.throttle_ms);
    EncodedReply reply = encode_reply(content, request.api_version, outcome.throttle_ms);
    outcome.reply = std::move(reply.bytes);
    outcome.has_error = reply.has_error;
    return std::move(outcome);
  }
  Outcome cannot_decode() {
    outcome.close_connection = true;
    return std::move(outcome);
  }

  // Before partitions are made or deleted: may the client change so many now? `strict_from`: the
  // first version whose clients know the refusal; older ones are served and made to wait.
  Refusal count_mutations(std::size_t partitions, std::int16_t strict_from);

  // Adds a change to what is to be committed. A change that makes the metadata larger is refused
  // when they may not grow.
  Refusal commit(const Record& record, bool grows) {
    std::vector<std::byte> entry;
    encode_record(record, entry);
    if (entry.size() > limits.entry_bytes_max) {
      return {kafka::ErrorCode::policy_violation, "The change is too large for the metadata log."};
    }
    if (grows && entry.size() > room_bytes) {
      return {kafka::ErrorCode::kafka_storage_error,
              "The metadata log cannot grow: the disk is full. Topics can still be deleted."};
    }
    if (grows) room_bytes -= entry.size();
    outcome.entries.push_back(std::move(entry));
    return {};
  }
};

// The APIs. Each decodes the request, fills context.outcome and gives it back.
Outcome create_topics(RequestContext& context);
Outcome delete_topics(RequestContext& context);
Outcome create_partitions(RequestContext& context);
Outcome alter_configs(RequestContext& context);
Outcome incremental_alter_configs(RequestContext& context);
Outcome find_coordinator(RequestContext& context);
Outcome elect_leaders(RequestContext& context);
Outcome alter_partition_reassignments(RequestContext& context);
Outcome list_partition_reassignments(RequestContext& context);
Outcome describe_client_quotas(RequestContext& context);
Outcome alter_client_quotas(RequestContext& context);
Outcome update_features(RequestContext& context);
Outcome unregister_broker(RequestContext& context);

}  // namespace tailrace::control
