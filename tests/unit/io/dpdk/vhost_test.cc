// Both ends of a pair of rings in shared memory, in two processes: net_vhost at the node's end,
// net_virtio_user at its clients'. It needs no privileges and no huge pages. A program of its own,
// for a process sets up DPDK once; called with "client" it is the other end.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "io/dpdk/dpdk_network.h"
#include "io/uring/ring.h"
#include "io/userstack/user_transport.h"

namespace tailrace::io {
namespace {

constexpr const char* node_address = "10.0.0.1:9092";

// One end: a stack on a device, and the thread's ring.
struct End {
  static std::unique_ptr<End> create(const std::string& device, std::uint8_t last,
                                     std::string& why) {
    auto end = std::make_unique<End>();
    end->network = DpdkNetwork::create(
        {.devices = device, .huge_pages = false, .memory_bytes = 8 << 20,
         .receive_bytes = 4 << 20}, why);
    if (end->network == nullptr) return nullptr;
    end->ring = std::move(*Ring::create({}, why));
    UserTransport::Options options{.start = Ring::monotonic_now()};
    options.interface.addresses = {{net::IpAddress::v4(10, 0, 0, last), 24}};
    // Another for each process, or the next client would have the ports of one that was killed.
    options.key = SipKey{static_cast<std::uint8_t>(getpid()), last};
    if (last == 1) options.listen = {{options.interface.addresses[0].address, 9092}};
    end->transport =
        std::make_unique<UserTransport>(options, end->network->open(0, *end->ring));
    return end;
  }
  // Waits for events until `until`; calls `on` with each.
  template <class On>
  void turn(Instant until, On on) {
    ++turns;
    transport->flush(Ring::monotonic_now());
    std::array<StreamEvent, 64> events;
    const std::size_t count = transport->poll(Ring::monotonic_now(), events);
    for (const StreamEvent& event : std::span(events).first(count)) on(event);
    if (count == 0) ring->wait(std::min(until, transport->next_deadline()));
  }

  std::unique_ptr<DpdkNetwork> network;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<UserTransport> transport;
  int turns = 0;
};

// ---- the client: sends, expects it back, twice, with a pause between; exit code 0 if it came

struct Client {
  explicit Client(const std::string& socket) {
    std::string why;
    end = End::create("net_virtio_user0,path=" + socket + ",queue_size=1024", 2, why);
    if (end == nullptr) std::fprintf(stderr, "client: %s\n", why.c_str());
  }
  bool run(std::size_t bytes, bool leaves_politely) {
    if (end == nullptr) return false;
    give_up_at = Ring::monotonic_now() + seconds(10);
    conn = end->transport->connect(node_address);
    for (std::size_t i = 0; i < bytes; ++i) sent.push_back(static_cast<std::byte>(i * 7 >> 3));
    bool good = until([&] { return is_open; }) && round();
    const Instant resumes = Ring::monotonic_now() + milliseconds(200);   // The node falls asleep.
    while (Ring::monotonic_now() < resumes) turn(resumes);
    good = good && round();
    if (!leaves_politely) _exit(good ? 0 : 1);
    return good;
  }
  bool round() {
    received.clear();
    const Bytes slice = sent;
    return end->transport->send(conn, {&slice, 1}, 1) &&
           until([&] { return received.size() >= sent.size(); }) && received == sent;
  }
  template <class Done>
  bool until(Done done) {
    while (!done() && !is_closed && Ring::monotonic_now() < give_up_at) turn(give_up_at);
    return done();
  }
  void turn(Instant deadline) {
    end->turn(deadline, [&](const StreamEvent& event) {
      is_open |= event.kind == StreamEvent::Kind::connected;
      is_closed |= event.kind == StreamEvent::Kind::closed;
      if (event.kind != StreamEvent::Kind::data) return;
      received.insert(received.end(), event.bytes.begin(), event.bytes.end());
      end->transport->release(event.token);
    });
  }

  std::unique_ptr<End> end;
  ConnId conn = 0;
  bool is_open = false;
  bool is_closed = false;
  Instant give_up_at{};
  std::vector<std::byte> sent;
  std::vector<std::byte> received;
};

// ---- the node: sends back what comes

class Node {
 public:
  Node() : socket_("/tmp/tailrace-vhost-test-" + std::to_string(getpid())) {
    end_ = End::create("net_vhost0,iface=" + socket_, 1, why);
  }
  bool is_there() const { return end_ != nullptr; }

  void serve_for(Duration time) {
    const Instant until = Ring::monotonic_now() + time;
    while (Ring::monotonic_now() < until) turn(until);
  }
  // The client's exit code.
  int serve(std::size_t bytes, const char* how) {
    const std::string size = std::to_string(bytes);
    std::array<const char*, 6> words = {"vhost_test", "client", socket_.c_str(), size.c_str(), how,
                                        nullptr};
    pid_t pid = 0;
    if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr,
                    const_cast<char**>(words.data()), environ) != 0) {
      return -1;
    }
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) turn(Ring::monotonic_now() + milliseconds(20));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int turns() const { return end_->turns; }

  std::string why;

 private:
  void turn(Instant until) {
    end_->turn(until, [&](const StreamEvent& event) {
      if (event.kind == StreamEvent::Kind::sent) echoes_.erase(event.token);
      if (event.kind != StreamEvent::Kind::data) return;
      auto& echo = echoes_[++last_token_];
      echo.assign(event.bytes.begin(), event.bytes.end());
      const Bytes slice = echo;
      EXPECT_TRUE(end_->transport->send(event.conn, {&slice, 1}, last_token_));
      end_->transport->release(event.token);
    });
  }

  const std::string socket_;
  std::unique_ptr<End> end_;
  std::map<std::uint64_t, std::vector<std::byte>> echoes_;
  std::uint64_t last_token_ = 0;
};

// One client after the other, for a process has one DPDK. In the client's pause, and when there is
// none, the node sleeps: it is woken by the next one, which the driver tells not to knock.
TEST(Vhost, ServesOneClientAfterTheOtherAndSleepsMeanwhile) {
  Node node;
  if (!node.is_there()) GTEST_SKIP() << node.why;
  node.serve_for(milliseconds(50));
  EXPECT_EQ(node.serve(100, "politely"), 0);
  EXPECT_EQ(node.serve(1'000'000, "politely"), 0);
  EXPECT_EQ(node.serve(10'000, "at once"), 0);
  const int before = node.turns();
  node.serve_for(milliseconds(300));
  EXPECT_LT(node.turns() - before, 3000);   // A turn takes less than a microsecond.
  EXPECT_EQ(node.serve(100'000, "politely"), 0);
}

}  // namespace
}  // namespace tailrace::io

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "client") {
    tailrace::io::Client client(argv[2]);
    const auto bytes = static_cast<std::size_t>(std::atoll(argv[3]));
    return client.run(bytes, std::string_view(argv[4]) == "politely") ? 0 : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
