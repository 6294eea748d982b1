// Which request is what: from a whole frame to the handler of its API.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "broker/request.h"
#include "kafka/header.h"

namespace tailrace::broker {

struct Core;

// What became of a frame that was offered.
enum class Started : std::uint8_t {
  yes,        // a request has begun (and may be answered already)
  no_memory,  // nothing has happened: offer it again when memory or slots are free
  not_yet,    // nothing has happened: offer it again when an answer of the connection was sent
  close,      // the connection is to be closed
};

// A request at its start. The header's and the body's bytes die at return, unless keep_frame().
struct Call {
  Request& request;
  Session& session;
  kafka::RequestHeader header;
  Bytes frame;
  Bytes body;
  bool in_place;
};

// `frame`: a whole request without its length, in an event (`in_place`) or in session.frame.
Started start_request(Core& core, Session& session, Bytes frame, bool in_place, Now now);

// Keeps the frame beyond the start of its request; gives where it lies now. Empty: no memory.
Bytes keep_frame(Core& core, Call& call);

// The handlers, each in the file of its name.
Started start_api_versions(Core& core, Call& call, Now now);
Started refuse_api_versions(Core& core, Call& call);
Started start_metadata(Core& core, Call& call, Now now);
Started start_describe_cluster(Core& core, Call& call, Now now);
Started start_describe_configs(Core& core, Call& call, Now now);
Started start_describe_log_dirs(Core& core, Call& call, Now now);
Started start_produce(Core& core, Call& call, Now now);
Started start_fetch(Core& core, Call& call, Now now);
Started start_list_offsets(Core& core, Call& call, Now now);
Started start_offset_for_leader_epoch(Core& core, Call& call, Now now);
Started start_describe_producers(Core& core, Call& call, Now now);
Started start_delete_records(Core& core, Call& call, Now now);
Started start_describe_topic_partitions(Core& core, Call& call, Now now);
Started start_list_config_resources(Core& core, Call& call, Now now);
Started start_alter_replica_log_dirs(Core& core, Call& call, Now now);
Started start_control(Core& core, Call& call, Now now);

}  // namespace tailrace::broker
