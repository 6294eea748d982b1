#include "runtime/core_unit.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "io/capture/capture_device.h"
#include "io/steering/steered_device.h"
#include "io/tap/tap_device.h"
#include "io/uring/uring_transport.h"
#include "io/userstack/address_text.h"
#include "io/userstack/user_transport.h"
#include "runtime/connection_table.h"
#include "runtime/limits.h"

namespace tailrace::runtime {

io::DiskOptions disk_options(const Profile& profile) {
  io::DiskOptions options;
  // Besides segments: the WAL, checkpoints, indexes being written.
  constexpr std::int64_t other_files = 64;
  options.open_files_max = static_cast<std::uint32_t>(profile.open_files_max + other_files);
  options.direct = profile.direct;
  return options;
}

std::unique_ptr<io::RingIdle> make_idle(io::Ring& ring, const Profile& profile, std::string& why) {
  const auto policy = profile.idle == "spin" ? io::IdlePolicy::spin : io::IdlePolicy::wait;
  auto idle = io::RingIdle::create(ring, policy, microseconds(profile.spin_us_max), why);
  return idle ? std::move(*idle) : nullptr;
}

std::unique_ptr<CoreUnit> CoreUnit::create(const Setup& setup,
                                           std::unique_ptr<MappedMemory> memory,
                                           std::unique_ptr<log::CoreLog> log, Exchange& exchange,
                                           std::string& why) {
  std::unique_ptr<CoreUnit> unit(new CoreUnit(setup));
  unit->memory_ = std::move(memory);
  unit->log_ = std::move(log);
  unit->broker_ = std::make_unique<broker::CoreBroker>(broker_limits(setup.profile), setup.core,
                                                       *unit->log_, setup.config);
  if (!unit->make_io(setup, why)) return nullptr;
  unit->data_core_ = std::make_unique<DataCore>(setup.core, *unit->broker_, *unit->transport_,
                                                *unit->disk_, exchange);
  exchange.set_idle(setup.core, unit->idle_.get());
  return unit;
}

bool CoreUnit::make_io(const Setup& setup, std::string& why) {
  auto ring = io::Ring::create({.held_fd = setup.lock_fd}, why);
  if (!ring) return false;
  ring_ = std::move(*ring);
  // Without the allowance to lock memory everything works the same, a little slower.
  const std::array regions = {memory_->bytes()};
  ring_->register_memory(regions);
  idle_ = make_idle(*ring_, setup.profile, why);
  if (idle_ == nullptr) return false;

  auto disk = io::UringDisk::create(*ring_, setup.directory, disk_options(setup.profile), why);
  if (!disk) return false;
  disk_ = std::move(*disk);
  return setup.network == nullptr ? make_kernel_transport(setup, why)
                                  : make_user_transport(setup, why);
}

bool CoreUnit::make_kernel_transport(const Setup& setup, std::string& why) {
  io::TransportOptions options;
  options.listen = setup.listen;
  options.reuse_port = setup.profile.cores > 1;
  options.connections_max = static_cast<std::uint32_t>(setup.profile.connections_max);
  options.receive_buffer_bytes = static_cast<std::uint32_t>(setup.profile.receive_buffer_bytes);
  options.receive_buffer_count = static_cast<std::uint32_t>(setup.profile.receive_buffer_count);
  auto transport = io::UringTransport::create(*ring_, options, why);
  if (!transport) return false;
  for (std::uint32_t i = 0; i < setup.listen.size(); ++i) {
    ports_.push_back((*transport)->local_port(i));
  }
  transport_ = std::move(*transport);
  return true;
}

std::unique_ptr<io::PacketDevice> CoreUnit::make_device(const Setup& setup, std::string& why) {
  if (setup.dpdk != nullptr) return setup.dpdk->open(setup.core, *ring_);
  auto tap = io::TapDevice::create(
      *ring_, {.name = setup.profile.device,
               .frames_max = receive_frames(setup.profile),
               .queue = setup.core,
               .queues = static_cast<std::uint16_t>(setup.profile.cores)}, why);
  if (tap) return std::move(*tap);
  const bool has_one_queue = tap.error().code == Errc::unsupported;
  why = has_one_queue ? fmt::format("{}threads.cores: found {}, allowed: 1: {}",
                                    setup.profile.place_of("cores"), setup.profile.cores, why)
                      : setup.profile.place_of("transport") + why;
  return nullptr;
}

bool CoreUnit::make_user_transport(const Setup& setup, std::string& why) {
  std::unique_ptr<io::PacketDevice> device = make_device(setup, why);
  if (device == nullptr) return false;
  const std::array regions = {memory_->bytes()};
  device->set_payload_memory(regions);
  // At the queue, so that a frame for several cores is seen once.
  device = std::make_unique<io::CaptureDevice>(std::move(device), capture_point_);
  if (setup.handover != nullptr) {
    setup.handover->set_idle(setup.core, idle_.get());
    device = std::make_unique<io::SteeredDevice>(*setup.handover, setup.core, std::move(device));
  }
  io::UserTransport::Options options{.limits = net_limits(setup.profile),
                                     .interface = setup.network->interface,
                                     .listen = setup.network->listen,
                                     .start = io::Ring::monotonic_now(),
                                     .steering = setup.handover == nullptr
                                                     ? nullptr
                                                     : &setup.handover->steering(),
                                     .core = setup.core};
  if (getrandom(options.key.data(), options.key.size(), 0) !=
      static_cast<ssize_t>(options.key.size())) {
    why = "the system has no random numbers";
    return false;
  }
  for (const net::Endpoint& local : options.listen) ports_.push_back(local.port);
  auto transport = std::make_unique<io::UserTransport>(std::move(options), std::move(device));
  user_transport_ = transport.get();
  transport_ = std::move(transport);
  return true;
}

std::size_t CoreUnit::run_once(Now now) {
  if (had_work_) busy_ns_.add(static_cast<std::uint64_t>((now.instant - turn_began_).ns));
  turn_began_ = now.instant;
  const std::size_t work = data_core_->run_once(now);
  const std::uint64_t frames = frames_moved();
  had_work_ = work > 0 || frames != std::exchange(frames_seen_, frames);
  space_watch_.look({.refuses = log_->refuses_for_space(), .free_bytes = log_->usable_bytes(),
                     .free_bytes_min = free_bytes_min_}, now.instant);
  if (log_->fenced() && !failed()) {
    log_event(LogLevel::error, "log", "core {}: the disk failed; nothing more is acknowledged",
              core_);
    failed_.store(true, std::memory_order_release);
  }
  if (user_transport_ != nullptr) watch_network();
  if (transport_->failed() && !failed()) {
    log_event(LogLevel::error, "network", "core {}: the network device is gone", core_);
    failed_.store(true, std::memory_order_release);
  }
  return had_work_ ? std::max<std::size_t>(work, 1) : 0;
}

// An acknowledgement makes more data go out without an event that anybody would hear of.
std::uint64_t CoreUnit::frames_moved() const {
  if (user_transport_ == nullptr) return 0;
  const net::Counters& counters = user_transport_->stack().counters();
  return counters.of(net::Count::frames_in) + counters.of(net::Count::frames_out);
}

void CoreUnit::watch_network() {
  connections_.serve([this] { return connection_table(user_transport_->stack(), core_); });
  if (turn_began_ < network_looked_at_ + network_look_interval) return;
  network_looked_at_ = turn_began_;
  link_watch_.look(user_transport_->link());
  watch_addresses();
  const std::uint64_t wrong =
      user_transport_->stack().counters().of(net::Count::drop_tcp_checksum);
  if (wrong < wrong_checksums_min || told_of_checksums_) return;
  told_of_checksums_ = true;
  log_event(LogLevel::warn, "network", "core {}: {} segments had wrong checksums: a bad link, or "
            "peers behind a virtual device that leave them to hardware which is not there; then "
            "`ethtool -K INTERFACE tx off` on their side", core_, wrong);
}

void CoreUnit::watch_addresses() {
  const bool was_told = told_of_conflict_at_.has_value() &&
                        turn_began_ < *told_of_conflict_at_ + conflict_told_interval;
  if (was_told) return;
  const std::optional<net::Conflict> found = user_transport_->take_conflict();
  if (!found) return;
  told_of_conflict_at_ = turn_began_;
  log_event(LogLevel::error, "network", "another station uses {}, too: {:02x}; clients reach now "
            "the one, now the other: give one of them another address (network.addresses)",
            io::address_text(found->address).text(), fmt::join(found->mac.bytes, ":"));
}

}  // namespace tailrace::runtime
