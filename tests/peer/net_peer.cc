// Our TCP/IP on a tap device as a program that talks with whoever connects (talk.h), and connects
// where it is told to. tests/peer/run.py starts it, with Linux on the other side.
//
//   net_peer device=NAME address=A/N... [KEY=VALUE...]
//
// Standard input: "connect HOST:PORT LOCAL_PORT TALK", "meet", "cut" (nothing gets through any
// more), "quit". Standard output: "ready", "talk ID VERDICT", and at the end "count NAME NUMBER".
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <sstream>
#include <thread>

#include "io/capture/capture_device.h"
#include "io/socket_address.h"
#include "io/tap/tap_device.h"
#include "io/uring/ring_idle.h"
#include "io/userstack/address_text.h"
#include "link_device.h"
#include "peer_host.h"
#include "runtime/capture_stream.h"
#include "runtime/clock_system.h"
#include "runtime/network_text.h"

namespace tailrace::peer {
namespace {

constexpr std::uint16_t own_port = 5001;

struct Settings {
  std::string device;
  std::vector<net::InterfaceAddress> addresses;
  std::string capture;         // a file; empty: none
  bool has_link = false;       // else the device as it is
  bool spins = false;          // for benches: a link's delay without that of a wake-up
  std::uint64_t seed = 1;
  sim::LinkFaults faults;
  net::Limits limits;
  net::Interface interface;
};

bool set_number(Settings& settings, std::string_view key, std::int64_t number) {
  const auto count = static_cast<std::uint32_t>(number);
  const bool on = number != 0;
  if (key == "timestamps") return settings.interface.use_timestamps = on, true;
  if (key == "sack") return settings.interface.use_sack = on, true;
  if (key == "scale") return settings.interface.use_window_scale = on, true;
  if (key == "ecn") return settings.interface.use_ecn = on, true;
  if (key == "link") return settings.has_link = on, true;
  if (key == "spin") return settings.spins = on, true;
  if (key == "seed") return settings.seed = static_cast<std::uint64_t>(number), true;
  if (key == "loss") return settings.faults.loss = count, true;
  if (key == "duplication") return settings.faults.duplication = count, true;
  if (key == "reordering") return settings.faults.reordering = count, true;
  if (key == "corruption") return settings.faults.corruption = count, true;
  if (key == "delay_us") return settings.faults.delay = microseconds(number), true;
  if (key == "jitter_us") return settings.faults.jitter = microseconds(number), true;
  if (key == "reorder_us") return settings.faults.reorder_delay = microseconds(number), true;
  if (key == "queue_bytes") return settings.faults.queue_bytes_max = count, true;
  if (key == "mtu") return settings.faults.mtu = count, true;
  if (key == "tells_mtu") return settings.faults.tells_mtu = on, true;
  if (key == "mark_above") return settings.faults.mark_above_bytes = count, true;
  if (key == "rate") {
    return settings.faults.bytes_per_second = static_cast<std::uint64_t>(number), true;
  }
  if (key == "receive_buffer") {
    settings.limits.receive_buffer_min = settings.limits.receive_buffer_max = count;
    return true;
  }
  if (key == "keepalive_ms") {
    settings.limits.keepalive_idle = settings.limits.keepalive_interval = milliseconds(number);
    settings.limits.keepalive_probes = 3;
    return true;
  }
  return false;
}

bool set(Settings& settings, std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = word.substr(0, equals);
  const std::string_view value = word.substr(equals + 1);
  if (key == "device") return settings.device = value, true;
  if (key == "capture") return settings.capture = value, true;
  if (key == "address") return runtime::parse_addresses(value, settings.addresses);
  std::int64_t number = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
  return parsed.ec == std::errc{} && set_number(settings, key, number);
}

// The kernel does checksums before it hands frames over, and so cuts long ones as well.
bool make_frames_plain(const std::string& device) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ethtool_value off{.cmd = ETHTOOL_STXCSUM, .data = 0};
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);
  const bool is_done = ioctl(fd, SIOCETHTOOL, &request) == 0;
  close(fd);
  return is_done;
}

// Lines of standard input, on a thread of their own.
class Commands {
 public:
  explicit Commands(io::Idle& idle) : idle_(idle), thread_([this] { run(); }) {}
  ~Commands() { thread_.join(); }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }

 private:
  void run() {
    std::string line;
    while (std::getline(std::cin, line) && line != "quit") add(line);
    add("quit");
  }
  void add(std::string line) {
    {
      const std::lock_guard lock(mutex_);
      lines_.push_back(std::move(line));
    }
    idle_.wake();
  }
  io::Idle& idle_;
  std::mutex mutex_;
  std::vector<std::string> lines_;
  std::thread thread_;
};

class Program {
 public:
  bool start(const Settings& settings, std::string& why);
  int run();

 private:
  bool obey(const std::string& line, Instant now);
  void connect(std::istringstream& words, Instant now);
  void write_capture();

  std::unique_ptr<io::Ring> ring_;
  std::unique_ptr<io::RingIdle> idle_;
  io::CapturePoint point_;
  runtime::ClockSystem clock_;
  std::FILE* file_ = nullptr;
  LinkDevice* link_ = nullptr;
  std::unique_ptr<PeerHost> host_;
  std::unique_ptr<runtime::CaptureStream> capture_;
};

void tell(const std::string& line) {
  std::cout << line << std::endl;   // at once: it is waited for
}

bool Program::start(const Settings& settings, std::string& why) {
  auto ring = io::Ring::create({}, why);
  if (!ring) return false;
  ring_ = std::move(*ring);
  const auto policy = settings.spins ? io::IdlePolicy::spin : io::IdlePolicy::wait;
  auto idle = io::RingIdle::create(*ring_, policy, {}, why);
  if (!idle) return false;
  idle_ = std::move(*idle);
  auto tap = io::TapDevice::create(*ring_, {.name = settings.device, .frames_max = 1024}, why);
  if (!tap) return false;
  std::unique_ptr<io::PacketDevice> device = std::move(*tap);
  if (settings.has_link) {
    if (!make_frames_plain(settings.device)) {
      why = "the tap device keeps its offloads";
      return false;
    }
    auto link = std::make_unique<LinkDevice>(std::move(device), settings.faults, settings.seed);
    link_ = link.get();
    device = std::move(link);
  }
  device = std::make_unique<io::CaptureDevice>(std::move(device), point_);
  if (!settings.capture.empty()) {
    file_ = std::fopen(settings.capture.c_str(), "wb");
    if (file_ == nullptr) {
      why = settings.capture + " cannot be written";
      return false;
    }
    const std::vector<runtime::CaptureSource> sources = {{settings.device, &point_}};
    capture_ = std::make_unique<runtime::CaptureStream>(
        sources, runtime::CaptureRequest{}, clock_);
  }
  net::Interface interface = settings.interface;
  interface.mac = {{2, 0x54, 0x50, 0, 0, 1}};
  interface.addresses = settings.addresses;
  host_ = std::make_unique<PeerHost>(settings.limits, interface, own_port, std::move(device),
                                     io::Ring::monotonic_now(),
                                     [](const std::string& line) { tell("talk " + line); });
  return true;
}

int Program::run() {
  Commands commands(*idle_);
  tell("ready");
  for (bool goes_on = true; goes_on;) {
    const Instant now = io::Ring::monotonic_now();
    for (const std::string& line : commands.take()) goes_on = goes_on && obey(line, now);
    host_->turn(now);
    write_capture();
    if (goes_on) idle_->wait(host_->next_deadline());
  }
  if (capture_ != nullptr) capture_->finish();
  write_capture();
  if (file_ != nullptr) std::fclose(file_);
  for (int i = 0; i < static_cast<int>(net::Count::count_count); ++i) {
    const auto count = static_cast<net::Count>(i);
    const std::uint64_t number = host_->counters().of(count);
    if (number > 0) tell(fmt::format("count {} {}", to_string(count), number));
  }
  if (link_ != nullptr) tell(fmt::format("count lost {}", link_->bad_network().lost_count()));
  if (capture_ != nullptr) tell(fmt::format("count capture_ended {}", capture_->has_ended()));
  return 0;
}

bool Program::obey(const std::string& line, Instant now) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  if (word == "quit") return false;
  if (word == "connect") connect(words, now);
  if (word == "meet") host_->meet();
  if (word == "cut" && link_ != nullptr) link_->cut();
  return true;
}

void Program::connect(std::istringstream& words, Instant now) {
  std::string where;
  std::uint16_t local_port = 0;
  std::string line;
  words >> where >> local_port >> std::ws;
  std::getline(words, line);
  io::SocketAddress address;
  net::Endpoint remote;
  if (!address.parse(where) || !io::load_address(*address.raw(), remote.address)) {
    tell("talk ? no address " + where);
    return;
  }
  remote.port = address.port();
  if (!host_->connect(remote, local_port, line, now)) {
    tell("talk " + line.substr(0, line.find(' ')) + " no way");
  }
}

void Program::write_capture() {
  if (capture_ == nullptr) return;
  std::array<char, 65'536> buffer;
  while (const std::size_t count = capture_->read(buffer)) {
    TR_ASSERT(std::fwrite(buffer.data(), 1, count, file_) == count);
  }
}

}  // namespace
}  // namespace tailrace::peer

int main(int argc, char** argv) {
  using namespace tailrace::peer;
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    if (set(settings, argv[i])) continue;
    std::cerr << "net_peer: what is " << argv[i] << "?\n";
    return 2;
  }
  Program program;
  std::string why;
  if (!program.start(settings, why)) {
    std::cerr << "net_peer: " << why << "\n";
    return 1;
  }
  return program.run();
}
