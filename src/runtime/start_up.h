// What happens on the main thread before any core runs: the checks of the place, the boot of the
// logs, and a look at the metadata.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/control_plane.h"
#include "log/core_log.h"
#include "runtime/data_directory.h"
#include "runtime/mapped_memory.h"
#include "runtime/profile.h"

namespace tailrace::runtime {

// File system and open files. `notes`: lines for the operator that stop nothing; `description`:
// for the banner. False: `why` says what is wrong and what to do.
struct PlaceReport {
  std::string description;
  std::vector<std::string> notes;
};
bool check_place(const Profile& profile, const std::string& directory, std::size_t listener_count,
                 PlaceReport& report, std::string& why);

struct BootedCore {
  std::unique_ptr<MappedMemory> memory;
  std::unique_ptr<log::CoreLog> log;
};
// Where a core's memory is from: null when there is not so much.
using ReserveMemory = std::function<std::unique_ptr<MappedMemory>(std::size_t bytes)>;
// Asked once per turn; empty: never.
using ShouldStop = std::function<bool()>;

// Recovers or formats the logs; tells progress on standard error. False: `why` says it, or is empty
// when `should_stop` was true; what was half made is then removed.
bool boot_logs(const Profile& profile, const DataDirectory& directory,
               const ReserveMemory& reserve, Prng& prng, std::vector<BootedCore>& cores,
               std::string& why, const ShouldStop& should_stop = {});

// Recovers or formats the metadata, on this thread, and lets it go again: the control thread will
// read it anew on a ring of its own, but by then a damaged one has been told of. False: `why`.
bool try_metadata(const Profile& profile, const DataDirectory& directory,
                  const control::NodeSetup& setup, Prng& prng, std::string& why,
                  const ShouldStop& should_stop = {});

}  // namespace tailrace::runtime
