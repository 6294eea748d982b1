// Scatter and gather: a request about many partitions becomes one task per owning core, and is
// ready when all of them are home (pending work of a request; partition_task.h has the owner's
// side).
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

#include "base/time.h"
#include "broker/dispatch.h"
#include "broker/request.h"
#include "bus/image.h"

namespace tailrace::broker {

struct Core;

// How much a request is about.
struct Extent {
  std::size_t topic_count = 0;
  std::size_t item_count = 0;
  std::size_t name_bytes = 0;
};

// The same in every API but for the names of its fields.
template <class Topic, class Partition>
Extent extent_of(std::span<Topic> topics, std::string_view Topic::*name,
                 std::span<Partition> Topic::*partitions) {
  Extent extent{.topic_count = topics.size()};
  for (const Topic& topic : topics) {
    extent.item_count += (topic.*partitions).size();
    extent.name_bytes += (topic.*name).size();
  }
  return extent;
}

// Gives the request its topics, items and tasks, in one piece of answer memory.
// `close`: more partitions than one request may name.
Started allocate_state(Core& core, Request& request, const Extent& extent);

// Fills it from the front: one topic with its items after the other. The name is copied.
class StateBuilder {
 public:
  explicit StateBuilder(Request& request);
  AskedTopic& add_topic(std::string_view name, const Uuid& id);
  // Of the topic added last.
  TaskItem& add_item(std::int32_t partition_index);

 private:
  Request& request_;
  std::size_t topic_count_ = 0;
  std::size_t item_count_ = 0;
  char* name_;
};

// Of the image; null when unknown.
const bus::TopicImage* find_topic(const Core& core, const AskedTopic& topic, bool by_id);

// Makes the item's partition known to it and puts it into the task of the owner; or sets its
// error: unknown topic or partition, another leader, an epoch that is not the leader's
// (`leader_epoch` as the client knows it; -1: it does not say).
bool assign(Core& core, Request& request, TaskItem& item, const bus::TopicImage* topic,
            bool by_id, std::int32_t leader_epoch);

// How long a request waits for its own disk. The client's timeout is about other replicas; without
// any, Kafka has done what was asked as soon as it has appended, so that a timeout of 0 succeeds.
// Here it is done when it is durable, which therefore gets this time at least.
inline Duration durability_wait(std::int32_t timeout_ms) {
  return std::max(milliseconds(timeout_ms), seconds(30));
}

// Sends every task that has items and is home. When nothing was sent the request is home at once.
void submit_tasks(Core& core, Request& request, TaskKind kind, Now now);
void submit_task(Core& core, Request& request, Task& task, Now now);
// Asks for the answers now.
void cancel_tasks(Core& core, Request& request);
void cancel_task(Core& core, Request& request, Task& task);
// Unpins what tasks have read.
void release_tasks(Core& core, Request& request);

// Tasks that this core's owner has finished: to their requests, or home to other cores.
void drain_done(Core& core, Now now);
// Messages about tasks, of both directions.
void on_task_message(Core& core, const bus::Message& message, Now now);
// Tasks that waited for an image.
void unpark_tasks(Core& core, Now now);

// fetch.cc: one of its tasks has come home.
void on_fetch_task_home(Core& core, Request& request, Task& task, Now now);
// fetch.cc: the fetch is over; its session may be used again.
void end_fetch(Core& core, Request& request);

}  // namespace tailrace::broker
