// The test of the fuzzing itself: it has a fault that must be found. Ordinary targets have none.
#include <cstdio>
#include <cstdlib>

#include "../support/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 3 && data[0] == 'T' && data[1] == 'R' && data[2] == 0xff) {
    std::fputs("canary: found\n", stderr);
    std::abort();
  }
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() { return {"TR?", "something else"}; }
