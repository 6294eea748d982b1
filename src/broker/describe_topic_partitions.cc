// DescribeTopicPartitions: topics with their partitions, a page at a time (KIP-966's API without
// its eligible leaders: there are none to tell). What Metadata would answer in one piece for a
// topic of very many partitions comes here in as many as the client likes.
//
// A page begins at the cursor: topics in the order of their names, the one that the cursor names
// from the partition that it names. The cursor of the answer is where the next page begins.
#include <optional>

#include "broker/answer.h"
#include "broker/cluster_answer.h"
#include "kafka/gen/describe_topic_partitions.h"
#include "kafka/topic_name.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using Body = kafka::DescribeTopicPartitionsRequest;
using Answer = kafka::DescribeTopicPartitionsResponse;
using Topic = Answer::TopicResponse;
using Partition = Topic::PartitionResponse;

// Of one page, whatever the client asks for (Kafka: max.request.partition.size.limit).
constexpr std::int32_t page_partitions_max = 2000;

std::span<std::int32_t> copy(Core& core, Request& request, const std::vector<bus::NodeId>& ids) {
  const std::span<std::int32_t> out = take_array<std::int32_t>(core, request, ids.size());
  std::copy_n(ids.begin(), out.size(), out.begin());
  return out;
}

void fill_partition(Core& core, Request& request, const bus::PartitionImage& partition,
                    Partition& out) {
  if (partition.leader < 0) out.error_code = to_wire(ErrorCode::leader_not_available);
  out.partition_index = partition.index;
  out.leader_id = partition.leader;
  out.leader_epoch = partition.leader_epoch;
  out.replica_nodes = copy(core, request, partition.replicas);
  out.isr_nodes = copy(core, request, partition.isr);
  out.eligible_leader_replicas = std::span<std::int32_t>{};
  out.last_known_elr = std::span<std::int32_t>{};
}

class Page {
 public:
  Page(Core& core, Request& request, const Body& body) : core_(core), request_(request) {
    if (body.cursor) {
      cursor_topic_ = body.cursor->topic_name;
      cursor_partition_ = body.cursor->partition_index;
    }
    left_ = static_cast<std::size_t>(
        std::clamp(body.response_partition_limit, 1, page_partitions_max));
  }

  // The next topic in order. False: the page is full, and this topic is for the next one.
  bool add(std::string_view name, const bus::TopicImage* topic, Topic& out) {
    if (left_ == 0) return turn_to(name, 0);
    out.name = name;
    out.topic_authorized_operations = topic_operations;
    if (topic == nullptr) {
      out.error_code = to_wire(kafka::is_topic_name(name) ? ErrorCode::unknown_topic_or_partition
                                                          : ErrorCode::invalid_topic);
      return true;
    }
    out.topic_id = topic->id;
    out.is_internal = topic->is_internal;
    const std::size_t end = topic->partitions.size();
    const std::size_t first =
        name == cursor_topic_ ? std::min(static_cast<std::size_t>(cursor_partition_), end) : 0;
    const std::size_t count = std::min(left_, end - first);
    out.partitions = take_array<Partition>(core_, request_, count);
    for (std::size_t i = 0; i < out.partitions.size(); ++i) {
      fill_partition(core_, request_, topic->partitions[first + i], out.partitions[i]);
    }
    left_ -= count;
    if (first + count < end) turn_to(name, first + count);
    return !next_.has_value();
  }

  bool is_full() const { return next_.has_value(); }
  const std::optional<Answer::Cursor>& next() const { return next_; }

 private:
  bool turn_to(std::string_view name, std::size_t partition) {
    next_ = Answer::Cursor{name, static_cast<std::int32_t>(partition)};
    return false;
  }

  Core& core_;
  Request& request_;
  std::string_view cursor_topic_;
  std::int32_t cursor_partition_ = 0;
  std::size_t left_;  // partitions that still fit
  std::optional<Answer::Cursor> next_;
};

// The topics that are asked for, each once, in the order of their names, from the cursor's on.
std::span<std::string_view> asked_names(Core& core, Request& request, const Body& body) {
  const auto names = take_array<std::string_view>(core, request, body.topics.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = body.topics[i].name;
    if (!body.cursor || name >= body.cursor->topic_name) names[count++] = name;
  }
  const auto chosen = names.first(count);
  std::sort(chosen.begin(), chosen.end());
  const auto end = std::unique(chosen.begin(), chosen.end());
  return {chosen.begin(), end};
}

// The cursor must be in the list that it is a cursor of.
bool is_sound(const Body& body, std::span<const std::string_view> names) {
  if (!body.cursor) return true;
  if (body.cursor->partition_index < 0) return false;
  if (body.topics.empty()) return true;
  return std::binary_search(names.begin(), names.end(), body.cursor->topic_name);
}

Started refuse(Core& core, Call& call, const Body& body) {
  Answer response;
  response.topics = take_array<Topic>(core, call.request, body.topics.size());
  for (std::size_t i = 0; i < response.topics.size(); ++i) {
    response.topics[i].error_code = to_wire(ErrorCode::invalid_request);
    response.topics[i].name = body.topics[i].name;
  }
  return answer_now(core, call, response);
}

// Of all topics, those that fill the page.
std::span<Topic> add_all(Core& core, Request& request, const Body& body, Page& page) {
  const auto& topics = core.image->topics;
  const std::string_view from =
      !body.cursor ? std::string_view{} : body.cursor->topic_name;
  auto at = std::lower_bound(topics.begin(), topics.end(), from,
                             [](const auto& topic, std::string_view name) {
                               return topic->name < name;
                             });
  const auto rest = static_cast<std::size_t>(topics.end() - at);
  const auto told =
      take_array<Topic>(core, request, std::min<std::size_t>(rest, page_partitions_max));
  std::size_t count = 0;
  for (; at != topics.end() && !page.is_full(); ++at) {
    Topic topic;
    const bool fits = page.add((*at)->name, at->get(), topic);
    if ((fits || !topic.partitions.empty()) && count < told.size()) told[count++] = topic;
  }
  return told.first(count);
}

std::span<Topic> add_asked(Core& core, Request& request, std::span<const std::string_view> names,
                           Page& page) {
  const auto told = take_array<Topic>(core, request, names.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < told.size() && !page.is_full(); ++i) {
    const bool fits = page.add(names[i], core.image->find_topic(names[i]), told[count]);
    if (fits || !told[count].partitions.empty()) ++count;
  }
  return told.first(count);
}

}  // namespace

Started start_describe_topic_partitions(Core& core, Call& call, Now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Request& request = call.request;
  const auto names = asked_names(core, request, body);
  if (request.close_connection) return Started::close;
  if (!is_sound(body, names)) return refuse(core, call, body);
  Page page(core, request, body);
  Answer response;
  response.topics = body.topics.empty() ? add_all(core, request, body, page)
                                        : add_asked(core, request, names, page);
  response.next_cursor = page.next();
  return answer_now(core, call, response);
}

}  // namespace tailrace::broker
