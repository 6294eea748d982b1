#include "runtime/control_unit.h"

#include "base/log.h"
#include "runtime/core_unit.h"
#include "runtime/limits.h"

namespace tailrace::runtime {

std::unique_ptr<ControlUnit> ControlUnit::create(const Profile& profile,
                                                 const std::string& directory, int lock_fd,
                                                 const control::NodeSetup& setup, Prng& prng,
                                                 Exchange& exchange, std::string& why) {
  std::unique_ptr<ControlUnit> unit(new ControlUnit);
  unit->plane_ = std::make_unique<control::ControlPlane>(control_limits(profile), setup,
                                                         Prng(prng.next(), "control"));
  auto ring = io::Ring::create(
      {.submissions_max = 128, .completions_max = 256, .held_fd = lock_fd}, why);
  if (!ring) return nullptr;
  unit->ring_ = std::move(*ring);
  unit->idle_ = make_idle(*unit->ring_, profile, why);
  if (unit->idle_ == nullptr) return nullptr;
  io::DiskOptions options = disk_options(profile);
  options.open_files_max = 16;
  auto disk = io::UringDisk::create(*unit->ring_, directory, options, why);
  if (!disk) return nullptr;
  unit->disk_ = std::move(*disk);
  unit->thread_ = std::make_unique<ControlThread>(*unit->plane_, *unit->disk_, exchange);
  exchange.set_idle(bus::control_core, unit->idle_.get());
  return unit;
}

std::size_t ControlUnit::run_once(Now now) {
  const std::size_t work = thread_->run_once(now);
  if (!ready() && plane_->ready()) ready_.store(true, std::memory_order_release);
  if (!failed() && plane_->failed()) {
    log_event(LogLevel::error, "control", "{}", plane_->why());
    failed_.store(true, std::memory_order_release);
  }
  return work;
}

}  // namespace tailrace::runtime
