// Features (KIP-584): what clients look at before they use a newer protocol, and what
// kafka-features lists. Each has the one level that is built in, supported and in force alike: a
// node that knows another one comes with a program that does.
#pragma once

#include <cstdint>
#include <string_view>

namespace tailrace::kafka {

struct Feature {
  std::string_view name;
  std::int16_t level;
};

inline constexpr Feature features[] = {
    {"group.version", 1},        // KIP-848: the consumer group protocol
    {"metadata.version", 25},    // "4.0-IV3": of no meaning to the metadata log, but tools expect
                                 // it, and it names the release whose behaviour this is
    {"transaction.version", 2},  // KIP-890: every transaction has an epoch of its own
};

// 0 for what is not known, which is also the level that an unknown feature has.
constexpr std::int16_t feature_level(std::string_view name) {
  for (const Feature& feature : features) {
    if (feature.name == name) return feature.level;
  }
  return 0;
}

}  // namespace tailrace::kafka
