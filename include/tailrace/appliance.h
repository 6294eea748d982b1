// Appliance: a whole broker inside another process. `tailrace serve` is a thin shell around it.
//
//   std::string why;
//   auto appliance = tailrace::Appliance::open(config, why);
//   if (!appliance) { ...why says what is wrong and what to do... }
//   appliance->start();   // own threads; or call run_once() from a loop of the host's
//   ...
//   appliance->stop();
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tailrace/config.h"

namespace tailrace {

class Appliance {
 public:
  // Reads the profile, locks and recovers the data directory and binds the listening addresses.
  // Null when something is wrong; `why` then has one or more lines for the operator. Progress of
  // long work (formatting, recovery) goes to standard error.
  static std::unique_ptr<Appliance> open(const Config& config, std::string& why);

  // Stops first if still running.
  ~Appliance();

  // Either start(): one thread per core and one for control, until stop(); or no threads, and
  // the host calls run_once() again and again: one turn of every core and of control. Returns
  // true if there was work. Never both.
  void start();
  bool run_once();

  // Finishes: no new requests, a last checkpoint, threads joined. Everything acknowledged was
  // durable before; this only makes the next start faster. Returns false if a core had failed.
  bool stop();

  // True once a core or the control thread met an error that it cannot go on after.
  bool failed() const;

  // "host:port" of each listening address, in the order of Config::listen, ports resolved.
  std::vector<std::string> addresses() const;

  // What is in use, for the start-up banner: lines for the operator.
  std::string banner() const;

  // Counters in the Prometheus text format. From any thread.
  std::string metrics() const;

 private:
  Appliance();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
