#include "broker/dispatch.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "broker/answer.h"
#include "broker/core.h"
#include "broker/scatter.h"

namespace tailrace::broker {
namespace {

using kafka::ApiKey;

// With less answer memory free than this no request is begun: those at work need it to end.
constexpr std::size_t answer_reserve_bytes = 64U << 10;

// Produce is advertised from version 0 (kafka/apis.def says why) and spoken from 3.
constexpr std::int16_t produce_version_min = 3;

Started run(Core& core, Call& call, Now now) {
  switch (static_cast<ApiKey>(call.header.api_key)) {
    case ApiKey::produce: return start_produce(core, call, now);
    case ApiKey::fetch: return start_fetch(core, call, now);
    case ApiKey::list_offsets: return start_list_offsets(core, call, now);
    case ApiKey::metadata: return start_metadata(core, call, now);
    case ApiKey::api_versions: return start_api_versions(core, call, now);
    case ApiKey::delete_records: return start_delete_records(core, call, now);
    case ApiKey::offset_for_leader_epoch:
      return start_offset_for_leader_epoch(core, call, now);
    case ApiKey::describe_configs: return start_describe_configs(core, call, now);
    case ApiKey::describe_log_dirs: return start_describe_log_dirs(core, call, now);
    case ApiKey::describe_cluster: return start_describe_cluster(core, call, now);
    case ApiKey::describe_producers: return start_describe_producers(core, call, now);
    case ApiKey::describe_topic_partitions:
      return start_describe_topic_partitions(core, call, now);
    case ApiKey::list_config_resources: return start_list_config_resources(core, call, now);
    case ApiKey::alter_replica_log_dirs: return start_alter_replica_log_dirs(core, call, now);
    case ApiKey::elect_leaders:
    case ApiKey::alter_partition_reassignments:
    case ApiKey::list_partition_reassignments:
    case ApiKey::describe_client_quotas:
    case ApiKey::alter_client_quotas:
    case ApiKey::describe_quorum:
    case ApiKey::update_features:
    case ApiKey::unregister_broker:
    case ApiKey::create_topics:
    case ApiKey::delete_topics:
    case ApiKey::init_producer_id:
    case ApiKey::alter_configs:
    case ApiKey::create_partitions:
    case ApiKey::offset_commit:
    case ApiKey::offset_fetch:
    case ApiKey::find_coordinator:
    case ApiKey::join_group:
    case ApiKey::heartbeat:
    case ApiKey::leave_group:
    case ApiKey::sync_group:
    case ApiKey::describe_groups:
    case ApiKey::list_groups:
    case ApiKey::delete_groups:
    case ApiKey::offset_delete:
    case ApiKey::add_partitions_to_txn:
    case ApiKey::add_offsets_to_txn:
    case ApiKey::end_txn:
    case ApiKey::write_txn_markers:
    case ApiKey::txn_offset_commit:
    case ApiKey::describe_transactions:
    case ApiKey::list_transactions:
    case ApiKey::consumer_group_heartbeat:
    case ApiKey::consumer_group_describe:
    case ApiKey::incremental_alter_configs: return start_control(core, call, now);
  }
  return Started::close;
}

bool is_spoken(const kafka::ApiInfo& api, std::int16_t version) {
  if (api.key == ApiKey::produce && version < produce_version_min) return false;
  return version >= api.version_min && version <= api.version_max;
}

Started refuse(const Call& call) {
  log_event(LogLevel::warn, "broker", "client {}: api {} version {} is not spoken: closed",
            call.session.peer_host.text(), call.header.api_key, call.header.api_version);
  return Started::close;
}

Started dispatch(Core& core, Call& call, Now now) {
  const kafka::ApiInfo* api = kafka::find_api(call.header.api_key);
  if (api == nullptr) return refuse(call);
  if (!is_spoken(*api, call.header.api_version)) {
    return api->key == ApiKey::api_versions ? refuse_api_versions(core, call) : refuse(call);
  }
  return run(core, call, now);
}

Request& add_request(Core& core, Session& session, const kafka::RequestHeader& header, Now now) {
  const Handle<Request> id = core.requests.insert();
  Request& request = core.requests.at(id);
  request.id = id;
  request.session = session.id;
  request.listener = session.listener;
  request.api_key = header.api_key;
  request.api_version = header.api_version;
  request.correlation_id = header.correlation_id;
  request.started = now.instant;
  session.requests.push_back(request);
  ++session.request_count;
  ++session.unanswered_count;
  if (!is_api(request, ApiKey::produce)) ++session.unanswered_others;
  return request;
}

// As if it had never begun: what was received stays the session's.
void undo_request(Core& core, Session& session, Request& request, bool in_place) {
  if (!in_place && !request.frame.empty()) {
    session.frame = request.frame;
    request.frame = {};
  }
  TR_ASSERT(request.messages_out == 0);
  TR_ASSERT(request.control == nullptr);
  session.requests.remove(request);
  --session.request_count;
  --session.unanswered_count;
  if (!is_api(request, ApiKey::produce)) --session.unanswered_others;
  core.deadlines.remove(request);
  core.answer_memory.free(request.answer);
  core.answer_memory.free(request.memory);
  core.answer_memory.free(request.ask);
  core.request_memory.free(request.frame);
  core.requests.erase(request.id);
}

}  // namespace

Started start_request(Core& core, Session& session, Bytes frame, bool in_place, Now now) {
  const bool has_room = core.image != nullptr && !core.requests.full() &&
                        core.answer_memory.can_allocate(answer_reserve_bytes);
  if (!has_room) return Started::no_memory;
  kafka::Reader in(frame);
  const kafka::RequestHeader header = kafka::read_request_header(in);
  if (in.failed() && header.api_key != static_cast<std::int16_t>(ApiKey::api_versions)) {
    log_event(LogLevel::warn, "broker", "client {}: unreadable request header: closed",
              session.peer_host.text());
    return Started::close;
  }
  core.scratch.reset();
  Request& request = add_request(core, session, header, now);
  look_up_quotas(core, request, header.client_id.value, frame.size(), now);
  Call call{request, session, header, frame, in.rest(), in_place};
  const Started started = dispatch(core, call, now);
  if (started != Started::yes) {
    undo_request(core, session, request, in_place);
    return started;
  }
  charge_request(core, session, request, frame.size(), now);
  const auto key = static_cast<std::size_t>(header.api_key);
  core.counters.requests[std::min(key, Counters::api_keys_max - 1)].add();
  drain_done(core, now);  // What this core's own partitions could answer at once.
  return Started::yes;
}

Bytes keep_frame(Core& core, Call& call) {
  if (!call.request.frame.empty()) return call.request.frame;
  if (!call.in_place) {
    call.request.frame = call.session.frame;
    call.session.frame = {};
    return call.request.frame;
  }
  call.request.frame = core.request_memory.allocate(call.frame.size());
  if (call.request.frame.empty()) return {};
  std::memcpy(call.request.frame.data(), call.frame.data(), call.frame.size());
  return call.request.frame;
}

}  // namespace tailrace::broker
