// What a fuzz target is: one file tests/fuzz/NAME_fuzz.cc that defines these two functions, and a
// line in the menu of tests/fuzz/meson.build. Broken promises are found with TR_ASSERT.
//
// With clang and libFuzzer (tools/presets/fuzz.ini) the search is guided by coverage; with any
// other compiler fuzz_main.cc drives the target over its seeds and random changes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"

// Runs the code under test on one input. Always returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tailrace::fuzz {

// Inputs to start from, made anew at each run: valid ones get deeper than noise.
std::vector<std::string> seeds();

inline Bytes input_bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// Takes a byte from the front of an input, to choose a variant with; 0 at its end.
inline std::uint8_t take_choice(Bytes& input) {
  if (input.empty()) return 0;
  const auto choice = static_cast<std::uint8_t>(input.front());
  input = input.subspan(1);
  return choice;
}

}  // namespace tailrace::fuzz
