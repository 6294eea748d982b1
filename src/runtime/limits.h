// From the hardware profile to the Limits of each folder, and the lines that tell them at start.
#pragma once

#include <string>

#include "broker/limits.h"
#include "control/limits.h"
#include "log/limits.h"
#include "runtime/profile.h"

namespace tailrace::runtime {

log::Limits log_limits(const Profile& profile);
broker::Limits broker_limits(const Profile& profile);
control::Limits control_limits(const Profile& profile);

// Open files the process may need at most.
std::uint64_t open_files_needed(const Profile& profile, std::size_t listener_count);

// The limits as lines, each starting with "  ".
std::string limit_lines(const Profile& profile);

// "64 MiB", "100 KiB", "12 B": exact where it is a whole number of units.
std::string size_text(std::uint64_t bytes);

}  // namespace tailrace::runtime
