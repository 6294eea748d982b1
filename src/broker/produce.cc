// Produce: one batch per partition, to the owners; answered when all of them are durable, in the
// order of the requests. acks=0 has no answer at all: an error closes the connection. Batches of a
// transaction may have to be verified first (verification.h).
#include <functional>

#include "broker/answer.h"
#include "broker/scatter.h"
#include "broker/session.h"
#include "kafka/gen/produce.h"
#include "record/batch_view.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using kafka::ProduceRequest;
using kafka::ProduceResponse;
using Asked = ProduceRequest::TopicProduceData;
using Topic = ProduceResponse::TopicProduceResponse;
using Partition = Topic::PartitionProduceResponse;

constexpr std::int16_t first_by_id = 13;
constexpr std::int16_t first_with_zstd = 7;
constexpr std::int16_t first_with_own_epochs = 12;  // transactions have an epoch each (KIP-890)

// What can be said of a batch without its partition. Tells whether it is part of a transaction.
ErrorCode check(const Request& request, const ProduceRequest& body, Bytes records,
                bool& is_transactional) {
  const Result<record::BatchHeader> header = record::parse_header(records);
  if (!header) {
    const bool old_format = header.error().code == Errc::unsupported;
    const bool nothing = records.empty();
    return old_format || nothing ? ErrorCode::invalid_record
                                 : kafka::to_error_code(header.error().code);
  }
  if (header->size_bytes() > records.size()) return ErrorCode::corrupt_message;
  if (header->size_bytes() < records.size()) return ErrorCode::invalid_record;  // Two batches.
  const bool is_zstd = header->codec_bits() == static_cast<std::uint8_t>(record::Codec::zstd);
  if (is_zstd && request.api_version < first_with_zstd) {
    return ErrorCode::unsupported_compression_type;
  }
  is_transactional = header->is_transactional();
  if (!is_transactional) return ErrorCode::none;
  // Control batches are refused where all records are looked at; here is only who asks for them.
  if (body.transactional_id.is_null()) return ErrorCode::transactional_id_authorization_failed;
  return header->has_producer() ? ErrorCode::none : ErrorCode::invalid_record;
}

// The whole request's error, which each of its partitions gets.
ErrorCode check(const ProduceRequest& body) {
  if (body.acks < -1 || body.acks > 1) return ErrorCode::invalid_required_acks;
  return ErrorCode::none;
}

void set_transactional(Request& request, TaskItem& item) {
  item.is_transactional = true;
  item.task->is_transactional = true;
  item.task->epoch_per_transaction = request.api_version >= first_with_own_epochs;
  request.verification = Verification::open;
}

// A partition and who writes to it, as one number.
std::uint64_t key_of(const Asked& topic, std::int32_t partition, Bytes records) {
  std::uint64_t key = std::hash<std::string_view>{}(topic.name) ^ std::hash<Uuid>{}(topic.topic_id);
  const auto mix = [&key](std::int64_t value) {
    key = (key ^ static_cast<std::uint64_t>(value)) * 0x9e37'79b9'7f4a'7c15U;
    key ^= key >> 32;
  };
  mix(partition);
  const Result<record::BatchHeader> header = record::parse_header(records);
  mix(header ? header->producer_id : -1);
  mix(header ? header->producer_epoch : -1);
  return key;
}

template <class Use>
void for_each_key(const ProduceRequest& body, Use use) {
  for (const auto& topic : body.topic_data) {
    for (const auto& partition : topic.partition_data) {
      use(key_of(topic, partition.index, partition.records.value));
    }
  }
}

// May it begin now, with what is under way on its connection (open_partitions.h)?
bool begin_in_order(Session& session, Request& request, const ProduceRequest& body) {
  if (body.transactional_id.is_null()) return true;
  OpenPartitions& open = session.open_partitions;
  const bool is_alone = session.unanswered_count == 1;
  bool is_open = !is_alone;
  for_each_key(body, [&](std::uint64_t key) { is_open = is_open && open.contains(key); });
  if (is_open || !is_alone) return is_open;
  open.begin_opening();
  request.opens_partitions = true;
  for_each_key(body, [&](std::uint64_t key) { open.add(key); });
  return true;
}

void forget_if_refused(Core& core, const Request& request) {
  Session* session = core.sessions.find(request.session);
  if (session == nullptr || request.verification == Verification::unneeded) return;
  for (const TaskItem& item : request.items) {
    if (item.error != ErrorCode::none) session->open_partitions.forget();
  }
}

// `is_admin`: may write to internal topics, as Kafka's own tools do under this client id.
void fill_items(Core& core, Request& request, const ProduceRequest& body, bool is_admin) {
  const ErrorCode refused = check(body);
  const bool by_id = request.api_version >= first_by_id;
  StateBuilder builder(request);
  for (const auto& topic : body.topic_data) {
    AskedTopic& asked = builder.add_topic(topic.name, topic.topic_id);
    const bus::TopicImage* image = find_topic(core, asked, by_id);
    const bool is_closed = image != nullptr && image->is_internal && !is_admin;
    for (const auto& partition : topic.partition_data) {
      TaskItem& item = builder.add_item(partition.index);
      item.records = partition.records.value;
      bool is_transactional = false;
      item.error = refused != ErrorCode::none
                       ? refused
                       : check(request, body, item.records, is_transactional);
      if (item.error == ErrorCode::none && is_closed) item.error = ErrorCode::invalid_topic;
      const bool is_mine =
          item.error == ErrorCode::none && assign(core, request, item, image, by_id, -1);
      if (is_mine && is_transactional) set_transactional(request, item);
    }
  }
}

// Records that are still to be appended move with the frame.
void keep_records(Core& core, Call& call) {
  const std::byte* const old = call.frame.data();
  const Bytes frame = keep_frame(core, call);
  TR_ASSERT(!frame.empty());
  for (TaskItem& item : call.request.items) {
    if (item.records.empty()) continue;
    item.records = {frame.data() + (item.records.data() - old), item.records.size()};
  }
}

// Does any task still need the bytes of the batches?
bool has_appends_left(const Core& core, const Request& request) {
  for (const Task& task : request.tasks) {
    if (!task.is_out) continue;
    const bool is_left = task.next_item != nullptr || task.needs_verification;
    if (task.owner != core.core || is_left) return true;
  }
  return false;
}

const char* message_of(ErrorCode error) {
  switch (error) {
    case ErrorCode::invalid_required_acks: return "The acks must be -1, 0 or 1.";
    case ErrorCode::invalid_record: return "The batch failed the broker's checks.";
    case ErrorCode::invalid_timestamp: return "A timestamp is out of the allowed range.";
    case ErrorCode::message_too_large: return "The batch is larger than max.message.bytes.";
    case ErrorCode::transactional_id_authorization_failed:
      return "The batch is transactional, but the request names no transaction.";
    case ErrorCode::invalid_txn_state:
    case ErrorCode::transaction_abortable:
      return "The partition is not part of the producer's transaction.";
    default: return nullptr;  // The code says it all.
  }
}

void fill_partition(Core& core, Request& request, const TaskItem& item, Partition& out) {
  out.index = item.partition_index;
  out.error_code = to_wire(item.error);
  if (item.error == ErrorCode::none) {
    out.base_offset = item.answer_offset;
    out.log_append_time_ms = item.answer_timestamp;
    out.log_start_offset = item.log_start;
    return;
  }
  out.base_offset = -1;
  if (const char* message = message_of(item.error)) out.error_message = message;
  if (item.bad_record < 0) return;
  using RecordError = Partition::BatchIndexAndErrorMessage;
  out.record_errors = take_array<RecordError>(core, request, 1);
  for (RecordError& error : out.record_errors) {
    error.batch_index = item.bad_record;
    error.batch_index_error_message = out.error_message;
  }
}

}  // namespace

Started start_produce(Core& core, Call& call, Now now) {
  ProduceRequest body;
  if (!decode(core, call, body)) return Started::close;
  // The frame may have to be kept, and after the first append there is no way back.
  if (call.in_place && !core.request_memory.can_allocate(call.frame.size())) {
    return Started::no_memory;
  }
  Request& request = call.request;
  const Started allocated = allocate_state(
      core, request, extent_of(body.topic_data, &Asked::name, &Asked::partition_data));
  if (allocated != Started::yes) return allocated;
  if (!begin_in_order(call.session, request, body)) return Started::not_yet;
  request.acks = body.acks;
  fill_items(core, request, body, call.header.client_id.value == "__admin_client");
  for (Task& task : request.tasks) task.wait_durable = body.acks != 0;
  if (body.acks != 0) {
    set_deadline(core, request, now.instant + durability_wait(body.timeout_ms));
  }
  submit_tasks(core, request, TaskKind::append, now);
  if (has_appends_left(core, request)) keep_records(core, call);
  return Started::yes;
}

bool build_produce_answer(Core& core, Request& request) {
  forget_if_refused(core, request);
  if (request.acks == 0) {
    request.no_reply = true;
    for (const TaskItem& item : request.items) {
      if (item.error != ErrorCode::none) request.close_connection = true;
    }
    return true;
  }
  ProduceResponse response;
  response.responses = answer_items(
      core, request, &Topic::name, &Topic::partition_responses,
      [&](const TaskItem& item, Partition& out) { fill_partition(core, request, item, out); });
  for (std::size_t i = 0; i < response.responses.size(); ++i) {
    response.responses[i].topic_id = request.topics[i].id;
  }
  return write_answer(core, request, response);
}

}  // namespace tailrace::broker
