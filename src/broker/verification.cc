#include "broker/verification.h"

#include <algorithm>
#include <tuple>

#include "broker/answer.h"
#include "broker/control_request.h"
#include "broker/scatter.h"
#include "kafka/gen/add_partitions_to_txn.h"
#include "kafka/gen/produce.h"
#include "record/batch_view.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using Ask = kafka::AddPartitionsToTxnRequest;
using Answer = kafka::AddPartitionsToTxnResponse;
using AskedTransaction = Ask::AddPartitionsToTxnTransaction;
using Topic = AskedTransaction::AddPartitionsToTxnTopic;

constexpr std::int16_t add_version = 5;
constexpr std::int16_t first_by_id = 13;
constexpr std::int16_t first_that_adds = 12;
constexpr std::int16_t first_with_abortable = 11;

// What control said of one partition.
struct Said {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int16_t error_code = 0;
  friend bool operator<(const Said& a, const Said& b) {
    return std::tie(a.topic, a.partition) < std::tie(b.topic, b.partition);
  }
};

void refuse(TaskItem& item, ErrorCode error) {
  item.error = error;
  item.skip = true;
  item.needs_verification = false;
}

// Those that were not verified will not be appended.
void refuse_all(Request& request, ErrorCode error) {
  for (TaskItem& item : request.items) {
    if (item.needs_verification) refuse(item, error);
  }
}

// Once more to the owners that have appended nothing: now each item is appended or refused.
void append_again(Core& core, Request& request, Now now) {
  request.verification = Verification::done;
  for (Task& task : request.tasks) {
    if (!task.needs_verification) continue;
    task.needs_verification = false;
    task.is_verified = true;
    submit_task(core, request, task, now);
  }
  if (request.messages_out == 0) make_ready(core, request);
}

std::string_view name_of(const Core& core, const Request& request, const AskedTopic& topic) {
  if (request.api_version < first_by_id) return topic.name;
  const bus::TopicImage* image = core.image->find_topic(topic.id);
  return image == nullptr ? std::string_view{} : std::string_view(image->name);
}

// A request is of one transaction, that of its first such batch.
record::BatchHeader header_of_first(Request& request) {
  for (const TaskItem& item : request.items) {
    if (item.needs_verification) return *record::parse_header(item.records);
  }
  TR_ASSERT(false);
  return {};
}

void refuse_other_producers(Request& request, const record::BatchHeader& first) {
  for (TaskItem& item : request.items) {
    if (!item.needs_verification) continue;
    const record::BatchHeader header = *record::parse_header(item.records);
    const bool is_same = header.producer_id == first.producer_id &&
                         header.producer_epoch == first.producer_epoch;
    if (!is_same) refuse(item, ErrorCode::invalid_producer_id_mapping);
  }
}

// The topics of what has to be verified; a topic that is gone has its items refused.
std::span<Topic> topics_to_ask(Core& core, Request& request) {
  const auto topics = take_array<Topic>(core, request, request.topics.size());
  std::size_t count = 0;
  for (const AskedTopic& asked : request.topics) {
    const auto items = request.items.subspan(asked.item_first, asked.item_count);
    const auto partitions = take_array<std::int32_t>(core, request, items.size());
    if (request.close_connection) return {};
    const std::string_view name = name_of(core, request, asked);
    std::size_t used = 0;
    for (TaskItem& item : items) {
      if (!item.needs_verification) continue;
      if (name.empty()) {
        refuse(item, ErrorCode::unknown_topic_id);
      } else {
        partitions[used++] = item.partition_index;
      }
    }
    if (used > 0) topics[count++] = {.name = name, .partitions = partitions.first(used)};
  }
  return topics.first(count);
}

// False: there is nothing to ask, or it cannot be asked; the items know.
bool ask(Core& core, Request& request) {
  core.scratch.reset();
  kafka::Reader in(request.frame);
  kafka::read_request_header(in);
  const auto body = kafka::ProduceRequest::decode(in, request.api_version, core.scratch);
  TR_ASSERT(body.has_value());  // It was read once before.
  const record::BatchHeader first = header_of_first(request);
  refuse_other_producers(request, first);
  const std::span<Topic> topics = topics_to_ask(core, request);
  if (topics.empty() || request.close_connection) return false;
  AskedTransaction transaction{.transactional_id = body->transactional_id.value,
                               .producer_id = first.producer_id,
                               .producer_epoch = first.producer_epoch,
                               .verify_only = request.api_version < first_that_adds,
                               .topics = topics};
  const Started asked = ask_control(core, request, Ask::api_key, add_version,
                                    Ask{.transactions = {&transaction, 1}});
  if (asked == Started::yes) return true;
  refuse_all(request, ErrorCode::not_enough_replicas);  // Clients try that again.
  return false;
}

// As Kafka tells clients, each in words that its version knows (AddPartitionsToTxnManager).
ErrorCode told_to_client(ErrorCode said, std::int16_t version) {
  switch (said) {
    case ErrorCode::producer_fenced: return ErrorCode::invalid_producer_epoch;
    case ErrorCode::invalid_txn_state:
    case ErrorCode::transaction_abortable:
      return version < first_with_abortable ? ErrorCode::invalid_txn_state
                                            : ErrorCode::transaction_abortable;
    case ErrorCode::concurrent_transactions:
      return version < first_that_adds ? ErrorCode::not_enough_replicas : said;
    case ErrorCode::coordinator_load_in_progress:
    case ErrorCode::coordinator_not_available:
    case ErrorCode::not_coordinator: return ErrorCode::not_enough_replicas;
    default: return said;
  }
}

// What was said of each partition, sorted. Empty, and `error` says why, when nothing was.
std::span<const Said> read_answer(Core& core, Request& request, ErrorCode& error) {
  core.scratch.reset();
  error = ErrorCode::coordinator_not_available;
  kafka::Reader in(request.control->reply);
  const auto answer = Answer::decode(in, add_version, core.scratch);
  if (!answer || in.failed()) return {};
  if (answer->error_code != 0) error = static_cast<ErrorCode>(answer->error_code);
  if (answer->results_by_transaction.empty()) return {};
  const auto& topics = answer->results_by_transaction[0].topic_results;
  std::size_t count = 0;
  for (const auto& topic : topics) count += topic.results_by_partition.size();
  const auto said = take_array<Said>(core, request, count);
  if (request.close_connection) return {};
  std::size_t used = 0;
  for (const auto& topic : topics) {
    for (const auto& one : topic.results_by_partition) {
      said[used++] = {topic.name, one.partition_index, one.partition_error_code};
    }
  }
  std::sort(said.begin(), said.end());
  return said;
}

void apply_answer(Core& core, Request& request) {
  ErrorCode unsaid = ErrorCode::none;
  const std::span<const Said> said = read_answer(core, request, unsaid);
  for (const AskedTopic& topic : request.topics) {
    const std::string_view name = name_of(core, request, topic);
    for (TaskItem& item : request.items.subspan(topic.item_first, topic.item_count)) {
      if (!item.needs_verification) continue;
      const Said wanted{name, item.partition_index, 0};
      const auto found = std::lower_bound(said.begin(), said.end(), wanted);
      const bool is_said = found != said.end() && !(wanted < *found);
      const auto error = is_said ? static_cast<ErrorCode>(found->error_code) : unsaid;
      if (error != ErrorCode::none) {
        refuse(item, told_to_client(error, request.api_version));
        continue;
      }
      item.needs_verification = false;
      item.is_verified = true;
    }
  }
}

// True when it is asking and its answer will come; else it has been appended as far as it may be.
bool begin(Core& core, Request& request, Now now) {
  if (request.fetch.expired) refuse_all(request, ErrorCode::request_timed_out);
  const bool is_wanted =
      std::any_of(request.items.begin(), request.items.end(),
                  [](const TaskItem& item) { return item.needs_verification; });
  if (is_wanted && ask(core, request)) {
    request.verification = Verification::asked;
    return true;
  }
  if (request.close_connection) {
    make_ready(core, request);
  } else {
    append_again(core, request, now);
  }
  return false;
}

// The front of the line is done; whose turn is it?
void serve_next(Core& core, Session& session, Now now) {
  while (Request* next = session.verifying.front()) {
    if (next->verification == Verification::asked || begin(core, *next, now)) return;
    session.verifying.remove(*next);
  }
  add_work(core, session);  // Requests have waited for this.
}

}  // namespace

bool wants_verification(const Request& request) {
  if (request.verification != Verification::open) return false;
  return std::any_of(request.tasks.begin(), request.tasks.end(),
                     [](const Task& task) { return task.needs_verification; });
}

void verify(Core& core, Request& request, Now now) {
  Session* session = core.sessions.find(request.session);
  TR_ASSERT(session != nullptr);  // It would be an orphan.
  request.verification = Verification::waiting;
  session->verifying.push_back(request);
  if (session->verifying.front() == &request) serve_next(core, *session, now);
}

void on_verified(Core& core, Request& request, Now now) {
  TR_ASSERT(request.verification == Verification::asked);
  apply_answer(core, request);
  core.send(bus::control_core, bus::MessageKind::reply_released, request.control);
  request.control = nullptr;
  request.holds_reply = false;
  Session* session = core.sessions.find(request.session);
  TR_ASSERT(session != nullptr);
  TR_ASSERT(session->verifying.front() == &request);
  session->verifying.remove(request);
  if (request.fetch.expired) {
    for (TaskItem& item : request.items) {
      if (item.is_verified) refuse(item, ErrorCode::request_timed_out);
    }
  }
  if (request.close_connection) {
    make_ready(core, request);
  } else {
    append_again(core, request, now);
  }
  serve_next(core, *session, now);
}

}  // namespace tailrace::broker
