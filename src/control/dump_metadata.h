// What a metadata journal holds, for people: 'tailrace dump' and the operator of a node that does
// not start.
#pragma once

#include <functional>
#include <string_view>

#include "base/bytes.h"

namespace tailrace::control {

// Calls `line` once per line, without newline. Any bytes may be given; damage is told with its
// place, and what can be read is shown all the same. True when the file is in order.
bool dump_metadata(Bytes file, const std::function<void(std::string_view)>& line);

}  // namespace tailrace::control
