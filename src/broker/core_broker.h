// CoreBroker: the data plane of one core as logic without I/O. Bytes, messages, completions and
// the time go in; stream operations, messages and disk operations come out.
//
//   stream events -> sessions -> dispatch -> produce, fetch, ... -> partition tasks -> CoreLog
//                       |            |                                  |
//                    responses    control requests                 other cores
//
// One turn: on_message, on_event and on_disk_done for what came in, then step(), then the effects
// are taken. Read first: session.h (a connection), partition_task.h (work for a partition's
// owner), dispatch.cc (which request is what).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ops.h"
#include "base/time.h"
#include "broker/counters.h"
#include "broker/effects.h"
#include "broker/limits.h"
#include "bus/image.h"
#include "bus/message.h"

namespace tailrace::log {
class CoreLog;
}

namespace tailrace::broker {

struct Core;

// What a node knows about itself from its start on.
struct StaticConfig {
  std::string log_dir;  // absolute path of the data directory
  // Broker configs that the start fixed (listeners, advertised.listeners, log.dirs, node.id, ...)
  // by name; told by DescribeConfigs as STATIC_BROKER_CONFIG.
  std::vector<bus::ConfigEntry> values;
};

class CoreBroker {
 public:
  // `log` outlives the object.
  CoreBroker(const Limits& limits, bus::CoreId core, log::CoreLog& log,
             const StaticConfig& config);
  ~CoreBroker();
  CoreBroker(const CoreBroker&) = delete;
  CoreBroker& operator=(const CoreBroker&) = delete;

  // --- inputs
  void on_message(const bus::Message& message, Now now);
  void on_event(const StreamEvent& event, Now now);
  void on_disk_done(const DiskDone& done, Now now);
  // For DescribeLogDirs; from Disk::space().
  void set_disk_space(std::uint64_t total_bytes, std::uint64_t usable_bytes);
  // Connections that the transport refused by itself, since start.
  void set_transport_refused(std::uint64_t count);
  // Once per turn, after the inputs: timers, the log's step, replies.
  void step(Now now);

  // --- effects: taken from the front, in order
  std::span<const StreamOp> stream_ops() const;
  void stream_ops_taken(std::size_t count);
  std::span<const bus::Outgoing> messages() const;
  void messages_taken(std::size_t count);
  std::span<const DiskOp> ops(DiskClass disk_class) const;
  void ops_taken(DiskClass disk_class, std::size_t count);
  Instant next_deadline() const;

  // --- the end, begun by MessageKind::stop or begin_stop(): connections are closed, partitions
  // answer no more, the log is put in order. stopped() when all that is done.
  void begin_stop(Now now);
  bool stopped() const;

  // False until the first image came: until then connections wait.
  bool has_image() const;
  // May be read by any thread.
  const Counters& counters() const;

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace tailrace::broker
