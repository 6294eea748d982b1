#include "committed_reader.h"

#include <algorithm>

#include "consumer.h"
#include "kafka/errors.h"
#include "kafka/gen/list_offsets.h"
#include "kafka/gen/offset_fetch.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;

constexpr std::int8_t read_committed = 1;
constexpr std::int16_t first_with_stable = 7;  // OffsetFetch
// Longer than any transaction here may stay open, and the look for those that are late.
constexpr Duration stable_patience = seconds(90);

bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

}  // namespace

CommittedReader::CommittedReader(World& world, Prng prng, std::uint32_t owners, bool at_last)
    : Client(world, at_last ? "last ledger reader" : "ledger reader", prng), owners_(owners),
      at_last_(at_last), step_(at_last ? Step::end : Step::fetch) {}

std::string CommittedReader::waiting_for() const {
  constexpr std::array names = {"the end", "records", "a coordinator", "an offset", "nothing"};
  return fmt::format("{} of ledger-{} at {} of {}", names[static_cast<std::size_t>(step_)],
                     partition_, positions_[static_cast<std::size_t>(partition_)], end_);
}

void CommittedReader::act() {
  if (asked_count() > 0) return sleep();
  bool sent = true;
  switch (step_) {
    case Step::end: sent = ask_end(); break;
    case Step::fetch: sent = ask_fetch(); break;
    case Step::find: sent = ask_coordinator(CoordinatorOf::group, ledger_name(group_)); break;
    case Step::offset: sent = ask_offset(); break;
    case Step::done: return sleep();
  }
  sent ? sleep() : disconnect();
}

bool CommittedReader::ask_end() {
  kafka::ListOffsetsRequest::ListOffsetsTopic::ListOffsetsPartition one;
  one.partition_index = partition_;
  one.timestamp = -1;
  kafka::ListOffsetsRequest::ListOffsetsTopic topic;
  topic.name = ledger_topic;
  topic.partitions = {&one, 1};
  kafka::ListOffsetsRequest request;
  request.topics = {&topic, 1};
  return ask(request, draw_version<kafka::ListOffsetsRequest>(2), 0);
}

bool CommittedReader::ask_fetch() {
  kafka::FetchRequest::FetchTopic::FetchPartition one;
  one.partition = partition_;
  one.fetch_offset = positions_[static_cast<std::size_t>(partition_)];
  one.partition_max_bytes = static_cast<std::int32_t>(prng_.between(1, 4000));
  kafka::FetchRequest::FetchTopic topic;
  topic.topic = ledger_topic;
  topic.partitions = {&one, 1};
  kafka::FetchRequest request;
  request.max_wait_ms = static_cast<std::int32_t>(prng_.between(0, 20));
  request.min_bytes = static_cast<std::int32_t>(prng_.between(0, 500));
  request.max_bytes = 1 << 17;
  request.isolation_level = world_.plant == Plant::read_undecided ? std::int8_t{0}
                                                                    : read_committed;
  request.session_epoch = -1;
  request.topics = {&topic, 1};
  return ask(request, draw_version<kafka::FetchRequest>(4, 12), 0);
}

bool CommittedReader::ask_offset() {
  const std::string name = ledger_name(group_);
  std::int32_t index = 0;
  kafka::OffsetFetchRequest::OffsetFetchRequestTopic flat;
  flat.name = ledger_topic;
  flat.partition_indexes = {&index, 1};
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup::OffsetFetchRequestTopics topic;
  topic.name = ledger_topic;
  topic.partition_indexes = {&index, 1};
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = name;
  group.topics = std::span(&topic, 1);
  kafka::OffsetFetchRequest request;
  request.group_id = name;
  request.topics = std::span(&flat, 1);
  request.groups = {&group, 1};
  request.require_stable = true;
  return ask(request, draw_version<kafka::OffsetFetchRequest>(first_with_stable, 9), 0);
}

void CommittedReader::on_response(const Asked& asked, Bytes frame) {
  wake();
  std::int16_t error = malformed;
  switch (step_) {
    case Step::end: error = on_end(asked, frame); break;
    case Step::fetch: error = on_fetched(asked, frame); break;
    case Step::find: error = on_found(asked, frame); break;
    case Step::offset: error = on_offset(asked, frame); break;
    case Step::done: return;
  }
  if (error == malformed) return;
  const bool none = is(error, ErrorCode::unknown_topic_or_partition);
  if (none && at_last_ && world_.transactions.transaction_count() == 0) {
    step_ = Step::done;  // There never was a ledger.
    return sleep();
  }
  const Duration pause = error != 0 ? milliseconds(3) : microseconds(200);
  if (error != 0 || !at_last_) wait(pause);
}

std::int16_t CommittedReader::on_end(const Asked& asked, Bytes frame) {
  kafka::ListOffsetsResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  const auto& answer = response.topics.front().partitions.front();
  if (answer.error_code != 0) return answer.error_code;
  end_ = answer.offset;
  stable_by_ = world_.clock.instant() + stable_patience;
  step_ = Step::fetch;
  if (positions_[static_cast<std::size_t>(partition_)] >= end_) next_partition();
  return 0;
}

std::int16_t CommittedReader::on_fetched(const Asked& asked, Bytes frame) {
  kafka::FetchResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (response.error_code != 0) return response.error_code;
  const Data& data = response.responses.front().partitions.front();
  if (data.error_code != 0) return data.error_code;
  take(data);
  if (!at_last_) {
    partition_ = static_cast<std::int32_t>(prng_.below(ledger_partitions));
    return 0;
  }
  check_stable(data.last_stable_offset);
  const bool is_held = world_.plant == Plant::hold_stable && step_ == Step::fetch;
  if (positions_[static_cast<std::size_t>(partition_)] >= end_ && !is_held) next_partition();
  return 0;
}

// Clients do it so: the list is ordered by first offset; a producer is being aborted from there up
// to its marker.
void CommittedReader::take(const Data& data) {
  std::int64_t& position = positions_[static_cast<std::size_t>(partition_)];
  std::vector<Aborting> list;
  for (const auto& one : data.aborted_transactions.items) {
    list.push_back({one.first_offset, one.producer_id});
  }
  if (!std::is_sorted(list.begin(), list.end(), [](const Aborting& a, const Aborting& b) {
        return a.first_offset < b.first_offset;
      })) {
    world_.verdicts.broken("aborted_reads", "ledger-{}: the aborted list is not in order",
                           partition_);
  }
  if (world_.plant == Plant::ignore_aborted) list.clear();
  std::size_t next = 0;
  std::set<std::int64_t> aborting;
  Bytes batches = data.records.value;
  while (const auto batch = record::parse_batch(batches)) {
    const record::BatchHeader& header = batch->header;
    while (next < list.size() && list[next].first_offset <= header.last_offset()) {
      aborting.insert(list[next++].producer_id);
    }
    batches = batches.subspan(batch->bytes.size());
    const bool is_left_out =
        header.is_control() || (header.is_transactional() && aborting.contains(header.producer_id));
    if (header.is_control()) aborting.erase(header.producer_id);
    const bool is_lost = world_.plant == Plant::lose_part && prng_.chance(1, 8);
    for (const SeenRecord& seen : seen_records(batch->bytes)) {
      if (is_left_out || is_lost || seen.offset < position) continue;
      const bool elsewhere = world_.plant == Plant::read_elsewhere && prng_.chance(1, 8);
      world_.transactions.on_read(partition_, seen.offset + (elsewhere ? 1 : 0), seen.value,
                                  at_last_);
    }
    position = std::max(position, header.last_offset() + 1);
  }
}

void CommittedReader::check_stable(std::int64_t stable) {
  const bool is_held = world_.plant == Plant::hold_stable;
  if ((stable >= end_ && !is_held) || world_.clock.instant() < stable_by_) return;
  world_.verdicts.broken("no_hanging_transaction", "ledger-{}: stable up to {} of {} after {} s",
                         partition_, stable, end_, stable_patience.ns / 1'000'000'000);
  step_ = Step::done;
}

void CommittedReader::next_partition() {
  if (++partition_ < ledger_partitions) {
    step_ = Step::end;
    return;
  }
  partition_ = 0;
  world_.transactions.on_final();
  step_ = owners_ > 0 ? Step::find : Step::done;
}

std::int16_t CommittedReader::on_found(const Asked& asked, Bytes frame) {
  const std::int16_t error = on_coordinator(asked, frame);
  if (error == 0) step_ = Step::offset;
  return error;
}

std::int16_t CommittedReader::on_offset(const Asked& asked, Bytes frame) {
  kafka::OffsetFetchResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  std::int16_t error = response.error_code;
  std::int64_t offset = -1;
  const auto look = [&](const auto& topics) {
    const auto& one = topics.front().partitions.front();
    error = one.error_code;
    offset = one.committed_offset;
  };
  if (asked.version < 8) {
    if (error == 0) look(response.topics);
  } else {
    error = response.groups.front().error_code;
    if (error == 0) look(response.groups.front().topics);
  }
  if (error != 0) return error;
  world_.transactions.on_offset(group_, offset);
  step_ = ++group_ < owners_ ? Step::find : Step::done;
  return 0;
}

}  // namespace tailrace::sim
