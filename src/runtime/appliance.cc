#include "tailrace/appliance.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/log.h"
#include "runtime/admin.h"
#include "runtime/capture_stream.h"
#include "runtime/clock_system.h"
#include "runtime/connection_table.h"
#include "runtime/control_unit.h"
#include "runtime/core_unit.h"
#include "runtime/data_directory.h"
#include "runtime/endpoints.h"
#include "runtime/limits.h"
#include "runtime/memory_plan.h"
#include "runtime/metrics.h"
#include "runtime/port_guard.h"
#include "runtime/start_up.h"
#include "runtime/thread_loop.h"
#include "tailrace/version.h"

namespace tailrace {

using runtime::CoreUnit;

namespace {

constexpr std::int64_t ready_seconds_max = 60;
constexpr std::int64_t stop_seconds_max = 60;
constexpr useconds_t look_interval_us = 2000;
constexpr Duration disk_wait_max = seconds(5);  // at the end of a thread

// Messages a mailbox holds. There is one per pair of threads, so fewer where there are many.
std::size_t mailbox_messages(std::int64_t cores) { return cores <= 8 ? 1024 : 256; }

LogLevel level_of(const std::string& name) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warn}) {
    if (name == to_string(level)) return level;
  }
  return LogLevel::error;
}

bool draw_seed(std::uint64_t& seed, std::string& why) {
  const bool drawn = getrandom(&seed, sizeof seed, 0) == sizeof seed;
  if (!drawn) why = "the system has no random numbers";
  return drawn;
}

std::string joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace

struct Appliance::State {
  ~State();
  bool open_place(const Config& config, std::string& why);
  bool open_node(std::string& why);
  bool should_stop() const { return asked_to_stop && asked_to_stop(); }
  bool make_cores(std::vector<runtime::BootedCore> booted, std::string& why);
  bool open_admin(std::string& why);
  std::vector<runtime::CoreView> views() const;
  std::vector<runtime::NamedNumber> node_numbers() const;
  std::string connections();
  std::unique_ptr<runtime::AdminStream> open_capture(const runtime::AdminQuery& query,
                                                     runtime::AdminRefusal& refusal);
  template <class Unit>
  void launch(Unit& unit, bus::CoreId thread, std::string name, const std::atomic<bool>& stop);
  template <class Done>
  bool wait_for(std::int64_t seconds_max, const Done& done);
  bool cores_finished() const;

  std::function<bool()> asked_to_stop;
  runtime::Profile profile;
  std::string profile_name;
  runtime::Endpoints endpoints;
  runtime::UserNetwork user_network;  // where the profile asks for it
  runtime::PlaceReport place;
  std::unique_ptr<runtime::DataDirectory> directory;
  Prng prng{0};
  broker::StaticConfig static_config;
  std::unique_ptr<io::DpdkNetwork> dpdk;   // where the profile asks for it
  std::unique_ptr<runtime::Exchange> exchange;
  std::unique_ptr<runtime::ControlUnit> control;
  std::atomic<int> refusing_cores{0};   // for want of space
  std::unique_ptr<io::Handover> handover;   // between cores that do their own TCP/IP
  std::vector<std::unique_ptr<CoreUnit>> cores;
  runtime::ClockSystem capture_clock;
  std::weak_ptr<const void> capture_place;   // taken as long as a capture has memory
  std::unique_ptr<runtime::Admin> admin;

  std::vector<std::thread> threads;     // of the cores
  std::thread control_thread;
  std::atomic<bool> stop_cores{false};
  std::atomic<bool> stop_control{false};
  bool stopped = false;
  // A thread ended though its disk had not: the directory's lock is the kernel's to give back.
  std::atomic<bool> disk_busy{false};
  std::atomic<std::int64_t> started_ns{0};
};

// The lock goes when no disk works any more, at once: a ring would hold it a moment longer.
Appliance::State::~State() {
  control.reset();
  cores.clear();
  handover.reset();   // And with it the queues whose frames any of the cores may have had.
  if (directory != nullptr && !disk_busy) directory->release();
}

Appliance::Appliance() : state_(std::make_unique<State>()) {}
Appliance::~Appliance() { stop(); }

std::unique_ptr<Appliance> Appliance::open(const Config& config, std::string& why) {
  std::unique_ptr<Appliance> appliance(new Appliance);
  State& state = *appliance->state_;
  state.asked_to_stop = config.should_stop;
  const bool opened = state.open_place(config, why) && state.open_node(why) &&
                      state.open_admin(why);
  if (opened) return appliance;
  if (state.should_stop()) why.clear();
  state.stopped = true;  // Nothing of it ever ran.
  return nullptr;
}

// What can be refused without touching anything comes first.
bool Appliance::State::open_place(const Config& config, std::string& why) {
  profile_name = config.profile_path.empty() ? "the built-in laptop profile" : config.profile_path;
  std::vector<std::string> errors;
  if (!config.profile_path.empty() &&
      !runtime::read_profile(config.profile_path, profile, errors)) {
    why = joined(errors);
    return false;
  }
  set_log_level(level_of(profile.log_level));
  if (!runtime::memory_fits(profile, runtime::read_machine_memory(), why)) return false;
  if (!runtime::read_endpoints(config, endpoints, why)) return false;
  const bool is_free = runtime::has_user_network(profile)
                           ? runtime::read_user_network(profile, endpoints, user_network, why)
                           : runtime::ports_are_free(endpoints.listen, why);
  if (!is_free) return false;
  if (!runtime::ports_are_free(endpoints.admin, why)) return false;
  std::uint64_t seed = 0;
  if (!draw_seed(seed, why)) return false;
  prng = Prng(seed, "node");
  directory = runtime::DataDirectory::open(config.data_directory, prng, why);
  if (directory == nullptr) return false;
  if (!runtime::check_place(profile, directory->path(), endpoints.listen.size(), place, why)) {
    return false;
  }
  for (const std::string& note : place.notes) log_event(LogLevel::warn, "disk", "{}", note);
  // The last, for a process can set it up but once.
  if (profile.transport == "dpdk") dpdk = runtime::open_dpdk(profile, why);
  return profile.transport != "dpdk" || dpdk != nullptr;
}

bool Appliance::State::open_node(std::string& why) {
  std::vector<runtime::BootedCore> booted;
  const auto reserve = [this](std::size_t bytes) {
    return dpdk == nullptr ? std::make_unique<runtime::MappedMemory>(bytes)
                           : std::make_unique<runtime::MappedMemory>(dpdk->allocate(bytes));
  };
  if (!runtime::boot_logs(profile, *directory, reserve, prng, booted, why, asked_to_stop)) {
    return false;
  }
  exchange = std::make_unique<runtime::Exchange>(static_cast<std::uint16_t>(profile.cores),
                                                 mailbox_messages(profile.cores));
  if (!make_cores(std::move(booted), why)) return false;

  const control::NodeSetup setup{
      .node_id = directory->meta().node_id,
      .core_count = static_cast<std::uint16_t>(profile.cores),
      .endpoints = endpoints.told(),
      .rack = {},
      .cluster_id = to_string(directory->meta().cluster_id)};
  // What it says of a good log would only be said again by the control thread.
  set_log_level(LogLevel::warn);
  const bool readable = runtime::try_metadata(profile, *directory, setup, prng, why,
                                              asked_to_stop);
  set_log_level(level_of(profile.log_level));
  if (!readable) return false;
  if (!directory->mark_complete(why)) return false;
  control = runtime::ControlUnit::create(profile, directory->path(), directory->lock_fd(), setup,
                                         prng, *exchange, why);
  return control != nullptr;
}

bool Appliance::State::make_cores(std::vector<runtime::BootedCore> booted, std::string& why) {
  handover = runtime::make_handover(
      profile, dpdk == nullptr ? runtime::receive_frames(profile) : dpdk->frames_max());
  for (std::size_t i = 0; i < booted.size(); ++i) {
    // The first core turns ports of 0 into real ones; clients are told those.
    static_config = runtime::static_config(endpoints, profile, directory->path(),
                                           directory->meta().node_id);
    auto unit = CoreUnit::create({.profile = profile, .core = static_cast<bus::CoreId>(i),
                                  .directory = directory->path(),
                                  .lock_fd = directory->lock_fd(),
                                  .listen = endpoints.listen_texts(),
                                  .network = runtime::has_user_network(profile) ? &user_network
                                                                                : nullptr,
                                  .dpdk = dpdk.get(),
                                  .config = static_config,
                                  .refusing_cores = refusing_cores,
                                  .handover = handover.get()},
                                 std::move(booted[i].memory), std::move(booted[i].log), *exchange,
                                 why);
    if (unit == nullptr) return false;
    for (std::size_t l = 0; l < endpoints.listen.size(); ++l) {
      endpoints.set_port(l, unit->port(static_cast<std::uint32_t>(l)));
    }
    cores.push_back(std::move(unit));
  }
  return true;
}

bool Appliance::State::open_admin(std::string& why) {
  if (endpoints.admin.empty()) return true;
  admin = runtime::Admin::listen(
      endpoints.admin.front(),
      {.metrics = [this] { return runtime::metrics_text(views(), node_numbers()); },
       .status = [this] {
         const Now now = runtime::ClockSystem().now();
         return runtime::status_text(views(), (now.instant.ns - started_ns) / 1'000'000'000,
                                     node_numbers());
       },
       .net = [this] { return connections(); },
       .capture = [this](const runtime::AdminQuery& query, runtime::AdminRefusal& refusal) {
         return open_capture(query, refusal);
       }},
      why);
  return admin != nullptr;
}

std::string Appliance::State::connections() {
  if (!runtime::has_user_network(profile)) {
    return "the kernel does this node's network: `ss -tin` shows its connections\n";
  }
  std::string text = runtime::connection_table_head();
  for (const auto& core : cores) {
    std::string table;
    text += core->ask_connections(table) ? table : "a core takes no turns\n";
  }
  return text;
}

// On the admin thread, which alone begins and ends captures.
std::unique_ptr<runtime::AdminStream> Appliance::State::open_capture(
    const runtime::AdminQuery& query, runtime::AdminRefusal& refusal) {
  constexpr unsigned bad_request = 400;
  constexpr unsigned conflict = 409;
  runtime::CaptureRequest request;
  refusal.status = bad_request;
  if (!runtime::read_capture_request(query, request, refusal.text)) return nullptr;
  refusal.status = conflict;
  if (!runtime::has_user_network(profile)) {
    refusal.text = "the kernel does this node's network: `tcpdump -i any -w FILE` captures it\n";
    return nullptr;
  }
  if (!capture_place.expired()) {
    refusal.text = "another capture is running, or being read; there is one at a time\n";
    return nullptr;
  }
  std::vector<runtime::CaptureSource> sources;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    io::CapturePoint& point = cores[i]->capture_point();
    sources.push_back({.name = cores.size() == 1 ? profile.device
                                                 : fmt::format("{} core {}", profile.device, i),
                       .point = &point});
  }
  const auto taken = std::make_shared<const char>();
  capture_place = taken;
  return std::make_unique<runtime::CaptureStream>(std::move(sources), request, capture_clock,
                                                  taken);
}

std::vector<runtime::NamedNumber> Appliance::State::node_numbers() const {
  if (control == nullptr) return {};
  auto numbers = runtime::group_numbers(control->group_counters());
  const auto more = runtime::transaction_numbers(control->transaction_counters());
  numbers.insert(numbers.end(), more.begin(), more.end());
  return numbers;
}

std::vector<runtime::CoreView> Appliance::State::views() const {
  std::vector<runtime::CoreView> views;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    const auto& core = cores[i];
    const log::CoreLog::Counters& log = core->log_counters();
    runtime::CoreView view{.broker = &core->broker_counters(),
                           .others = runtime::log_numbers(log), .space = runtime::space_of(log)};
    view.others.push_back({"busy_us_total", "Microseconds in turns that found something to do",
                           true, core->busy_us()});
    if (core->net_counters() != nullptr) {
      const auto numbers = runtime::net_numbers(*core->net_counters());
      view.others.insert(view.others.end(), numbers.begin(), numbers.end());
      const auto device = runtime::device_numbers(core->device_numbers(),
                                                  core->link_watch());
      view.others.insert(view.others.end(), device.begin(), device.end());
    }
    if (handover != nullptr) {
      const auto numbers =
          runtime::handover_numbers(handover->counters(static_cast<std::uint16_t>(i)));
      view.others.insert(view.others.end(), numbers.begin(), numbers.end());
    }
    views.push_back(std::move(view));
  }
  return views;
}

template <class Unit>
void Appliance::State::launch(Unit& unit, bus::CoreId thread, std::string name,
                              const std::atomic<bool>& stop) {
  std::thread runner([this, &unit, thread, name = std::move(name), &stop] {
    pthread_setname_np(pthread_self(), name.c_str());
    runtime::ClockSystem clock;
    run_until_stopped(unit, thread, *exchange, clock, unit.idle(), stop);
    if (!unit.wait_disk(clock.now().instant + disk_wait_max)) disk_busy = true;
  });
  if (thread == bus::control_core) {
    control_thread = std::move(runner);
  } else {
    threads.push_back(std::move(runner));
  }
}

// Looks every few milliseconds; false when it took too long.
template <class Done>
bool Appliance::State::wait_for(std::int64_t seconds_max, const Done& done) {
  runtime::ClockSystem clock;
  const Instant deadline = clock.now().instant + seconds(seconds_max);
  while (!done()) {
    if (deadline <= clock.now().instant) return false;
    usleep(look_interval_us);
  }
  return true;
}

bool Appliance::State::cores_finished() const {
  for (const auto& core : cores) {
    if (!core->data_core().finished()) return false;
  }
  return true;
}

void Appliance::start() {
  State& state = *state_;
  TR_ASSERT(state.threads.empty());
  state.started_ns = runtime::ClockSystem().now().instant.ns;
  state.launch(*state.control, bus::control_core, "tr-control", state.stop_control);
  for (std::size_t i = 0; i < state.cores.size(); ++i) {
    state.launch(*state.cores[i], static_cast<bus::CoreId>(i), fmt::format("tr-core-{}", i),
                 state.stop_cores);
  }
  // Clients that connect before that only wait.
  state.wait_for(ready_seconds_max, [&] {
    return state.control->ready() || failed() || state.should_stop();
  });
}

bool Appliance::run_once() {
  State& state = *state_;
  TR_ASSERT(state.threads.empty());
  runtime::ClockSystem clock;
  const Now now = clock.now();
  if (state.started_ns == 0) state.started_ns = now.instant.ns;
  std::size_t work = state.control->run_once(now);
  for (const auto& core : state.cores) work += core->run_once(now);
  return work > 0;
}

bool Appliance::stop() {
  State& state = *state_;
  if (state.stopped) return !failed();
  state.stopped = true;
  state.admin.reset();
  const bool has_threads = state.control_thread.joinable();
  for (const auto& core : state.cores) {
    core->data_core().request_stop();
    core->idle().wake();
  }
  // Control goes on until the cores have finished, since they may wait for its answers.
  const bool finished = state.wait_for(stop_seconds_max, [&] {
    if (!has_threads) run_once();
    return state.cores_finished();
  });
  if (!finished) {
    log_event(LogLevel::error, "node", "not everything was put in order within {} s; what was "
              "acknowledged is on disk, the next start takes longer", stop_seconds_max);
  }
  state.stop_cores.store(true);
  for (const auto& core : state.cores) core->idle().wake();
  for (std::thread& thread : state.threads) thread.join();
  state.stop_control.store(true);
  if (state.control != nullptr) state.control->idle().wake();
  if (state.control_thread.joinable()) state.control_thread.join();
  return finished && !failed();
}

bool Appliance::failed() const {
  for (const auto& core : state_->cores) {
    if (core->failed()) return true;
  }
  return state_->control != nullptr && state_->control->failed();
}

std::vector<std::string> Appliance::addresses() const { return state_->endpoints.listen_texts(); }

std::string Appliance::banner() const {
  const State& state = *state_;
  utsname system{};
  uname(&system);
  std::string text = fmt::format("tailrace {}: node {} of cluster {}\n", version,
                                 state.directory->meta().node_id,
                                 to_string(state.directory->meta().cluster_id));
  const auto line = [&text](std::string_view what, std::string_view value) {
    text += fmt::format("  {:<12} {}\n", what, value);
  };
  line("kernel", fmt::format("{} {}", system.sysname, system.release));
  line("io_uring", state.cores[0]->ring_description());
  line("profile", state.profile_name);
  line("data", state.place.description);
  line("direct", state.profile.direct ? "O_DIRECT" : "through the page cache");
  if (runtime::has_user_network(state.profile)) {
    line("network", fmt::format("our own TCP/IP on {} {}: {}", state.profile.transport,
                                state.dpdk == nullptr ? state.profile.device
                                                      : state.dpdk->description(),
                                state.profile.addresses));
  }
  line("admin", state.admin == nullptr ? "none"
                                       : fmt::format("port {}: /metrics, /status, /net",
                                                     state.admin->port()));
  return text + runtime::limit_lines(state.profile);
}

std::string Appliance::metrics() const {
  return runtime::metrics_text(state_->views(), state_->node_numbers());
}

}  // namespace tailrace
