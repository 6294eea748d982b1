// GroupCoordinator: the groups whose partition of __consumer_offsets this node leads. Requests,
// finished log tasks and the time go in; answers and log tasks come out.
//
//   request ──▶ decode ──▶ Group, OffsetTable ──▶ answer
//                             │        ▲
//                             ▼        │ applied when durable
//                          log task ───┘          (heartbeats and fetches write nothing)
//
// A partition is [away] until the image says that this node leads it, then [loading]: read from
// start to end, later records replacing earlier ones; then [active]. When it is lost, whoever
// waits is told NOT_COORDINATOR, and what is still being written is no longer applied.
//
// Offsets become visible, and a commit is answered, when the record is durable; tasks of a
// partition end in order, so memory never runs ahead of the log or behind it in another order.
//
// Requests of members are in group_requests.cc, offsets in offset_requests.cc, what operators ask
// in group_admin.cc, reading partitions in group_loading.cc.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/counter.h"
#include "base/prng.h"
#include "bus/log_task.h"
#include "bus/message.h"
#include "control/cluster_state.h"
#include "control/group.h"
#include "control/limits.h"
#include "control/offsets.h"
#include "kafka/throttle.h"
#include "kafka/wire.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/codec.h"

namespace tailrace::kafka {
struct OffsetFetchResponse;
}

namespace tailrace::control {

// Readable from any thread.
struct GroupCounters {
  Gauge groups;
  Gauge members;
  Gauge offsets;
  Gauge partitions_loading;
  Counter offset_commits;   // partitions
  Counter rebalances;       // generations begun
  Counter write_failures;   // of records that were to be kept
};

struct GroupAnswer {
  bus::ControlRequest* request = nullptr;
  ByteString reply;
  bool close_connection = false;
};

class GroupCoordinator {
 public:
  // `state` outlives the object.
  GroupCoordinator(const Limits& limits, bus::NodeId node_id, std::uint16_t core_count,
                   const ClusterState& state, Prng prng);

  // Is this API one of the coordinator's? (FindCoordinator is the controller's.)
  static bool is_for_groups(std::int16_t api_key);

  // The state has changed and the cores know it.
  void adopt(Now now);
  void on_request(bus::ControlRequest* request, Now now);
  void on_log_done(bus::LogTask* task, Now now);
  void step(Now now);
  Instant next_deadline() const;

  // Since the last call.
  std::vector<GroupAnswer> take_answers() { return std::exchange(answers_, {}); }
  std::vector<bus::LogTask*> take_log_tasks() { return std::exchange(log_tasks_, {}); }

  bool is_loading() const { return loading_count_ > 0; }
  const GroupCounters& counters() const { return counters_; }

 private:
  struct Entry {
    Entry(std::string id, std::int32_t in_partition, std::uint64_t entry_number, Group made)
        : name(std::move(id)), partition(in_partition), number(entry_number),
          group(std::move(made)) {}
    std::string name;
    std::int32_t partition;
    std::uint64_t number;             // tells it from a later group of the same name
    Group group;
    OffsetTable offsets;
    std::uint32_t commits_out = 0;    // being written
    Instant timer = never();          // in timers_
    std::uint64_t counted_bytes = 0;  // in memory_bytes_
    std::size_t counted_offsets = 0;
    std::size_t counted_members = 0;
  };
  struct Partition {
    enum class State : std::uint8_t { away, waiting, loading, active };
    State state = State::away;
    std::int32_t index = 0;
    bus::CoreId owner = 0;
    std::uint32_t incarnation = 0;
    std::int32_t leader_epoch = -1;
    std::uint64_t life = 0;           // another one with each coming and going
    std::int64_t offset = 0;          // loading: the next to be read
    Instant retry_at{};
  };
  // A request whose answer waits for records to be durable.
  struct Pending {
    bus::ControlRequest* request = nullptr;
    std::vector<kafka::ErrorCode> errors;  // by the order of its items
    std::size_t writes_out = 0;
  };
  struct Change {
    OffsetKey key;
    std::optional<OffsetRecord> record;  // none: it is deleted
  };
  // Records that belong together.
  struct Write {
    enum class Kind : std::uint8_t { offsets, group, delete_group };
    Kind kind = Kind::offsets;
    std::string group;
    std::uint64_t entry_number = 0;
    std::int32_t partition = 0;
    std::uint64_t life = 0;
    std::vector<Change> changes;
    std::uint64_t store_number = 0;
    bool is_commit = false;
    std::size_t tasks_out = 0;
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::shared_ptr<Pending> pending;
    std::vector<std::size_t> items;  // of `pending`
  };
  // What a log task belongs to: a write, or (null) the loading of a partition.
  struct Slot {
    bus::LogTask task;
    ByteString bytes;
    std::shared_ptr<Write> write;
    std::int32_t partition = 0;
    std::uint64_t life = 0;
  };
  struct NewRecord {
    ByteString key;
    ByteString value;
    bool is_tombstone = false;
  };

  // --- group_coordinator.cc
  template <class Request>
  Result<Request> decode(const bus::ControlRequest& request);
  template <class Response>
  void answer(bus::ControlRequest* request, const Response& response);
  void close(bus::ControlRequest* request);
  void dispatch(bus::ControlRequest* request, Now now);
  // The group's partition, if it is active here.
  kafka::ErrorCode find_partition(std::string_view group, Partition*& partition);
  Entry* find_entry(std::string_view group);
  Entry* find_entry(const Write& write);
  // Null when no more groups or bytes are allowed.
  Entry* make_entry(std::string_view group, std::int32_t partition);
  void add_entry(std::unique_ptr<Entry> entry);
  void erase_entry(Entry& entry);
  // After something was done with a group: its answers, writes, timer and sizes. Groups that are
  // nothing go.
  void settle(Entry& entry, Now now);
  void set_timer(Entry& entry, Instant at);
  void count(Entry& entry);
  void answer_join(const JoinAnswer& answer);
  void answer_sync(const SyncAnswer& answer);
  std::shared_ptr<Write> new_write(const Entry& entry, Write::Kind kind);
  void send_write(const std::shared_ptr<Write>& write, std::vector<NewRecord> records, Now now);
  void send_batch(const std::shared_ptr<Write>& write);
  void write_offsets(Entry& entry, std::vector<Change> changes,
                     const std::shared_ptr<Pending>& pending, std::vector<std::size_t> items,
                     Now now);
  void write_group(Entry& entry, const StoreAsk& ask, Now now);
  void end_write(Write& write, Now now);
  void finish(Pending& pending);
  void check_offsets(Now now);
  void expire_offsets(Entry& entry, Now now);
  void update_counters();

  // --- group_requests.cc
  void join_group(bus::ControlRequest* request, Now now);
  void sync_group(bus::ControlRequest* request, Now now);
  void heartbeat(bus::ControlRequest* request, Now now);
  void leave_group(bus::ControlRequest* request, Now now);
  std::string new_member_id(std::string_view front);

  // --- offset_requests.cc
  void commit_offsets(bus::ControlRequest* request, Now now);
  void fetch_offsets(bus::ControlRequest* request);
  void delete_offsets(bus::ControlRequest* request, Now now);
  bool has_room_for(const Entry& entry, std::string_view topic, std::int32_t partition,
                    std::string_view metadata, std::size_t planned) const;
  // The request's topics and partitions, each with its error.
  template <class Request, class Response, class ToTopic>
  void answer_offsets(Pending& pending, const ToTopic& to_topic);
  void finish_commit(Pending& pending);
  void finish_delete_offsets(Pending& pending);

  // --- group_admin.cc
  void describe_groups(bus::ControlRequest* request);
  void list_groups(bus::ControlRequest* request);
  void delete_groups(bus::ControlRequest* request, Now now);
  kafka::ErrorCode begin_delete(std::string_view name, const std::shared_ptr<Pending>& pending,
                                std::size_t item, Now now);
  void finish_delete_groups(Pending& pending);

  // --- group_loading.cc
  void take_over(const Topic& topic, Now now);
  void let_go(Partition& partition);
  void start_loads(Now now);
  void read_on(Partition& partition, std::unique_ptr<Slot> slot);
  void on_read(std::unique_ptr<Slot> slot, Now now);
  bool replay(Bytes batches, Partition& partition, Now now);
  bool replay_batch(const record::BatchView& batch, Partition& partition, Now now);
  void replay_record(Bytes key, Bytes value, bool is_tombstone, Partition& partition, Now now);
  void finish_load(Partition& partition, Now now);
  void forget_deleted_topics(Now now);

  const Limits limits_;
  const bus::NodeId node_id_;
  const std::uint16_t core_count_;
  const ClusterState& state_;
  Prng prng_;
  Arena arena_;
  record::BatchBuilder builder_;
  std::unique_ptr<record::Decoder> decoder_;  // made when a compressed batch is met

  Uuid topic_id_;  // zero: there is no topic yet
  std::vector<Partition> partitions_;
  std::size_t loading_count_ = 0;  // waiting or loading
  std::size_t reads_out_ = 0;
  std::uint64_t life_ = 0;

  std::map<std::string, std::unique_ptr<Entry>, std::less<>> groups_;
  std::map<std::pair<Instant, std::uint64_t>, Entry*> timers_;  // by time and Entry::number
  std::uint64_t entry_number_ = 0;
  std::uint64_t memory_bytes_ = 0;
  std::size_t offset_count_ = 0;
  std::size_t member_count_ = 0;

  std::unordered_map<const bus::LogTask*, std::unique_ptr<Slot>> slots_;
  std::vector<bus::LogTask*> log_tasks_;
  std::vector<GroupAnswer> answers_;

  Instant check_at_ = never();
  std::string check_from_;         // where the look for old offsets goes on
  bool is_checking_ = false;
  std::size_t topic_count_seen_ = 0;
  GroupCounters counters_;
};

// The codes that clients understand for records that could not be kept.
kafka::ErrorCode commit_error(kafka::ErrorCode log_error);
kafka::ErrorCode store_error(kafka::ErrorCode log_error);

// ---------------------------------------------------------------- templates

template <class Request>
Result<Request> GroupCoordinator::decode(const bus::ControlRequest& request) {
  arena_.reset();
  kafka::Reader in(request.body);
  return Request::decode(in, request.api_version, arena_);
}

template <class Response>
void GroupCoordinator::answer(bus::ControlRequest* request, const Response& content) {
  const Response response = kafka::with_throttle(content, request->throttle_ms);
  kafka::Writer size = kafka::Writer::counter();
  response.encode(size, request->api_version);
  GroupAnswer made{.request = request};
  made.reply.resize(size.size());
  kafka::Writer out(made.reply);
  response.encode(out, request->api_version);
  TR_ASSERT(!out.overflowed());
  answers_.push_back(std::move(made));
}

}  // namespace tailrace::control
