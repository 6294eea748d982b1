// no_orphans: after a start every file is named by somebody: segments and their indexes by a log,
// WALs by the manifest. Nobody would ever remove the others.
#pragma once

#include <memory>
#include <span>

#include "checkers/verdicts.h"
#include "log/core_log.h"
#include "sim_file_system.h"

namespace tailrace::sim {

// `logs`: as a start has recovered them, before anything is appended.
void check_orphans(const SimFileSystem& files, std::span<const std::unique_ptr<log::CoreLog>> logs,
                   Verdicts& verdicts);

}  // namespace tailrace::sim
