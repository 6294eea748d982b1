// The bad network of tests/peer between two tap devices, so that the kernel talks to itself through
// the same link as our stack does in net_peer, from the same seed.
//
//   tailrace_link_pair DEVICE DEVICE LOSS DELAY_US SEED      LOSS of 10,000 frames
//
// Prints "ready", ends with its standard input, and then says how many frames of all were lost.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/assert.h"
#include "io/tap/tap_device.h"
#include "peer/link_device.h"

namespace tailrace::bench {
namespace {

// Moves what comes on one device to the other; a frame stays lent until the other has read it.
class Way {
 public:
  Way(io::PacketDevice& from, io::PacketDevice& to) : from_(from), to_(to) {}

  void turn() {
    std::array<RxFrame, 32> frames;
    for (std::size_t count = frames.size(); count == frames.size();) {
      count = from_.receive(frames);
      for (const RxFrame& frame : std::span(frames).first(count)) pass(frame);
    }
    std::array<std::uint32_t, 32> holds;
    for (std::size_t count = holds.size(); count == holds.size();) {
      count = to_.take_finished(holds);
      for (const std::uint64_t token : std::span(holds).first(count)) from_.release({&token, 1});
    }
  }

 private:
  void pass(const RxFrame& in) {
    TxFrame out;
    const std::size_t head = std::min<std::size_t>(in.bytes.size(), 14);
    std::copy_n(in.bytes.begin(), head, out.header.begin());
    out.header_bytes = static_cast<std::uint16_t>(head);
    out.slices[0] = in.bytes.subspan(head);
    out.slice_count = 1;
    out.payload_bytes = static_cast<std::uint32_t>(in.bytes.size() - head);
    out.hold = static_cast<std::uint32_t>(in.token);
    // A device without room loses it.
    if (to_.transmit({&out, 1}) == 0) from_.release({&in.token, 1});
  }

  io::PacketDevice& from_;
  io::PacketDevice& to_;
};

bool is_over() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return ::poll(&input, 1, 0) > 0;
}

struct End {
  std::unique_ptr<io::Ring> ring;
  std::unique_ptr<io::PacketDevice> device;
};

bool open(End& end, const char* name, std::string& why) {
  auto ring = io::Ring::create({}, why);
  if (!ring) return false;
  end.ring = std::move(*ring);
  auto tap = io::TapDevice::create(*end.ring, {.name = name, .frames_max = 1024}, why);
  if (!tap) return false;
  end.device = std::move(*tap);
  return true;
}

int run(char** words) {
  std::string why;
  End ends[2];
  if (!open(ends[0], words[0], why) || !open(ends[1], words[1], why)) {
    fmt::print(stderr, "link_pair: {}\n", why);
    return 1;
  }
  sim::LinkFaults faults;
  faults.loss = static_cast<std::uint32_t>(std::atoi(words[2]));
  faults.delay = microseconds(std::atoi(words[3]));
  auto link = std::make_unique<peer::LinkDevice>(std::move(ends[0].device), faults,
                                                 std::strtoull(words[4], nullptr, 10));
  Way there(*link, *ends[1].device);
  Way back(*ends[1].device, *link);
  std::puts("ready");
  std::fflush(stdout);
  while (!is_over()) {
    there.turn();
    back.turn();
  }
  fmt::print("lost {} of {}\n", link->bad_network().lost_count(),
             link->bad_network().frame_count());
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  return tailrace::bench::run(argv + 1);
}
