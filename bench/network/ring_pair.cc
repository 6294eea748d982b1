// Bulk data one way between two stacks in one thread, over DPDK's ring devices: what the data path
// costs at both ends together, with mbufs, but without a wire.
//
//   tailrace_ring_pair SECONDS [offload]      prints one line of JSON
//
// With `offload` nobody makes or checks sums, as with a NIC that does it: memory spoils nothing.
//
// A ring device gives back what is sent on it. Two of them make a pair: each end sends on its own
// and receives from the other's.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.h"
#include "io/dpdk/dpdk_network.h"
#include "io/userstack/user_transport.h"

namespace tailrace::bench {
namespace {

constexpr std::uint16_t port = 9092;
constexpr std::uint32_t send_bytes = 256 * 1024;
constexpr std::uint64_t sends_under_way = 16;
const net::IpAddress addresses[] = {net::IpAddress::v4(10, 0, 0, 1),
                                    net::IpAddress::v4(10, 0, 0, 2)};

// Sends on one device and receives from another, which two of these share crosswise.
class Crossed final : public io::PacketDevice {
 public:
  Crossed(io::PacketDevice& sends, io::PacketDevice& receives, std::uint8_t last,
          bool offload)
      : sends_(sends), receives_(receives), offers_(sends.offers()), offload_(offload) {
    offers_.checksums |= offload;
    offers_.address = io::LinkAddress{2, 0, 0, 0, 0, last};
  }
  const io::DeviceOffers& offers() const override { return offers_; }
  io::DeviceNumbers numbers() const override { return sends_.numbers(); }
  std::size_t receive(std::span<RxFrame> frames) override {
    const std::size_t count = receives_.receive(frames);
    for (RxFrame& frame : frames.first(count)) frame.checksum_good |= offload_;
    return count;
  }
  void release(std::span<const std::uint64_t> tokens) override { receives_.release(tokens); }
  std::size_t transmit(std::span<const TxFrame> frames) override {
    return sends_.transmit(frames);
  }
  std::size_t take_finished(std::span<std::uint32_t> holds) override {
    return sends_.take_finished(holds);
  }
  Instant next_deadline() const override { return never(); }

 private:
  io::PacketDevice& sends_;
  io::PacketDevice& receives_;
  io::DeviceOffers offers_;
  bool offload_;
};

struct Pair {
  std::unique_ptr<io::DpdkNetwork> network;
  std::array<std::unique_ptr<io::Ring>, 2> rings;
  std::array<std::unique_ptr<io::PacketDevice>, 2> devices;
  std::array<std::unique_ptr<io::UserTransport>, 2> ends;
  MutableBytes memory;
};

bool make(Pair& pair, bool offload, std::string& why) {
  io::DpdkOptions options{.devices = "net_ring0 net_ring1", .queues = 2, .huge_pages = false};
  options.memory_bytes = 8 << 20;
  options.quiet_min = std::nullopt;
  pair.network = io::DpdkNetwork::create(options, why);
  if (pair.network == nullptr) return false;
  pair.memory = pair.network->allocate(send_bytes);
  TR_ASSERT(!pair.memory.empty());
  for (std::uint16_t i = 0; i < 2; ++i) {
    auto ring = io::Ring::create({}, why);
    if (!ring) return false;
    pair.rings[i] = std::move(*ring);
    pair.devices[i] = pair.network->open(i, *pair.rings[i]);
    pair.devices[i]->set_payload_memory({&pair.memory, 1});
  }
  for (std::uint8_t i = 0; i < 2; ++i) {
    io::UserTransport::Options transport;
    transport.interface.addresses = {{addresses[i], 24}};
    transport.key = SipKey{i};
    transport.listen = {{addresses[i], port}};
    transport.start = io::Ring::monotonic_now();
    pair.ends[i] = std::make_unique<io::UserTransport>(
        transport, std::make_unique<Crossed>(*pair.devices[i], *pair.devices[1 - i],
                                             static_cast<std::uint8_t>(i + 1), offload));
  }
  return true;
}

// One turn of both ends; the first sends as much as it may.
class Run {
 public:
  explicit Run(Pair& pair) : pair_(pair) { conn_ = pair.ends[0]->connect("10.0.0.2:9092"); }

  void turn(Instant now) {
    for (std::size_t i = 0; i < 2; ++i) {
      io::UserTransport& end = *pair_.ends[i];
      std::array<StreamEvent, 64> events;
      const std::size_t count = end.poll(now, events);
      for (const StreamEvent& event : std::span(events).first(count)) on(i, event);
      const Bytes slice = pair_.memory;
      while (i == 0 && is_open_ && under_way_ < sends_under_way &&
             end.send(conn_, {&slice, 1}, 1)) {
        ++under_way_;
      }
      end.flush(now);
    }
  }
  std::uint64_t received = 0;

 private:
  void on(std::size_t i, const StreamEvent& event) {
    switch (event.kind) {
      case StreamEvent::Kind::connected:
        is_open_ = true;
        break;
      case StreamEvent::Kind::data:
        received += event.bytes.size();
        pair_.ends[i]->release(event.token);
        break;
      case StreamEvent::Kind::sent:
        --under_way_;
        break;
      case StreamEvent::Kind::closed:
        TR_ASSERT(false);   // Nobody ends.
        break;
      case StreamEvent::Kind::accepted:
        break;
    }
  }
  Pair& pair_;
  ConnId conn_ = 0;
  bool is_open_ = false;
  std::uint64_t under_way_ = 0;
};

int main_of(double seconds_long, bool offload) {
  Pair pair;
  std::string why;
  if (!make(pair, offload, why)) {
    fmt::print(stderr, "{}\n", why);
    return 1;
  }
  Run run(pair);
  const auto for_time = [&](double length) {
    const std::uint64_t before = run.received;
    const Instant began = io::Ring::monotonic_now();
    Instant now = began;
    while (static_cast<double>((now - began).ns) < length * 1e9) {
      now = io::Ring::monotonic_now();
      run.turn(now);
    }
    return static_cast<double>(run.received - before) * 8 / static_cast<double>((now - began).ns);
  };
  for_time(0.3);   // the window grows
  const double rate = for_time(seconds_long);
  // Else it is something else that was measured.
  TR_ASSERT(run.received > 0);
  const auto count = [&](int end, net::Count what) {
    return pair.ends[static_cast<std::size_t>(end)]->stack().counters().of(what);
  };
  fmt::print("{{\"gbit_per_s\": {:.2f}, \"retransmits\": {}, \"timeouts\": {}, \"segments\": {}, "
             "\"acks\": {}}}\n",
             rate, count(0, net::Count::retransmits), count(0, net::Count::timeouts),
             count(1, net::Count::segments_in), count(1, net::Count::acks_out));
  std::fflush(stdout);
  _exit(0);   // Mbufs of either device are in the other's ring; nothing needs to be given back.
}

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  return tailrace::bench::main_of(argc > 1 ? std::atof(argv[1]) : 1, argc > 2);
}
