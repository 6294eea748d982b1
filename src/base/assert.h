// Assertions: on in every build. They state what only our own mistake can break; bytes from a
// peer, a disk or a config file are never asserted on (base/result.h is for those).
#pragma once

namespace tailrace {

// Prints the condition and the place to standard error, then aborts.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);

}  // namespace tailrace

#define TR_ASSERT(condition) \
  (static_cast<bool>(condition)        \
       ? void(0)                       \
       : ::tailrace::assert_failed(#condition, __FILE__, __LINE__))
