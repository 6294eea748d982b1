// LogAppender: records for the partitions of an internal topic, those of many requests in one
// batch. A partition has one batch out at a time; what comes meanwhile gathers and goes with the
// next, so that a disk that takes its time makes batches larger and not queues longer.
//
//   add() ──▶ lane of the partition ──flush()──▶ log task ──on_done()──▶ writes that have ended
//                     ▲                                        │
//                     └── the next batch, or the same in halves ┘
//
// Records of a partition lie in the log in the order in which they were added, and writes of a
// partition end in that order.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"
#include "bus/log_task.h"
#include "control/group_records.h"
#include "kafka/errors.h"
#include "record/batch_builder.h"

namespace tailrace::control {

class LogAppender {
 public:
  // Where a partition is, as far as this node knows; another life is another target.
  struct Target {
    bus::CoreId owner = 0;
    Uuid topic;
    std::int32_t partition = 0;
    std::uint32_t incarnation = 0;
    std::int32_t leader_epoch = -1;
    friend bool operator==(const Target&, const Target&) = default;
  };
  struct Record {
    ByteString key;
    ByteString value;
    bool is_tombstone = false;
  };
  // Records that belong together; whoever adds them derives what he wants to know at the end.
  struct Write {
    virtual ~Write() = default;
    std::size_t records_out = 0;
    kafka::ErrorCode error = kafka::ErrorCode::none;  // of the last that went wrong
  };
  using Writes = std::vector<std::shared_ptr<Write>>;

  // `batch_bytes_max`: the largest batch that is built.
  explicit LogAppender(std::size_t batch_bytes_max);

  // They belong together: false, and none of them is added, when no batch can hold one of them. The
  // write then has its error, and nothing else is told of it.
  bool add(const Target& target, const std::shared_ptr<Write>& write,
           std::span<const Record> records, std::int64_t wall_ms);
  // The partition is not ours any more: who waits to be sent ends with not_coordinator. What is
  // out ends when it comes back.
  void drop(std::int32_t partition, Writes& ended);
  // Batches of what was added, for partitions that have none out.
  void flush(std::vector<bus::LogTask*>& tasks);
  // False: it is not a task of this object.
  bool on_done(const bus::LogTask* task, Writes& ended);

  // Of records that are not durable yet.
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Item {
    std::uint32_t key_bytes = 0;
    std::uint32_t value_bytes = 0;
    bool is_tombstone = false;
    std::int64_t wall_ms = 0;
    std::shared_ptr<Write> write;
  };
  // One partition. Items before `sent` are in the batch that is out; they stay until it is
  // durable, because a batch that is too large for the topic is built again in halves.
  struct Lane {
    Target target;
    std::vector<Item> items;
    ByteString bytes;              // keys and values, one after the other
    std::size_t sent = 0;
    std::size_t sent_bytes = 0;
    std::size_t batch_records_max = SIZE_MAX;
    bool is_ready = false;         // in ready_
    bus::LogTask task;
    ByteString batch;
  };

  void make_ready(Lane& lane);
  void send(Lane& lane, std::vector<bus::LogTask*>& tasks);
  static void end(Item& item, kafka::ErrorCode error, Writes& ended);
  void remove_front(Lane& lane);

  const std::size_t batch_bytes_max_;
  record::BatchBuilder builder_;
  std::map<std::int32_t, std::unique_ptr<Lane>> lanes_;
  std::vector<Lane*> ready_;
  std::unordered_map<const bus::LogTask*, Lane*> out_;
  std::vector<std::unique_ptr<Lane>> dropped_;  // with a batch out
  std::uint64_t bytes_ = 0;
};

}  // namespace tailrace::control
