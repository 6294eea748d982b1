// ControlPlane: what the control thread does: the replicated metadata log, the controller that
// changes it on request, and the images that tell the cores. Logic without I/O: messages,
// completions and the time go in; disk operations and messages come out.
//
//   control_request -> controller checks, proposes -> log durable -> committed -> applied
//                   -> image_published to every core -> control_reply
//
// Requests about groups go to the GroupCoordinator, which writes to __consumer_offsets through the
// cores (log_task) and answers when it is durable; the metadata log is not concerned.
//
// Start-up, with the same calls: step() until ready() or failed(), giving ops() to a disk.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/counter.h"
#include "base/ops.h"
#include "base/prng.h"
#include "base/time.h"
#include "bus/image.h"
#include "bus/message.h"
#include "control/group_coordinator.h"
#include "control/limits.h"
#include "control/transaction_coordinator.h"

namespace tailrace::control {

// What this node is, from the command line and the data directory.
struct NodeSetup {
  bus::NodeId node_id = 0;
  std::uint16_t core_count = 1;
  std::vector<bus::Endpoint> endpoints;  // what clients are told, by listener
  std::string rack;
  // Empty: made at random at format, whatever is found afterwards. Else it must be what is found.
  std::string cluster_id;
};

// Readable from any thread.
struct Counters {
  Counter requests;        // taken in
  Counter refusals;        // of those: too many waited, or none of it was in time
  Counter commits;         // log entries applied
  Counter snapshots;       // the log was compacted
  Counter images;          // published
  Gauge topics;
  Gauge partitions;
  Gauge requests_waiting;
};

class ControlPlane {
 public:
  // `prng`: topic ids and, at format, the cluster's.
  ControlPlane(const Limits& limits, const NodeSetup& setup, Prng prng);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  void on_message(const bus::Message& message, Now now);
  void on_disk_done(const DiskDone& done, Now now);
  void step(Now now);

  // Effects. All operations are DiskClass::background, on files below "metadata/".
  std::span<const DiskOp> ops() const;
  void ops_taken(std::size_t count);
  std::span<const bus::Outgoing> messages() const;
  void messages_taken(std::size_t count);
  Instant next_deadline() const;

  // The metadata is recovered and the first image is on its way to every core.
  bool ready() const;
  // The metadata log cannot be read or written: every request is answered with an error from now
  // on. why(): lines for the operator.
  bool failed() const;
  const std::string& why() const;

  // Once ready(): 22 characters; the newest image that was sent to the cores.
  std::string_view cluster_id() const;
  const bus::MetadataImage& image() const;
  const Counters& counters() const;
  const GroupCounters& group_counters() const;
  const TransactionCounters& transaction_counters() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace tailrace::control
