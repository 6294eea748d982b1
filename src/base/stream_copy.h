// A copy whose target nobody reads soon: a block for the disk. Its bytes go past the caches, so
// that the target's old lines are not fetched first and nothing useful is pushed out.
#pragma once

#include "base/bytes.h"

namespace tailrace {

// `to` has room for `from`; they do not overlap. Ordered before everything the thread does later,
// system calls and stores to other threads' memory included.
void stream_copy(std::byte* to, Bytes from);

}  // namespace tailrace
