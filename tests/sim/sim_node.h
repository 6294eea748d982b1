// SimNode: one node, made of the parts that ship: boot, the cores' logs and brokers, the control
// plane and the threads' turns. Only disk, streams and clock are simulated, and who runs next is
// the simulator's choice. A node that crashed leaves nothing but its file system.
//
//   down --start--> booting --recovered--> starting --metadata ready--> serving
//     ^                |                       |                          |
//     |                v                       v                          v
//     |             refused <--------------- failed <---------------- (stopping)
//     +---- crash, or the end of a stop, from any of them
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/control_plane.h"
#include "faults.h"
#include "log/boot.h"
#include "links/link_transport.h"
#include "log/core_log.h"
#include "runtime/control_thread.h"
#include "runtime/data_core.h"
#include "runtime/exchange.h"
#include "sim_disk.h"
#include "sim_transport.h"
#include "world.h"

namespace tailrace::sim {

struct NodeLimits {
  log::Limits log;
  broker::Limits broker;
  control::Limits control;
};
// Small ones, so that everything that can be full is full now and then.
NodeLimits draw_limits(Prng& prng, const FaultPlan& plan);

class SimNode {
 public:
  SimNode(World& world, std::uint64_t seed, bus::NodeId id, const FaultPlan& plan);
  ~SimNode();

  enum class State : std::uint8_t { down, booting, starting, serving, stopping, refused, failed };
  State state() const { return state_; }
  const std::string& why() const { return why_; }

  void start(std::uint16_t core_count);
  void begin_stop();
  void crash(bool power_cut);
  // No more faults from now on.
  void heal();

  // Runs what is due, in an order drawn from the seed; false when nothing was.
  bool step();
  Instant next_deadline() const;

  // --- for clients
  bool listening() const { return state_ == State::serving; }
  std::uint64_t life() const { return life_; }  // grows with each start
  std::uint16_t core_count() const { return core_count_; }
  // Only where there are no links.
  SimTransport& transport(std::uint16_t core) { return *cores_[core]->transport; }

  // --- for the checkers and the planner of faults
  SimFileSystem& files() { return files_; }
  bool rotted_wal() const { return rotted_wal_; }
  bool rotted_segment() const { return rotted_segment_; }
  std::uint64_t faults_injected() const;
  void rot(bool wal);
  // Over links, when all clients are gone: empty when nothing is open or lent any more.
  std::string what_is_left() const;

 private:
  class WakeFlag final : public io::Idle {
   public:
    void wait(Instant) override {}
    void wake() override { woken = true; }
    bool woken = false;
  };
  struct Core {
    // One of the two.
    std::unique_ptr<SimTransport> transport;
    std::unique_ptr<LinkTransport> link_transport;
    std::unique_ptr<SimDisk> disk;
    std::unique_ptr<log::CoreLog> log;
    std::unique_ptr<broker::CoreBroker> broker;
    std::unique_ptr<runtime::DataCore> data_core;
    WakeFlag wake;
    bool asleep = false;
    Instant turn_after{};  // not before: a turn takes time, and threads are held up
  };
  bool step_boot();
  bool metadata_is_there() const;
  log::ListDirectory lister();
  void compose();
  io::Transport& make_transport(bus::CoreId index, Core& core, std::string name);
  bool step_core(bus::CoreId index, Core& core);
  bool step_control();
  bool runnable(const Core& core) const;
  bool control_runnable() const;
  Instant turn_end();
  void look_at_state();
  void check_memory();
  void check_misuse();
  void destroy(bool crashed, bool power_cut);
  std::unique_ptr<SimDisk> make_disk(std::string name);

  World& world_;
  const std::uint64_t seed_;
  const bus::NodeId id_;
  const FaultPlan plan_;
  Prng prng_;
  NodeLimits limits_;
  DiskFaults faults_;
  SimFileSystem files_;
  State state_ = State::down;
  std::string why_;
  std::uint64_t life_ = 0;
  std::uint16_t core_count_ = 0;
  bool rotted_wal_ = false;
  bool rotted_segment_ = false;
  std::uint64_t faults_before_ = 0;   // injected in earlier lives
  std::size_t leaked_ = 0;            // planted

  Prng boot_prng_;
  std::vector<std::unique_ptr<AlignedBuffer>> memory_;
  std::vector<MutableBytes> core_memory_;
  bool complete_ = false;             // a start has succeeded once
  std::unique_ptr<SimDisk> boot_disk_;
  std::unique_ptr<log::Boot> boot_;
  std::unique_ptr<runtime::Exchange> exchange_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::unique_ptr<SimDisk> control_disk_;
  std::unique_ptr<control::ControlPlane> control_;
  std::unique_ptr<runtime::ControlThread> control_thread_;
  WakeFlag control_wake_;
  bool control_asleep_ = false;
  Instant control_after_{};
};

}  // namespace tailrace::sim
