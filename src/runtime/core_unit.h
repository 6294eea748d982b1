// CoreUnit: all that one data core consists of in production: its ring, disk, transport, memory,
// log and broker, and the turn that drives them. Made on the main thread, used by one thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/counter.h"
#include "broker/core_broker.h"
#include "io/capture/capture_point.h"
#include "io/uring/ring_idle.h"
#include "io/uring/uring_disk.h"
#include "io/transport.h"
#include "io/userstack/user_transport.h"
#include "log/core_log.h"
#include "runtime/data_core.h"
#include "runtime/link_watch.h"
#include "runtime/mapped_memory.h"
#include "runtime/profile.h"
#include "runtime/requested_text.h"
#include "runtime/space_watch.h"
#include "runtime/user_network.h"

namespace tailrace::runtime {

class CoreUnit {
 public:
  struct Setup {
    const Profile& profile;
    bus::CoreId core;
    const std::string& directory;                // absolute
    int lock_fd;                                 // of the directory; -1: it has none
    const std::vector<std::string>& listen;      // ports resolved, but for the first core
    const UserNetwork* network;                  // null: the kernel's
    io::DpdkNetwork* dpdk;                       // null: a tap device, if it is not the kernel's
    const broker::StaticConfig& config;
    std::atomic<int>& refusing_cores;            // for want of space; outlives the object
    io::Handover* handover = nullptr;            // of several cores' TCP/IP; outlives the object
  };
  // `memory` and `log` came from boot. `exchange` outlives the object. Null: `why` says it.
  static std::unique_ptr<CoreUnit> create(const Setup& setup, std::unique_ptr<MappedMemory> memory,
                                          std::unique_ptr<log::CoreLog> log, Exchange& exchange,
                                          std::string& why);

  // One turn: what thread_loop.h asks of a thread.
  std::size_t run_once(Now now);
  // An idle core looks at the disk's space all the same: somebody else may fill it, and the log
  // and the status are to say so before the first producer is refused.
  Instant next_deadline() const {
    return std::min(data_core_->next_deadline(), turn_began_ + space_look_interval);
  }

  // On its thread, after the last turn. False: the disk still worked at `deadline`.
  bool wait_disk(Instant deadline) { return disk_->wait_idle(deadline); }

  DataCore& data_core() { return *data_core_; }
  io::Idle& idle() { return *idle_; }
  std::uint16_t port(std::uint32_t listener) const { return ports_[listener]; }
  std::string ring_description() const { return ring_->description(); }

  // From any thread.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  const broker::Counters& broker_counters() const { return broker_->counters(); }
  const log::CoreLog::Counters& log_counters() const { return log_->counters(); }
  // In turns that found something to do: a core that polls a device looks busy from outside.
  std::uint64_t busy_us() const { return busy_ns_.load() / 1000; }
  // Null when the kernel does the network.
  const net::Counters* net_counters() const {
    return user_transport_ == nullptr ? nullptr : &user_transport_->stack().counters();
  }
  // Only where net_counters() is not null.
  io::DeviceNumbers device_numbers() const { return user_transport_->device_numbers(); }
  const LinkWatch& link_watch() const { return link_watch_; }
  // The connections of its own TCP/IP, from any other thread; false when it takes no turn in time.
  bool ask_connections(std::string& table) {
    return connections_.ask(table, std::chrono::seconds(1), [this] { idle_->wake(); });
  }
  // Of the device of its own TCP/IP; without one, nothing passes there.
  io::CapturePoint& capture_point() { return capture_point_; }

 private:
  explicit CoreUnit(const Setup& setup)
      : core_(setup.core),
        free_bytes_min_(static_cast<std::uint64_t>(setup.profile.free_bytes_min)),
        space_watch_(setup.refusing_cores), link_watch_(setup.profile.device) {}
  bool make_io(const Setup& setup, std::string& why);
  bool make_kernel_transport(const Setup& setup, std::string& why);
  std::unique_ptr<io::PacketDevice> make_device(const Setup& setup, std::string& why);
  std::uint64_t frames_moved() const;
  void watch_network();
  void watch_addresses();
  bool make_user_transport(const Setup& setup, std::string& why);

  static constexpr Duration space_look_interval = seconds(2);
  static constexpr Duration network_look_interval = seconds(1);
  static constexpr Duration conflict_told_interval = seconds(60);
  static constexpr std::uint64_t wrong_checksums_min = 5;   // before a word is said

  const bus::CoreId core_;
  Instant turn_began_{};
  bool had_work_ = false;              // that turn
  std::uint64_t frames_seen_ = 0;      // until then
  Counter busy_ns_;
  const std::uint64_t free_bytes_min_;
  SpaceWatch space_watch_;
  LinkWatch link_watch_;
  std::atomic<bool> failed_{false};
  // In the order in which they depend on each other; destroyed from the last.
  std::unique_ptr<MappedMemory> memory_;
  std::unique_ptr<log::CoreLog> log_;
  std::unique_ptr<broker::CoreBroker> broker_;
  std::unique_ptr<io::Ring> ring_;
  std::unique_ptr<io::RingIdle> idle_;
  std::unique_ptr<io::UringDisk> disk_;
  io::CapturePoint capture_point_;
  std::unique_ptr<io::Transport> transport_;
  std::vector<std::uint16_t> ports_;   // of the listeners
  io::UserTransport* user_transport_ = nullptr;  // the transport, if it is one
  Instant network_looked_at_{};
  bool told_of_checksums_ = false;
  std::optional<Instant> told_of_conflict_at_;
  RequestedText connections_;
  std::unique_ptr<DataCore> data_core_;
};

// Options for a disk of one core or of the control thread.
io::DiskOptions disk_options(const Profile& profile);
std::unique_ptr<io::RingIdle> make_idle(io::Ring& ring, const Profile& profile, std::string& why);

}  // namespace tailrace::runtime
