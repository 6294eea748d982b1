// The response of a Fetch. Record bytes are not copied: the response is a row of slices, written
// parts and pinned batches in turn. Small batches are copied all the same, since a slice costs
// more than they do.
#include <cstring>

#include "broker/answer.h"
#include "broker/scatter.h"
#include "kafka/gen/fetch.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using kafka::FetchResponse;
using Topic = FetchResponse::FetchableTopicResponse;
using Partition = Topic::PartitionData;

// How the records of all partitions are sent.
struct Plan {
  std::size_t spliced_count = 0;   // pieces sent from where they lie
  std::uint64_t spliced_bytes = 0;
  std::uint64_t copied_bytes = 0;
};

// Cuts a partition's pieces to what fits the slices of one send. Pieces are whole batches, so
// the client just fetches the rest next time.
void plan_records(const Limits& limits, TaskItem& item, Plan& plan) {
  // Every piece may be followed by a written part; the response begins with one.
  const std::size_t spliced_max = (limits.slices_max - 1) / 2;
  std::size_t kept = 0;
  item.bytes = 0;
  for (const Bytes piece : item.pieces) {
    const bool is_spliced = piece.size() >= limits.splice_bytes_min;
    if (is_spliced && plan.spliced_count == spliced_max) break;
    plan.spliced_count += is_spliced ? 1 : 0;
    (is_spliced ? plan.spliced_bytes : plan.copied_bytes) += piece.size();
    item.bytes += piece.size();
    ++kept;
  }
  item.pieces = item.pieces.first(kept);
}

void fill_aborted(Core& core, Request& request, const TaskItem& item, Partition& out) {
  const auto aborted =
      take_array<Partition::AbortedTransaction>(core, request, item.aborted.size());
  for (std::size_t i = 0; i < aborted.size(); ++i) {
    aborted[i] = {item.aborted[i].producer_id, item.aborted[i].first_offset};
  }
  out.aborted_transactions = aborted;
}

void fill_partition(Core& core, Request& request, const TaskItem& item, Partition& out) {
  out.partition_index = item.partition_index;
  out.error_code = to_wire(item.error);
  // Empty rather than null: some clients cannot take null (and Kafka never sends it).
  out.records = kafka::NullableBytes(Bytes{});
  if (request.fetch.read_committed) fill_aborted(core, request, item, out);
  if (item.error != ErrorCode::none) {
    out.high_watermark = -1;
    return;
  }
  out.high_watermark = item.high_watermark;
  out.last_stable_offset = item.stable_end;
  out.log_start_offset = item.log_start;
  if (item.diverges) out.diverging_epoch = {item.answer_epoch, item.answer_offset};
  // Only the length counts for the writer: the pieces take the place of these bytes.
  if (!item.pieces.empty()) out.records = Bytes{item.pieces[0].data(), item.bytes};
}

// Is there anything the client does not know? Remembers what it is told now.
bool is_news(FetchSessionPartition& known, const TaskItem& item) {
  const bool failed = item.error != ErrorCode::none;
  const bool is_new = failed || item.diverges || !item.pieces.empty() ||
                      known.high_watermark != item.high_watermark ||
                      known.stable_end != item.stable_end ||
                      known.log_start != item.log_start;
  known.high_watermark = failed ? FetchSessionPartition::untold : item.high_watermark;
  known.stable_end = failed ? FetchSessionPartition::untold : item.stable_end;
  known.log_start = failed ? FetchSessionPartition::untold : item.log_start;
  return is_new;
}

FetchSessionPartition* known_of(FetchSession* session, const TaskItem& item) {
  if (session == nullptr || item.session_index >= session->partition_count) return nullptr;
  return &session->partitions()[item.session_index];
}

struct Spliced {
  std::span<TaskItem*> items;  // those with records, in the order of the response
  std::size_t count = 0;
};

void fill_topic(Core& core, Request& request, FetchSession* session, const AskedTopic& asked,
                Topic& out, Spliced& spliced) {
  out.topic = asked.name;
  out.topic_id = asked.id;
  const auto partitions = take_array<Partition>(core, request, asked.item_count);
  std::size_t count = 0;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    TaskItem& item = request.items[asked.item_first + i];
    FetchSessionPartition* known = known_of(session, item);
    const bool is_new = known == nullptr || is_news(*known, item);
    if (request.fetch.incremental && !is_new) continue;
    fill_partition(core, request, item, partitions[count++]);
    if (item.pieces.empty()) continue;
    spliced.items[spliced.count++] = &item;
    // The next fetch of the session begins behind the last one that was served.
    if (session != nullptr) session->start = item.session_index + 1;
  }
  out.partitions = partitions.first(count);
}

// Writes the answer's parts one behind the other and remembers where slices begin and end.
class SliceWriter {
 public:
  explicit SliceWriter(const AnswerRoom& room) : room_(room) {}

  void write(Bytes bytes) {
    if (!bytes.empty()) std::memcpy(room_.bytes.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  void splice(Bytes bytes) {
    end_part();
    room_.slices[count_++] = bytes;
  }
  std::span<const Bytes> finish() {
    end_part();
    TR_ASSERT(used_ == room_.bytes.size());
    return room_.slices.first(count_);
  }

 private:
  void end_part() {
    if (used_ > part_start_) {
      room_.slices[count_++] = room_.bytes.subspan(part_start_, used_ - part_start_);
    }
    part_start_ = used_;
  }

  AnswerRoom room_;
  std::size_t used_ = 0;
  std::size_t part_start_ = 0;
  std::size_t count_ = 0;
};

bool write_sliced(Core& core, Request& request, const FetchResponse& response,
                  const Spliced& spliced, const Plan& plan) {
  kafka::Writer size = kafka::Writer::counter();
  kafka::write_response_header(size, header_of(request));
  response.encode(size, request.api_version);
  const std::size_t records_bytes = plan.spliced_bytes + plan.copied_bytes;
  const std::size_t head_bytes = 4 + size.size() - records_bytes;

  const auto head_room = take_array<std::byte>(core, request, head_bytes);
  const auto splices = take_array<kafka::Splice>(core, request, spliced.count);
  if (request.close_connection) return true;
  kafka::Writer head(head_room, splices);
  head.integer(static_cast<std::int32_t>(size.size()));
  kafka::write_response_header(head, header_of(request));
  response.encode(head, request.api_version);
  TR_ASSERT(!head.overflowed());
  TR_ASSERT(head.size() == head_bytes);
  TR_ASSERT(head.splices().size() == spliced.count);
  request.has_error = head.has_error();

  const AnswerRoom room = allocate_answer(core, request, head_bytes + plan.copied_bytes,
                                          2 * plan.spliced_count + 1);
  if (room.bytes.empty()) return request.close_connection;
  SliceWriter out(room);
  std::size_t written = 0;
  for (std::size_t i = 0; i < spliced.count; ++i) {
    out.write(Bytes(head_room).subspan(written, splices[i].at - written));
    written = splices[i].at;
    for (const Bytes piece : spliced.items[i]->pieces) {
      piece.size() < core.limits.splice_bytes_min ? out.write(piece) : out.splice(piece);
    }
  }
  out.write(Bytes(head_room).subspan(written));
  request.slices = out.finish();
  request.pinned_bytes = plan.spliced_bytes;
  core.counters.bytes_fetched.add(records_bytes);
  return true;
}

}  // namespace

bool build_fetch_answer(Core& core, Request& request) {
  FetchSession* session =
      core.fetch_sessions.find(Handle<FetchSession>::unpacked(request.fetch.session));
  if (!core.answer_memory.can_allocate(1 << 16)) return false;  // Before the session remembers.
  Plan plan;
  for (TaskItem& item : request.items) plan_records(core.limits, item, plan);
  FetchResponse response;
  response.session_id = request.fetch.session_id;
  const auto topics = take_array<Topic>(core, request, request.topics.size());
  Spliced spliced{take_array<TaskItem*>(core, request, request.items.size())};
  if (request.close_connection) return true;
  std::size_t count = 0;
  for (const AskedTopic& asked : request.topics) {
    fill_topic(core, request, session, asked, topics[count], spliced);
    if (!request.fetch.incremental || !topics[count].partitions.empty()) ++count;
  }
  response.responses = topics.first(count);
  const bool written = write_sliced(core, request, response, spliced, plan);
  // Not sent now, so not told: all of it is news again.
  if (!written && session != nullptr) {
    for (FetchSessionPartition& partition : session->partitions()) {
      partition.high_watermark = FetchSessionPartition::untold;
    }
  }
  return written;
}

}  // namespace tailrace::broker
