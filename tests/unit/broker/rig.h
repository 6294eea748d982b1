// A node for the stories of the broker: cores with logs on disks in memory, connections whose
// bytes the test sends and reads, and a control thread that the test plays itself.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/core_broker.h"
#include "bus/log_task.h"
#include "kafka/gen/fetch.h"
#include "kafka/gen/produce.h"
#include "log/boot.h"
#include "tests/support/fake_disk.h"
#include "tests/support/kafka_client.h"

namespace tailrace::broker {

inline Uuid topic_id(std::uint8_t number) {
  Uuid id;
  id.bytes.fill(number);
  return id;
}

inline log::Limits small_log_limits() {
  log::Limits limits;
  limits.wal_bytes = 1U << 20;
  limits.frame_bytes_max = 128U << 10;
  limits.cache_bytes = 1U << 20;
  limits.dirty_bytes_max = 384U << 10;
  limits.segment_write_bytes = 8U << 10;
  limits.read_buffer_bytes = 16U << 10;
  limits.read_buffer_count = 3;
  limits.segment_writes_max = 3;
  limits.partitions_max = 32;
  limits.open_files_max = 16;
  limits.free_bytes_min = 0;
  return limits;
}

inline Limits small_limits(std::uint16_t core_count = 1) {
  Limits limits;
  limits.core_count = core_count;
  limits.connections_max = 8;
  limits.requests_in_flight_max = 4;
  limits.requests_max = 64;
  limits.control_requests_max = 4;
  limits.request_bytes_max = 256U << 10;
  limits.request_memory_bytes = 512U << 10;
  limits.answer_memory_bytes = 2U << 20;
  limits.decode_bytes_max = 1U << 20;
  limits.events_held_max = 2;
  limits.pinned_bytes_max = 1U << 20;
  limits.fetch_sessions_max = 2;
  return limits;
}

// Builds the images that control would.
class ImageMaker {
 public:
  ImageMaker() {
    image_.cluster_id = "abcdefghijklmnopqrstuv";
    image_.node_id = 1;
    image_.controller_id = 1;
    image_.nodes = {{.id = 1, .endpoints = {{"broker.test", 9092}, {"inside.test", 9093}}}};
  }
  // Partition p is owned by core p % core_count.
  bus::TopicImage& add_topic(const std::string& name, std::uint8_t number, int partition_count,
                             std::uint16_t core_count = 1) {
    auto topic = std::make_shared<bus::TopicImage>();
    topic->name = name;
    topic->id = topic_id(number);
    for (int p = 0; p < partition_count; ++p) {
      topic->partitions.push_back({.index = p,
                                   .leader = 1,
                                   .leader_epoch = 3,
                                   .owner = static_cast<bus::CoreId>(p % core_count),
                                   .replicas = {1},
                                   .isr = {1}});
    }
    topics_[name] = topic;
    return *topic;
  }
  void remove_topic(const std::string& name) { topics_.erase(name); }
  // A topic that is changed becomes a new object, as control does it.
  bus::TopicImage& change_topic(const std::string& name) {
    topics_[name] = std::make_shared<bus::TopicImage>(*topics_[name]);
    return *topics_[name];
  }
  bus::MetadataImage& base() { return image_; }
  std::unique_ptr<bus::MetadataImage> make() {
    auto made = std::make_unique<bus::MetadataImage>();
    made->version = ++image_.version;
    made->cluster_id = image_.cluster_id;
    made->node_id = image_.node_id;
    made->controller_id = image_.controller_id;
    made->nodes = image_.nodes;
    made->broker_configs = image_.broker_configs;
    made->broker_defaults = image_.broker_defaults;
    made->quotas = image_.quotas;
    made->group_configs = image_.group_configs;
    for (const auto& [name, topic] : topics_) {
      made->topics.push_back(topic);
      made->topics_by_id[topic->id] = topic.get();
      made->topics_by_name[topic->name] = topic.get();
    }
    return made;
  }

 private:
  bus::MetadataImage image_;
  std::map<std::string, std::shared_ptr<bus::TopicImage>> topics_;
};

class Node;

// One connection.
class Client {
 public:
  Client(Node& node, std::size_t core, ConnId conn) : node_(node), core_(core), conn_(conn) {}

  void send_bytes(Bytes bytes);
  template <class Request>
  void send(const Request& request, std::int16_t version) {
    send_bytes(test::build_request(request, version, next_correlation_++));
  }
  // The next response, already here.
  std::optional<test::Buffer> take_frame() {
    auto frame = received.take();
    if (!frame) return frame;
    EXPECT_EQ(test::correlation_id_of(*frame), expected_correlation_++);
    return frame;
  }
  // Sends, lets the node work, and takes the answer.
  template <class Response, class Request>
  test::Parsed<Response> call(const Request& request, std::int16_t version);

  ConnId conn() const { return conn_; }
  std::int32_t next_correlation() const { return next_correlation_; }

  test::FrameCutter received;
  bool is_closed = false;   // the broker closed it
  bool is_aborted = false;
  bool is_paused = false;
  bool holds_sends = false; // sends are taken, but not done
  bool refuses_sends = false;
  bool is_silent = false;   // takes nothing any more: only a reset ends its connection
  std::deque<std::uint64_t> unsent;

 private:
  friend class Node;
  Node& node_;
  std::size_t core_;
  ConnId conn_;
  std::int32_t next_correlation_ = 1;
  std::int32_t expected_correlation_ = 1;
};

class Node {
 public:
  explicit Node(Limits limits = small_limits(), log::Limits log_limits = small_log_limits(),
                StaticConfig config = {"/data", {{"listeners", "PLAINTEXT://0.0.0.0:9092"}}}) {
    boot(limits, log_limits);
    for (std::uint16_t i = 0; i < limits.core_count; ++i) {
      brokers.push_back(std::make_unique<CoreBroker>(limits, i, *logs_[i], config));
    }
    inboxes_.resize(limits.core_count);
    events_.resize(limits.core_count);
  }

  void publish() {
    images_.push_back(images.make());
    for (std::size_t i = 0; i < brokers.size(); ++i) {
      bus::Message message{.kind = bus::MessageKind::image_published, .from = bus::control_core};
      message.object = images_.back().get();
      inboxes_[i].push_back(message);
    }
    settle();
  }
  Client& connect(std::size_t core = 0, std::uint32_t listener = 0) {
    const ConnId conn = 0xabc0000 + clients.size();
    clients.push_back(std::make_unique<Client>(*this, core, conn));
    events_[core].push_back(
        {.kind = StreamEvent::Kind::accepted, .conn = conn, .bytes = as_bytes("10.0.0.7"),
         .listener = listener});
    settle();
    return *clients.back();
  }
  void hang_up(Client& client) {
    for (const std::uint64_t token : client.unsent) {
      events_[client.core_].push_back(
          {.kind = StreamEvent::Kind::sent, .conn = client.conn_, .token = token});
    }
    client.unsent.clear();
    events_[client.core_].push_back({.kind = StreamEvent::Kind::closed, .conn = client.conn_});
    settle();
  }
  void finish_sends(Client& client) {
    client.holds_sends = false;
    while (!client.unsent.empty()) {
      events_[client.core_].push_back({.kind = StreamEvent::Kind::sent,
                                       .conn = client.conn_,
                                       .token = client.unsent.front()});
      client.unsent.pop_front();
    }
    settle();
  }

  void turn() {
    for (std::size_t i = 0; i < brokers.size(); ++i) turn_core(i);
  }
  // Until nothing moves any more at this moment.
  void settle() {
    for (int i = 0; i < 60; ++i) turn();
  }
  void advance(Duration duration) {
    now.instant = now.instant + duration;
    now.wall_ms += duration.ns / 1'000'000;
    settle();
  }
  // Control's answer to the request at the front of control_inbox.
  void reply_to_control(Bytes reply, bool close_connection = false) {
    bus::ControlRequest* request = control_inbox.front();
    control_inbox.pop_front();
    request->reply = reply;
    request->close_connection = close_connection;
    inboxes_[request->core].push_back({.kind = bus::MessageKind::control_reply,
                                       .from = bus::control_core,
                                       .object = request});
  }
  void post(std::size_t core, const bus::Message& message) { inboxes_[core].push_back(message); }
  void push_event(std::size_t core, const StreamEvent& event) { events_[core].push_back(event); }
  std::uint64_t add_buffer(Bytes bytes) {
    buffers_.push_back(std::make_unique<test::Buffer>(bytes.begin(), bytes.end()));
    released_.push_back(false);
    return buffers_.size() - 1;
  }
  Bytes buffer(std::uint64_t token) const { return *buffers_[token]; }
  std::size_t unreleased_count() const {
    return static_cast<std::size_t>(std::count(released_.begin(), released_.end(), false));
  }
  log::CoreLog& log(std::size_t core = 0) { return *logs_[core]; }
  log::PartitionLog* partition(std::uint8_t topic, std::int32_t index, std::size_t core = 0) {
    return logs_[core]->find({topic_id(topic), index, 0});
  }

  ImageMaker images;
  std::vector<std::unique_ptr<CoreBroker>> brokers;
  std::vector<test::FakeDisk> disks;
  std::vector<std::unique_ptr<Client>> clients;
  std::deque<bus::ControlRequest*> control_inbox;
  std::vector<std::uint64_t> adopted;      // image versions, as cores told
  std::size_t replies_released = 0;
  std::vector<bus::LogTask*> log_tasks_done;
  bool messages_held = false;              // between cores
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};

 private:
  void boot(const Limits& limits, const log::Limits& log_limits) {
    test::FakeDisk disk;
    std::vector<MutableBytes> regions;
    for (std::uint16_t i = 0; i < limits.core_count; ++i) {
      memory_.push_back(
          std::make_unique<AlignedBuffer>(log::CoreLog::memory_bytes(log_limits)));
      regions.push_back(memory_.back()->bytes());
    }
    log::Boot boot(log_limits,
                   {.core_count = limits.core_count,
                    .owner_of = [](const log::PartitionKey& key, std::uint16_t cores) {
                      return static_cast<std::uint16_t>(key.partition % cores);
                    },
                    .core_memory = regions,
                    .may_format = true},
                   prng_);
    while (!boot.done()) {
      ASSERT_FALSE(boot.failed()) << boot.why();
      boot.step(now);
      submit(boot, disk);
      if (disk.waiting_count() > 0) boot.on_disk_done(disk.complete(0), now);
    }
    logs_ = boot.take_logs();
    disks.assign(limits.core_count, disk);
  }
  template <class Source>
  void submit(Source& source, test::FakeDisk& disk) {
    for (const DiskClass c : {DiskClass::wal, DiskClass::segment, DiskClass::read,
                              DiskClass::background}) {
      while (!source.ops(c).empty()) source.ops_taken(c, disk.submit(source.ops(c)));
    }
  }

  void turn_core(std::size_t i) {
    CoreBroker& broker = *brokers[i];
    auto messages = std::exchange(inboxes_[i], {});
    for (const bus::Message& message : messages) broker.on_message(message, now);
    auto events = std::exchange(events_[i], {});
    for (const StreamEvent& event : events) broker.on_event(event, now);
    std::array<DiskDone, 16> done;
    const std::size_t count = disks[i].poll(done);
    for (std::size_t k = 0; k < count; ++k) broker.on_disk_done(done[k], now);
    broker.step(now);
    submit(broker, disks[i]);
    std::size_t taken = 0;
    for (const StreamOp& op : broker.stream_ops()) {
      if (!perform(i, op)) break;
      ++taken;
    }
    broker.stream_ops_taken(taken);
    if (messages_held) return;
    for (const bus::Outgoing& outgoing : broker.messages()) deliver(outgoing);
    broker.messages_taken(broker.messages().size());
  }
  void deliver(const bus::Outgoing& outgoing) {
    if (outgoing.to != bus::control_core) {
      inboxes_[outgoing.to].push_back(outgoing.message);
      return;
    }
    auto* request = static_cast<bus::ControlRequest*>(outgoing.message.object);
    switch (outgoing.message.kind) {
      case bus::MessageKind::control_request: control_inbox.push_back(request); return;
      case bus::MessageKind::image_adopted: adopted.push_back(outgoing.message.word); return;
      case bus::MessageKind::reply_released:
        ++replies_released;
        inboxes_[request->core].push_back({.kind = bus::MessageKind::reply_gone,
                                           .from = bus::control_core,
                                           .object = request});
        return;
      case bus::MessageKind::log_task_done:
        log_tasks_done.push_back(static_cast<bus::LogTask*>(outgoing.message.object));
        return;
      default: ADD_FAILURE() << "an odd message to control";
    }
  }
  Client& client_of(ConnId conn) { return *clients.at(conn - 0xabc0000); }
  bool perform(std::size_t core, const StreamOp& op) {
    switch (op.kind) {
      case StreamOp::Kind::release:
        EXPECT_FALSE(released_.at(op.token)) << "an event was released twice";
        released_[op.token] = true;
        std::fill(buffers_[op.token]->begin(), buffers_[op.token]->end(), std::byte{0xdd});
        return true;
      case StreamOp::Kind::send: {
        Client& client = client_of(op.conn);
        if (client.refuses_sends) return false;
        for (const Bytes slice : op.slices) client.received.add(slice);
        client.unsent.push_back(op.token);
        if (client.holds_sends) return true;
        events_[core].push_back(
            {.kind = StreamEvent::Kind::sent, .conn = op.conn, .token = op.token});
        client.unsent.pop_back();
        return true;
      }
      case StreamOp::Kind::pause: client_of(op.conn).is_paused = true; return true;
      case StreamOp::Kind::resume: client_of(op.conn).is_paused = false; return true;
      case StreamOp::Kind::close:
        client_of(op.conn).is_closed = true;
        if (client_of(op.conn).is_silent) return true;
        events_[core].push_back({.kind = StreamEvent::Kind::closed, .conn = op.conn});
        return true;
      case StreamOp::Kind::abort:
        client_of(op.conn).is_aborted = true;
        if (client_of(op.conn).is_silent) {
          events_[core].push_back({.kind = StreamEvent::Kind::closed, .conn = op.conn});
        }
        return true;
    }
    return true;
  }

  Prng prng_{7, "boot"};
  std::vector<std::unique_ptr<AlignedBuffer>> memory_;
  std::vector<std::unique_ptr<log::CoreLog>> logs_;
  std::vector<std::deque<bus::Message>> inboxes_;
  std::vector<std::deque<StreamEvent>> events_;
  std::vector<std::unique_ptr<bus::MetadataImage>> images_;
  std::vector<std::unique_ptr<test::Buffer>> buffers_;
  std::vector<bool> released_;
};

inline void Client::send_bytes(Bytes bytes) {
  const std::uint64_t token = node_.add_buffer(bytes);
  node_.push_event(core_, {.kind = StreamEvent::Kind::data,
                           .conn = conn_,
                           .bytes = node_.buffer(token),
                           .token = token});
}

template <class Response, class Request>
test::Parsed<Response> Client::call(const Request& request, std::int16_t version) {
  send(request, version);
  node_.settle();
  auto frame = take_frame();
  if (!frame) {
    ADD_FAILURE() << "no answer" << (is_closed ? ", closed" : "");
    return test::Parsed<Response>({});
  }
  auto parsed = test::parse_response<Response>(std::move(*frame), version);
  EXPECT_TRUE(parsed.ok) << "unreadable answer, " << parsed.rest_bytes << " bytes left over";
  return parsed;
}

// --- requests of one topic and partition, by name or id as the version has it

struct ProduceOne {
  std::string_view topic = "orders";
  std::uint8_t topic_number = 1;
  std::int32_t partition = 0;
  std::int16_t acks = -1;
  std::int32_t timeout_ms = 5000;
};

// Keeps alive what the request points at.
class ProduceMaker {
 public:
  kafka::ProduceRequest& operator()(const ProduceOne& ask, Bytes batch) {
    partition_ = {.index = ask.partition, .records = batch};
    topic_ = {.name = ask.topic,
              .topic_id = topic_id(ask.topic_number),
              .partition_data = {&partition_, 1}};
    request_ = {.acks = ask.acks, .timeout_ms = ask.timeout_ms, .topic_data = {&topic_, 1}};
    return request_;
  }

 private:
  kafka::ProduceRequest::TopicProduceData::PartitionProduceData partition_;
  kafka::ProduceRequest::TopicProduceData topic_;
  kafka::ProduceRequest request_;
};

struct FetchOne {
  std::string_view topic = "orders";
  std::uint8_t topic_number = 1;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int32_t max_wait_ms = 500;
  std::int32_t min_bytes = 1;
  std::int32_t max_bytes = 1 << 20;
  std::int32_t partition_max_bytes = 1 << 20;
  std::int8_t isolation_level = 0;
  std::int32_t leader_epoch = -1;
  std::int32_t last_fetched_epoch = -1;
};

class FetchMaker {
 public:
  kafka::FetchRequest& operator()(const FetchOne& ask) {
    partition_ = {.partition = ask.partition,
                  .current_leader_epoch = ask.leader_epoch,
                  .fetch_offset = ask.offset,
                  .last_fetched_epoch = ask.last_fetched_epoch,
                  .partition_max_bytes = ask.partition_max_bytes};
    topic_ = {.topic = ask.topic,
              .topic_id = topic_id(ask.topic_number),
              .partitions = {&partition_, 1}};
    request_ = {.max_wait_ms = ask.max_wait_ms,
                .min_bytes = ask.min_bytes,
                .max_bytes = ask.max_bytes,
                .isolation_level = ask.isolation_level,
                .topics = {&topic_, 1}};
    return request_;
  }

 private:
  kafka::FetchRequest::FetchTopic::FetchPartition partition_;
  kafka::FetchRequest::FetchTopic topic_;
  kafka::FetchRequest request_;
};

// The only partition of an answer.
inline const auto& only(const kafka::ProduceResponse& response) {
  return response.responses[0].partition_responses[0];
}
inline const auto& only(const kafka::FetchResponse& response) {
  return response.responses[0].partitions[0];
}
inline std::vector<std::string> values_of(const kafka::FetchResponse& response) {
  std::vector<std::string> values;
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partitions) {
      for (const auto& record : test::read_records(partition.records.value)) {
        values.push_back(record.value);
      }
    }
  }
  return values;
}

}  // namespace tailrace::broker
