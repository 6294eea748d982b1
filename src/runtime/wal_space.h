// The disk space that a start needs before it can begin: whole WALs, filled with zeros, wherever
// the layout is new. Looked at before the first byte is written, and cleaned up after a start that
// did not get through.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "log/manifest.h"
#include "runtime/profile.h"

namespace tailrace::runtime {

// Of the WALs that a start with this profile makes: what is not on the disk yet. 0 when those
// that are there will do. `directory` is the data directory.
std::uint64_t wal_bytes_needed(const Profile& profile, const std::string& directory);

// False: `why` says what was found, what is needed and what to do.
bool wal_space_suffices(const Profile& profile, const std::string& directory, std::string& why);

// Removes the WALs of the generation after the one in force: what a failed or stopped start left.
// `may_format`: a missing manifest means that nothing is in force yet, not that it was lost.
void remove_unfinished_wals(const std::string& directory, bool may_format);

}  // namespace tailrace::runtime
