// tailrace_groups: what consumer groups ask, as fast as it goes. Prints one line of JSON.
//
//   commit: connections with `depth` OffsetCommits under way on each
//   storm:  members of stable groups send heartbeats by a clock; then many groups join at once
#include <fmt/format.h>
#include <sys/epoll.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/histogram.h"
#include "groups/peer.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/find_coordinator.h"
#include "kafka/gen/heartbeat.h"
#include "kafka/gen/join_group.h"
#include "kafka/gen/offset_commit.h"
#include "kafka/gen/sync_group.h"

namespace tailrace::groups {
namespace {

constexpr std::int16_t create_version = 5;
constexpr std::int16_t find_version = 3;
constexpr std::int16_t commit_version = 8;
constexpr std::int16_t join_version = 3;   // before a new member is told its id first
constexpr std::int16_t sync_version = 3;
constexpr std::int16_t heartbeat_version = 3;

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 9092;
  std::int32_t partitions = 1;      // commit: offsets in a request
  int connections = 8;
  int depth = 16;
  int groups = 64;                  // commit: spread over these; storm: that join at once
  int members = 1;                  // storm: of each group
  int steady = 200;                 // storm: groups that send heartbeats
  int beat_ms = 1000;
  int session_ms = 6000;
  double seconds = 3;
};

[[noreturn]] void die(const std::string& why) {
  fmt::print(stderr, "tailrace_groups: {}\n", why);
  std::exit(1);
}

struct Reactor {
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<bool> writing;

  std::size_t add(const Options& options) {
    auto peer = std::make_unique<Peer>();
    if (!peer->open(options.host, options.port)) die("cannot connect");
    epoll_event event{.events = EPOLLIN, .data = {.u64 = peers.size()}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd(), &event);
    peers.push_back(std::move(peer));
    writing.push_back(false);
    return peers.size() - 1;
  }
  void flush(std::size_t index) {
    Peer& peer = *peers[index];
    if (!peer.flush()) die("a connection broke");
    if (peer.wants_write() == writing[index]) return;
    writing[index] = peer.wants_write();
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    if (writing[index]) event.events |= EPOLLOUT;
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, peer.fd(), &event);
  }
  template <class OnAnswer>
  void wait(int timeout_ms, OnAnswer on_answer) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll, events, 256, timeout_ms);
    for (int i = 0; i < count; ++i) {
      const std::size_t index = events[i].data.u64;
      const bool good = peers[index]->receive([&](Bytes frame, const Peer::Asked& asked) {
        on_answer(index, frame, asked);
      });
      if (!good) die("a connection broke");
      flush(index);
    }
  }
  // One request and its answer, on the first connection.
  template <class Response, class Request>
  Response call(const Request& request, std::int16_t version) {
    Response response;
    bool answered = false;
    peers[0]->ask(frame_of(request, version), 0, 0);
    flush(0);
    while (!answered) {
      wait(1000, [&](std::size_t, Bytes frame, const Peer::Asked&) {
        response = response_of<Response>(frame, version);
        answered = true;
      });
    }
    return response;
  }
};

void prepare(Reactor& reactor, std::int32_t partitions) {
  kafka::CreateTopicsRequest::CreatableTopic topic;
  topic.name = "bench";
  topic.num_partitions = partitions;
  topic.replication_factor = 1;
  kafka::CreateTopicsRequest create;
  create.topics = {&topic, 1};
  create.timeout_ms = 30'000;
  reactor.call<kafka::CreateTopicsResponse>(create, create_version);
  // Makes __consumer_offsets; until that is read, commits are refused.
  kafka::FindCoordinatorRequest find;
  find.key = "group-0";
  reactor.call<kafka::FindCoordinatorResponse>(find, find_version);
}

std::vector<std::byte> commit_frame(const Options& options, const std::string& group) {
  using Topic = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
  std::vector<Topic::OffsetCommitRequestPartition> at;
  for (std::int32_t i = 0; i < options.partitions; ++i) {
    at.push_back({.partition_index = i, .committed_offset = 1'000'000 + i});
  }
  Topic topic{.name = "bench", .partitions = at};
  kafka::OffsetCommitRequest request;
  request.group_id = group;
  request.generation_id_or_member_epoch = -1;
  request.topics = {&topic, 1};
  return frame_of(request, commit_version);
}

std::int64_t bad_offsets(Bytes frame) {
  std::int64_t bad = 0;
  const auto response = response_of<kafka::OffsetCommitResponse>(frame, commit_version);
  for (const auto& topic : response.topics) {
    for (const auto& at : topic.partitions) bad += at.error_code != 0 ? 1 : 0;
  }
  return bad;
}

int commit(const Options& options) {
  Reactor reactor;
  for (int i = 0; i < options.connections; ++i) reactor.add(options);
  prepare(reactor, options.partitions);
  std::vector<std::vector<std::byte>> frames;
  for (int i = 0; i < options.groups; ++i) {
    frames.push_back(commit_frame(options, fmt::format("group-{}", i)));
  }
  // Every group commits once before the clock starts, and is asked until it is loaded.
  for (const auto& frame : frames) {
    for (bool good = false; !good;) {
      bool answered = false;
      reactor.peers[0]->ask(frame, 0, 0);
      reactor.flush(0);
      while (!answered) {
        reactor.wait(1000, [&](std::size_t, Bytes answer, const Peer::Asked&) {
          answered = true;
          good = bad_offsets(answer) == 0;
        });
      }
    }
  }

  std::size_t next = 0;
  std::int64_t requests = 0;
  std::int64_t bad = 0;
  Histogram latency;
  const std::int64_t start = monotonic_ns();
  const std::int64_t window = start + 500'000'000;
  const std::int64_t end = window + static_cast<std::int64_t>(options.seconds * 1e9);
  std::int64_t now = start;
  for (std::size_t i = 0; i < reactor.peers.size(); ++i) {
    for (int k = 0; k < options.depth; ++k) {
      reactor.peers[i]->ask(frames[next++ % frames.size()], 0, now);
    }
    reactor.flush(i);
  }
  while (now < end) {
    reactor.wait(100, [&](std::size_t index, Bytes frame, const Peer::Asked& asked) {
      const std::int64_t answered = monotonic_ns();
      if (asked.at_ns >= window && answered < end) {
        ++requests;
        bad += bad_offsets(frame);
        latency.record(static_cast<std::uint64_t>(answered - asked.at_ns));
      }
      reactor.peers[index]->ask(frames[next++ % frames.size()], 0, answered);
    });
    now = monotonic_ns();
  }
  fmt::print("{{\"per_s\": {:.1f}, \"offsets_per_s\": {:.1f}, \"p50_us\": {:.1f}, "
             "\"p99_us\": {:.1f}, \"errors\": {}}}\n",
             static_cast<double>(requests) / options.seconds,
             static_cast<double>(requests) * options.partitions / options.seconds,
             static_cast<double>(latency.percentile(50)) / 1e3,
             static_cast<double>(latency.percentile(99)) / 1e3, bad);
  return bad == 0 ? 0 : 1;
}

// ---------------------------------------------------------------- storm

enum Kind : int { joining, syncing, beating };

struct Member {
  std::string group;
  std::string id;
  std::int32_t generation = -1;
  bool is_stable = false;
  std::int64_t beat_at = 0;
};

class Storm {
 public:
  explicit Storm(const Options& options) : options_(options) {
    reactor_.add(options_);
    members_.emplace_back();
    prepare(reactor_, 1);
  }

  int run() {
    for (int i = 0; i < options_.steady; ++i) add(fmt::format("steady-{}", i));
    for (std::size_t i = 1; i < members_.size(); ++i) join(i);
    while (stable_ < static_cast<std::size_t>(options_.steady)) turn();
    // A heartbeat of each at its own time.
    const std::int64_t now = monotonic_ns();
    for (std::size_t i = 1; i < members_.size(); ++i) {
      members_[i].beat_at = now + static_cast<std::int64_t>(i) * options_.beat_ms * 1'000'000 /
                                      options_.steady;
    }
    watch(now + static_cast<std::int64_t>(options_.seconds * 1e9));
    const double calm_p99_ms = beat_ms(99);

    const std::size_t first = members_.size();
    for (int i = 0; i < options_.groups; ++i) {
      for (int k = 0; k < options_.members; ++k) add(fmt::format("storm-{}", i));
    }
    const std::int64_t began = monotonic_ns();
    for (std::size_t i = first; i < members_.size(); ++i) join(i);
    const std::size_t all = members_.size() - 1;
    beats_ = Histogram();
    while (stable_ < all && monotonic_ns() < began + 120'000'000'000) turn();
    const double storm_s = static_cast<double>(monotonic_ns() - began) / 1e9;
    const bool all_stable = stable_ == all;
    // Beats that are still under way count as well.
    watch(monotonic_ns() + 1'000'000'000);
    fmt::print("{{\"storm_s\": {:.2f}, \"beats\": {}, \"beat_p50_ms\": {:.2f}, "
               "\"beat_p99_ms\": {:.2f}, \"beat_max_ms\": {:.2f}, \"calm_p99_ms\": {:.2f}, "
               "\"late\": {}, \"errors\": {}}}\n",
               storm_s, beats_.count(), beat_ms(50), beat_ms(99), beat_ms(100), calm_p99_ms,
               late_, errors_);
    return all_stable && late_ == 0 && errors_ == 0 ? 0 : 1;
  }

 private:
  void watch(std::int64_t until) {
    while (monotonic_ns() < until) turn();
  }
  double beat_ms(double percent) const {
    return static_cast<double>(beats_.percentile(percent)) / 1e6;
  }
  void add(std::string group) {
    reactor_.add(options_);
    members_.push_back({.group = std::move(group)});
  }
  void join(std::size_t index) {
    kafka::JoinGroupRequest request;
    request.group_id = members_[index].group;
    request.member_id = members_[index].id;
    request.session_timeout_ms = options_.session_ms;
    request.rebalance_timeout_ms = 60'000;
    request.protocol_type = "consumer";
    const std::string_view reads("\0\1\0\0\0\1\0\5bench\0\0\0\0", 17);
    kafka::JoinGroupRequest::JoinGroupRequestProtocol protocol{"range", as_bytes(reads)};
    request.protocols = {&protocol, 1};
    ask(index, frame_of(request, join_version), joining);
  }
  void sync(std::size_t index, const kafka::JoinGroupResponse& joined) {
    Member& member = members_[index];
    kafka::SyncGroupRequest request;
    request.group_id = member.group;
    request.generation_id = member.generation;
    request.member_id = member.id;
    std::vector<kafka::SyncGroupRequest::SyncGroupRequestAssignment> plan;
    for (const auto& other : joined.members) {
      plan.push_back({other.member_id, as_bytes(std::string_view("its part of the plan"))});
    }
    request.assignments = plan;
    ask(index, frame_of(request, sync_version), syncing);
  }
  void ask(std::size_t index, const std::vector<std::byte>& frame, Kind kind,
           std::int64_t at_ns = 0) {
    reactor_.peers[index]->ask(frame, kind, at_ns);
    reactor_.flush(index);
  }
  void turn() {
    const std::int64_t now = monotonic_ns();
    for (std::size_t i = 1; i <= static_cast<std::size_t>(options_.steady); ++i) {
      Member& member = members_[i];
      if (member.beat_at == 0 || member.beat_at > now) continue;
      kafka::HeartbeatRequest request;
      request.group_id = member.group;
      request.generation_id = member.generation;
      request.member_id = member.id;
      // From when it was due: a client that is kept busy counts as well.
      ask(i, frame_of(request, heartbeat_version), beating, member.beat_at);
      member.beat_at += std::int64_t{options_.beat_ms} * 1'000'000;
    }
    reactor_.wait(1, [this](std::size_t index, Bytes frame, const Peer::Asked& asked) {
      on_answer(index, frame, asked);
    });
  }
  void on_answer(std::size_t index, Bytes frame, const Peer::Asked& asked) {
    Member& member = members_[index];
    if (asked.kind == beating) {
      const std::int64_t took = monotonic_ns() - asked.at_ns;
      beats_.record(static_cast<std::uint64_t>(took));
      late_ += took > std::int64_t{options_.session_ms} * 1'000'000 ? 1 : 0;
      const auto response = response_of<kafka::HeartbeatResponse>(frame, heartbeat_version);
      errors_ += response.error_code != 0 ? 1 : 0;
    } else if (asked.kind == joining) {
      const auto response = response_of<kafka::JoinGroupResponse>(frame, join_version);
      if (response.error_code != 0) return join(index);  // The partition is being read.
      member.id = response.member_id;
      member.generation = response.generation_id;
      sync(index, response);
    } else {
      const auto response = response_of<kafka::SyncGroupResponse>(frame, sync_version);
      if (response.error_code != 0) return join(index);
      stable_ += member.is_stable ? 0 : 1;
      member.is_stable = true;
    }
  }

  const Options options_;
  Reactor reactor_;
  std::vector<Member> members_;   // by connection; the first is nobody's
  std::size_t stable_ = 0;
  Histogram beats_;
  std::int64_t late_ = 0;
  std::int64_t errors_ = 0;
};

int run(int argc, char** argv) {
  Options options;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const int number = std::atoi(argv[i + 1]);
    if (name == "--address") {
      const std::string text = argv[i + 1];
      options.host = text.substr(0, text.rfind(':'));
      options.port = static_cast<std::uint16_t>(std::atoi(text.c_str() + text.rfind(':') + 1));
    } else if (name == "--partitions") options.partitions = number;
    else if (name == "--connections") options.connections = number;
    else if (name == "--depth") options.depth = number;
    else if (name == "--groups") options.groups = number;
    else if (name == "--members") options.members = number;
    else if (name == "--steady") options.steady = number;
    else if (name == "--beat-ms") options.beat_ms = number;
    else if (name == "--seconds") options.seconds = std::atof(argv[i + 1]);
    else die("no option " + name);
  }
  const std::string command = argc >= 2 ? argv[1] : "";
  if (command == "commit") return commit(options);
  if (command == "storm") return Storm(options).run();
  die("commands: commit storm");
}

}  // namespace
}  // namespace tailrace::groups

int main(int argc, char** argv) { return tailrace::groups::run(argc, argv); }
