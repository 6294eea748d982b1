// TransactionCoordinator: the transactional ids whose partition of __transaction_state this node
// leads. Requests, finished log tasks and the time go in; answers and log tasks come out.
//
//   request ──▶ Transaction ── record ──▶ log ── durable ──▶ answer
//                                                   │
//                                  the end of one? ─┴▶ markers to every partition (MarkerWriter)
//                                                             │ all durable
//                                  complete: the next may begin ◀─ record ─┘
//
// A transactional id has at most one record on its way to the log. Requests that add partitions
// wait meanwhile, and a little for the markers of the transaction before; everything else is told
// CONCURRENT_TRANSACTIONS and comes again.
//
// Offsets that are committed in a transaction belong to the groups: their request passes through
// here first, to be made part of the transaction, and then goes on (Groups).
//
// Requests of producers are in transaction_requests.cc, what operators ask in
// transaction_admin.cc; which partitions are ours is in internal_log.h, the rules of one
// transaction in transaction.h.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/counter.h"
#include "bus/log_task.h"
#include "bus/message.h"
#include "control/cluster_state.h"
#include "control/control_answer.h"
#include "control/internal_log.h"
#include "control/limits.h"
#include "control/log_appender.h"
#include "control/marker_writer.h"
#include "control/transaction.h"

namespace tailrace::control {

// Readable from any thread.
struct TransactionCounters {
  Gauge transactional_ids;
  Gauge ongoing;
  Gauge partitions_loading;
  Gauge markers_waiting;
  Counter commits;
  Counter aborts;          // those for lack of time among them
  Counter timeouts;
  Counter write_failures;  // of records that were to be kept
};

class TransactionCoordinator : private InternalLog::Owner, private MarkerWriter::Owner {
 public:
  // The groups' side of it.
  class Groups {
   public:
    // TxnOffsetCommit: its partition is in the transaction (or the error says why not).
    virtual void commit_offsets(bus::ControlRequest* request, kafka::ErrorCode error,
                                Now now) = 0;
    // A marker is durable in this partition of __consumer_offsets.
    virtual void on_marker(std::int32_t partition, std::int64_t producer_id, bool is_commit,
                           Now now) = 0;

   protected:
    ~Groups() = default;
  };

  // `state` and `groups` outlive the object.
  TransactionCoordinator(const Limits& limits, bus::NodeId node_id, std::uint16_t core_count,
                         const ClusterState& state, Groups& groups);

  // Is this request the coordinator's? (FindCoordinator is the controller's, and so is a producer
  // id without transactions.)
  static bool takes(const bus::ControlRequest& request);

  // The state has changed and the cores know it.
  void adopt(Now now);
  void on_request(bus::ControlRequest* request, Now now);
  // False: it is not a task of this object.
  bool on_log_done(const bus::LogTask* task, Now now);
  void step(Now now);
  Instant next_deadline() const;

  // More producer ids are wanted, and here they are: [first, end).
  bool wants_ids() const;
  void give_ids(std::int64_t first, std::int64_t end);

  // Since the last call.
  std::vector<ControlAnswer> take_answers() { return std::exchange(answers_, {}); }
  std::vector<bus::LogTask*> take_log_tasks();

  bool is_loading() const { return log_.loading_count() > 0; }
  const TransactionCounters& counters() const { return counters_; }

 private:
  // A request whose answer waits for several things.
  struct Pending {
    bus::ControlRequest* request = nullptr;
    std::vector<kafka::ErrorCode> errors;  // by the order of its partitions
    std::size_t left = 0;
  };
  // Partitions that are to be in a transaction, or are asked for.
  struct Ask {
    std::string id;
    ProducerIdentity producer;
    std::set<NamedPartition> partitions;
    std::int16_t version = 0;      // of the transaction
    bool verify_only = false;
    std::shared_ptr<Pending> pending;
    std::size_t first = 0;         // its items of `pending`
    std::vector<NamedPartition> items;
    Instant until = never();       // how long it waits for the end of the transaction before
  };
  struct Entry {
    Entry(std::string id, std::int32_t in_partition, std::uint64_t entry_number, Transaction made)
        : name(std::move(id)), partition(in_partition), number(entry_number),
          transaction(std::move(made)) {}
    std::string name;
    std::int32_t partition;
    std::uint64_t number;            // tells it from a later entry of the same name
    Transaction transaction;
    std::shared_ptr<MarkerWriter::Job> markers;  // out
    std::deque<Ask> waiting;         // for the record that is being written, or for markers
    Instant timer = never();         // in timers_
    Instant not_before{};            // after a write that failed
    std::uint64_t counted_bytes = 0; // in memory_bytes_
    bool counted_ongoing = false;
  };
  struct Write : LogAppender::Write {
    std::string id;
    std::uint64_t entry_number = 0;
    std::int32_t partition = 0;
    std::uint64_t life = 0;
    bus::ControlRequest* request = nullptr;       // InitProducerId, EndTxn
    kafka::ErrorCode told = kafka::ErrorCode::none;  // what it is told when all is well
    std::optional<Ask> ask;
  };
  struct MarkerJob : MarkerWriter::Job {
    std::string id;                               // the coordinator's own
    std::uint64_t entry_number = 0;
    std::shared_ptr<Pending> pending;             // WriteTxnMarkers
    std::size_t first = 0;
  };

  // --- transaction_coordinator.cc
  template <class Request>
  Result<Request> decode(const bus::ControlRequest& request) {
    return decode_body<Request>(request, arena_);
  }
  template <class Response>
  void answer(bus::ControlRequest* request, const Response& response) {
    answers_.push_back(answer_to(request, response));
  }
  void close(bus::ControlRequest* request);
  void dispatch(bus::ControlRequest* request, Now now);
  // none and an entry that may be null, not_coordinator, coordinator_load_in_progress.
  kafka::ErrorCode find(std::string_view id, std::int32_t& partition, Entry*& entry);
  Entry* find_entry(std::string_view id);
  Entry* find_entry(std::string_view id, std::uint64_t number);
  Entry& add_entry(std::string_view id, std::int32_t partition, Transaction transaction);
  void erase_entry(Entry& entry);
  void settle(Entry& entry, Now now);
  void set_timer(Entry& entry, Instant at);
  void count(Entry& entry);
  Instant deadline_of(const Entry& entry, Now now) const;
  void on_timer(Entry& entry, Now now);
  // Uses the spare id that the verdict has used, and writes what is next.
  std::shared_ptr<Write> write(Entry& entry, const Transaction::Verdict& verdict);
  void send(Entry& entry, const std::shared_ptr<Write>& write, Now now);
  void end_write(Write& write, Now now);
  void end_writes(const LogAppender::Writes& ended, Now now);
  void start_markers(Entry& entry, Now now);
  void complete(Entry& entry, Now now);
  void end_waiting(Entry& entry, Now now);
  std::int64_t spare_id() const { return ids_next_ < ids_end_ ? ids_next_ : -1; }
  void update_counters();
  bool is_full() const;

  void on_lost(const InternalLog::Partition& partition, Now now) override;
  void on_record(const InternalLog::Partition& partition, const record::BatchHeader& batch,
                 const InternalLog::LoadedRecord& record, Now now) override;
  void on_control(const InternalLog::Partition&, const record::BatchView&, Now) override {}
  void on_loaded(const InternalLog::Partition& partition, Now now) override;
  void on_marker(const NamedPartition& partition, const Marker& marker, Now now) override;
  void on_job_done(const std::shared_ptr<MarkerWriter::Job>& job, Now now) override;

  // --- transaction_requests.cc
  void init_producer_id(bus::ControlRequest* request, Now now);
  void answer_init(bus::ControlRequest* request, kafka::ErrorCode error,
                   const ProducerIdentity& producer);
  void add_partitions(bus::ControlRequest* request, Now now);
  void add_offsets(bus::ControlRequest* request, Now now);
  void check_offsets(bus::ControlRequest* request, Now now);
  void ask_for_offsets(bus::ControlRequest* request, std::string_view group, Ask ask, Now now);
  void begin(Ask ask, Now now);
  void end_ask(const Ask& ask, kafka::ErrorCode error, Now now);
  void end_verify(const Ask& ask, const Entry& entry, Now now);
  void finish_item(Pending& pending, Now now);
  void answer_add_partitions(const Pending& pending);
  void end_transaction(bus::ControlRequest* request, Now now);
  void answer_end(bus::ControlRequest* request, kafka::ErrorCode error,
                  const ProducerIdentity& producer);
  void write_markers(bus::ControlRequest* request, Now now);
  void answer_markers(const Pending& pending);

  // --- transaction_admin.cc
  void describe(bus::ControlRequest* request);
  void list(bus::ControlRequest* request, Now now);

  const Limits limits_;
  const ClusterState& state_;
  Groups& groups_;
  Arena arena_;
  Arena answer_arena_;
  InternalLog log_;
  LogAppender appender_;
  MarkerWriter markers_;

  std::map<std::string, std::unique_ptr<Entry>, std::less<>> entries_;
  std::map<std::pair<Instant, std::uint64_t>, Entry*> timers_;  // by time and Entry::number
  std::uint64_t entry_number_ = 0;
  std::uint64_t memory_bytes_ = 0;
  std::size_t ongoing_count_ = 0;

  // Producer ids that nobody has.
  std::int64_t ids_next_ = 0;
  std::int64_t ids_end_ = 0;

  std::vector<ControlAnswer> answers_;
  TransactionCounters counters_;
};

}  // namespace tailrace::control
