// Human-readable dumps of WAL and checkpoint files, and what is wrong with them, for
// `tailrace dump`.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "log/dump_segment.h"

namespace tailrace::log {

// A whole WAL file. Frames of older laps that nobody has overwritten yet are part of it. A frame
// that is not whole is a problem only when a later one says that it had been durable; else it is
// the torn end that nobody was told of. `with_frames`: a line for each. Returns the number of
// problems.
std::uint64_t dump_wal(Bytes bytes, bool with_frames, const DumpSink& sink);

// A whole checkpoint file.
std::uint64_t dump_checkpoint(Bytes bytes, const DumpSink& sink);

}  // namespace tailrace::log
