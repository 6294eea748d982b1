// The clock seam: read once at the top of each turn, nowhere else.
#pragma once

#include "base/time.h"

namespace tailrace::io {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Now now() = 0;
};

}  // namespace tailrace::io
