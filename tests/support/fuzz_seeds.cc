// For libFuzzer builds: the first folder named on the command line gets the target's seeds, unless
// it has files already. So no corpus of binary files needs to be kept with the sources.
#include <filesystem>
#include <fstream>

#include "../support/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argument_count, char*** arguments) {
  namespace fs = std::filesystem;
  for (int i = 1; i < *argument_count; ++i) {
    const fs::path folder = (*arguments)[i];
    if (!fs::is_directory(folder)) continue;
    if (!fs::is_empty(folder)) break;
    int number = 0;
    for (const std::string& seed : tailrace::fuzz::seeds()) {
      std::ofstream file(folder / ("seed-" + std::to_string(number++)), std::ios::binary);
      file.write(seed.data(), static_cast<std::streamsize>(seed.size()));
    }
    break;
  }
  return 0;
}
