// MarkerWriter: ends transactions where their records are: appends a marker, a control batch, to
// each partition. For the coordinator it does not give up before every marker is durable or its
// partition is gone; for an operator or another node's coordinator it tries once.
//
//   job ──▶ queue ──▶ log task to the partition's owner ──▶ durable ──▶ all of a job: its owner
//             ▲                                   │
//             └── in a while, if at first it fails ┘
//
// A partition that another node leads is one that fails for now: here a request to that node will
// have its place (WriteTxnMarkers), and nobody else will notice.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "bus/log_task.h"
#include "control/cluster_state.h"
#include "control/transaction.h"
#include "kafka/errors.h"
#include "record/control_record.h"

namespace tailrace::control {

struct Marker {
  ProducerIdentity producer;
  bool is_commit = false;
  std::int32_t coordinator_epoch = 0;
  std::int8_t transaction_version = 0;
};

class MarkerWriter {
 public:
  // What is asked for; who asks derives what he wants to know at the end.
  struct Job {
    virtual ~Job() = default;
    Marker marker;
    std::vector<NamedPartition> partitions;
    bool is_persistent = false;
    bool is_cancelled = false;                 // nobody waits for it any more
    std::vector<kafka::ErrorCode> errors;      // by the order of `partitions`
    std::size_t left = 0;
  };
  class Owner {
   public:
    // A marker is durable.
    virtual void on_marker(const NamedPartition& partition, const Marker& marker, Now now) = 0;
    virtual void on_job_done(const std::shared_ptr<Job>& job, Now now) = 0;

   protected:
    ~Owner() = default;
  };

  // `state` and `owner` outlive the object.
  MarkerWriter(bus::NodeId node_id, std::uint16_t core_count, const ClusterState& state,
               Owner& owner);

  // A job without partitions is done at once.
  void start(const std::shared_ptr<Job>& job, Now now);
  void step(Now now);
  Instant next_deadline() const;
  // False: it is not a task of this object.
  bool on_done(const bus::LogTask* task, Now now);
  void take_tasks(std::vector<bus::LogTask*>& tasks);

  // Not durable yet.
  std::size_t waiting() const { return queue_.size() + retries_.size() + out_.size(); }

 private:
  struct Item {
    std::shared_ptr<Job> job;
    std::size_t index = 0;
    Instant tell_at{};  // 0: it has not failed yet
    const NamedPartition& partition() const { return job->partitions[index]; }
  };
  struct Slot {
    bus::LogTask task;
    std::array<std::byte, record::marker_batch_bytes> bytes;
    Item item;
  };

  void send_queue(Now now);
  void send(Item item, Now now);
  void retry(Item item, kafka::ErrorCode error, Now now);
  void end(const Item& item, kafka::ErrorCode error, Now now);

  const bus::NodeId node_id_;
  const std::uint16_t core_count_;
  const ClusterState& state_;
  Owner& owner_;
  std::deque<Item> queue_;
  std::deque<std::pair<Instant, Item>> retries_;  // by time
  std::unordered_map<const bus::LogTask*, std::unique_ptr<Slot>> out_;
  std::vector<bus::LogTask*> tasks_;
};

}  // namespace tailrace::control
