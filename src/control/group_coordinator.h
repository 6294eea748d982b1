// GroupCoordinator: the groups whose partition of __consumer_offsets this node leads. Requests,
// finished log tasks and the time go in; answers and log tasks come out.
//
//   request ──▶ decode ──▶ Group, OffsetTable ──▶ answer
//                             │        ▲
//                             ▼        │ applied when durable
//                          log task ───┘          (heartbeats and fetches write nothing)
//
// Which partitions are ours, and reading them: control/internal_log.h. When one is lost, whoever
// waits is told NOT_COORDINATOR, and what is still being written is no longer applied.
//
// Offsets become visible, and a commit is answered, when the record is durable; tasks of a
// partition end in order, so memory never runs ahead of the log or behind it in another order.
//
// Requests of members are in group_requests.cc, offsets in offset_requests.cc, those of
// transactions in transactional_offset_requests.cc, what operators ask in group_admin.cc, what is
// read from partitions in group_loading.cc, groups of the consumer protocol in
// consumer_group_requests.cc.
#pragma once

#include <map>
#include <memory>
#include <set>
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
#include "control/control_answer.h"
#include "control/consumer_group.h"
#include "control/group.h"
#include "control/internal_log.h"
#include "control/limits.h"
#include "control/log_appender.h"
#include "control/offsets.h"
#include "control/transaction.h"
#include "control/transactional_offsets.h"
#include "kafka/throttle.h"
#include "kafka/wire.h"

namespace tailrace::kafka {
struct OffsetCommitRequest;
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

class GroupCoordinator : private InternalLog::Owner {
 public:
  // `state` outlives the object.
  GroupCoordinator(const Limits& limits, bus::NodeId node_id, std::uint16_t core_count,
                   const ClusterState& state, Prng prng);

  // Is this API one of the coordinator's? (FindCoordinator is the controller's.)
  static bool is_for_groups(std::int16_t api_key);

  // The state has changed and the cores know it.
  void adopt(Now now);
  void on_request(bus::ControlRequest* request, Now now);
  // TxnOffsetCommit: its partition is in the transaction (or the error says why not).
  void commit_transactional(bus::ControlRequest* request, kafka::ErrorCode error, Now now);
  // A transaction's marker is durable in this partition.
  void on_marker(std::int32_t partition, std::int64_t producer_id, bool is_commit, Now now);
  void on_log_done(bus::LogTask* task, Now now);
  void step(Now now);
  Instant next_deadline() const;

  // Since the last call.
  std::vector<ControlAnswer> take_answers() { return std::exchange(answers_, {}); }
  // Records of all requests since then that go to one partition are one batch.
  std::vector<bus::LogTask*> take_log_tasks() {
    log_.take_tasks(log_tasks_);
    appender_.flush(log_tasks_);
    return std::exchange(log_tasks_, {});
  }

  bool is_loading() const { return log_.loading_count() > 0; }
  const GroupCounters& counters() const { return counters_; }

 private:
  struct Write;
  struct Entry {
    Entry(std::string id, std::int32_t in_partition, std::uint64_t entry_number, Group made)
        : name(std::move(id)), partition(in_partition), number(entry_number),
          group(std::move(made)) {}
    std::string name;
    std::int32_t partition;
    std::uint64_t number;             // tells it from a later group of the same name
    Group group;                      // empty (or dead) while `consumer` is there
    std::unique_ptr<ConsumerGroup> consumer;
    std::shared_ptr<Write> consumer_write;  // the last of it that is on its way
    OffsetTable offsets;
    TransactionalOffsets transactional;
    std::uint32_t writes_out = 0;     // offsets and records of `consumer`
    Instant timer = never();          // in timers_
    std::uint64_t counted_bytes = 0;  // in memory_bytes_
    std::size_t counted_offsets = 0;
    std::size_t counted_members = 0;
  };
  using Partition = const InternalLog::Partition;
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
  struct Write : LogAppender::Write {
    enum class Kind : std::uint8_t { offsets, group, delete_group, consumer };
    Kind kind = Kind::offsets;
    std::string group;
    std::uint64_t entry_number = 0;
    std::int32_t partition = 0;
    std::uint64_t life = 0;
    std::vector<Change> changes;
    std::uint64_t store_number = 0;
    bool counts_out = false;           // in Entry::writes_out
    std::shared_ptr<Pending> pending;
    std::vector<std::size_t> items;    // of `pending`
    std::vector<ControlAnswer> answers;  // consumer: given when it is durable
  };
  using NewRecord = LogAppender::Record;
  // Offsets of a transaction on their way to the log.
  struct TransactionalWrite {
    bus::LogTask task;
    ByteString bytes;
    std::shared_ptr<Write> write;
    std::int64_t producer_id = -1;
    std::uint64_t number = 0;
  };

  static bool is_empty(const Entry& entry) {
    return entry.group.state() == Group::State::empty && !entry.group.has_pending_members() &&
           (entry.consumer == nullptr || entry.consumer->members().empty());
  }
  // Every group fits, once.
  ReplyRoom reply_room() const { return ReplyRoom(2 * limits_.group_bytes_max); }
  // May this request's content be kept? Members that are here have a share more, or a full node
  // would lose its groups.
  bool has_memory_for(const bus::ControlRequest& request, bool is_member) const {
    const std::uint64_t reserve = is_member ? limits_.group_bytes_max / 4 : 0;
    return memory_bytes_ + request.body.size() <= limits_.group_bytes_max + reserve;
  }
  GroupRules group_rules() const {
    return {limits_.group_members_max, limits_.group_initial_delay};
  }

  // --- group_coordinator.cc
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
  static ControlAnswer join_answer(const JoinAnswer& from);
  static ControlAnswer sync_answer(const SyncAnswer& from);
  void answer_join(const JoinAnswer& from) { answers_.push_back(join_answer(from)); }
  void answer_sync(const SyncAnswer& from) { answers_.push_back(sync_answer(from)); }
  std::shared_ptr<Write> new_write(const Entry& entry, Write::Kind kind);
  void send_write(const std::shared_ptr<Write>& write, std::span<const NewRecord> records, Now now);
  void end_writes(const LogAppender::Writes& ended, Now now);
  void write_offsets(Entry& entry, std::vector<Change> changes,
                     const std::shared_ptr<Pending>& pending, std::vector<std::size_t> items,
                     Now now);
  void write_group(Entry& entry, const StoreAsk& ask, Now now);
  void end_write(Write& write, Now now);
  void finish(Pending& pending);
  void check_offsets(Now now);
  void expire_offsets(Entry& entry, Now now);
  void update_counters();

  // --- consumer_group_requests.cc
  void consumer_heartbeat(bus::ControlRequest* request, Now now);
  void describe_consumer_groups(bus::ControlRequest* request);
  // As they are set for the group, whether it is there or not.
  ConsumerGroupRules consumer_rules(std::string_view group) const;
  ControlAnswer consumer_answer(bus::ControlRequest* request, std::string_view group,
                                const ConsumerAnswer& from);
  kafka::ErrorCode become_consumer(Entry& entry, bool is_join, ConsumerGroup::Records& records,
                                   Now now);
  void become_classic(Entry& entry, ConsumerGroup::Records& records, Now now);
  void settle_consumer(Entry& entry, ConsumerGroup::Records records,
                       std::optional<ControlAnswer> answer, Now now);
  void fail_consumer_write(Write& write, bool is_lost, Now now);
  void fail_request(bus::ControlRequest* request, std::string_view group, kafka::ErrorCode error);

  // --- group_requests.cc
  void join_group(bus::ControlRequest* request, Now now);
  void sync_group(bus::ControlRequest* request, Now now);
  void heartbeat(bus::ControlRequest* request, Now now);
  void leave_group(bus::ControlRequest* request, Now now);
  std::string new_member_id(std::string_view front);

  // --- offset_requests.cc
  static kafka::ErrorCode check_commit(Entry& entry, const kafka::OffsetCommitRequest& body,
                                       std::int16_t version, Now now);
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

  // --- transactional_offset_requests.cc
  void end_transactional(std::int32_t partition, std::int64_t producer_id, bool is_commit,
                         Now now);
  void send_transactional(Entry& entry, const ProducerIdentity& producer,
                          const std::vector<TransactionalOffsets::Pending>& offsets,
                          const std::shared_ptr<Pending>& pending,
                          std::vector<std::size_t> items, Now now);
  // False: it is not one of these.
  bool on_transactional_done(const bus::LogTask* task, Now now);
  void finish_transactional(Pending& pending);
  void load_transactional(const record::BatchHeader& batch, Entry& entry, const OffsetKey& key,
                          OffsetRecord record);

  // --- group_admin.cc
  void describe_groups(bus::ControlRequest* request);
  void list_groups(bus::ControlRequest* request);
  void delete_groups(bus::ControlRequest* request, Now now);
  kafka::ErrorCode begin_delete(std::string_view name, const std::shared_ptr<Pending>& pending,
                                std::size_t item, Now now);
  void finish_delete_groups(Pending& pending);

  // --- group_loading.cc
  void load_consumer_record(const RecordKey& key, const InternalLog::LoadedRecord& from,
                            Entry& entry);
  void on_lost(Partition& partition, Now now) override;
  void on_record(Partition& partition, const record::BatchHeader& batch,
                 const InternalLog::LoadedRecord& record, Now now) override;
  void on_control(Partition& partition, const record::BatchView& batch, Now now) override;
  void on_loaded(Partition& partition, Now now) override;
  void forget_deleted_topics(Now now);

  const Limits limits_;
  const ClusterState& state_;
  Prng prng_;
  Arena arena_;
  LogAppender appender_;
  InternalLog log_;

  std::map<std::string, std::unique_ptr<Entry>, std::less<>> groups_;
  std::map<std::pair<Instant, std::uint64_t>, Entry*> timers_;  // by time and Entry::number
  std::uint64_t entry_number_ = 0;
  std::uint64_t memory_bytes_ = 0;
  std::size_t offset_count_ = 0;
  std::size_t member_count_ = 0;
  std::uint64_t offset_order_ = 0;

  // By partition and producer.
  std::map<std::pair<std::int32_t, std::int64_t>, std::set<std::string>> transactional_groups_;
  std::unordered_map<const bus::LogTask*, std::unique_ptr<TransactionalWrite>>
      transactional_writes_;
  std::uint64_t transactional_number_ = 0;

  std::vector<bus::LogTask*> log_tasks_;
  std::vector<ControlAnswer> answers_;

  Instant check_at_ = never();
  std::string check_from_;         // where the look for old offsets goes on
  bool is_checking_ = false;
  std::uint64_t deletions_seen_ = 0;  // ClusterState::topics_deleted
  bool looks_for_deleted_ = true;     // once more, whatever was seen
  GroupCounters counters_;
};

// Whose request it is, as Kafka tells it of members: a slash and the numeric address.
std::string client_host_of(const bus::ControlRequest& request);
// The codes that clients understand for records that could not be kept.
kafka::ErrorCode commit_error(kafka::ErrorCode log_error);
kafka::ErrorCode store_error(kafka::ErrorCode log_error);

}  // namespace tailrace::control
