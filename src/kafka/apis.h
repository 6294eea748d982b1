// The APIs that are advertised, from apis.def.
#pragma once

#include <cstdint>
#include <span>

namespace tailrace::kafka {

enum class ApiKey : std::int16_t {
#define TR_KAFKA_API(name, key, first, last, flexible, owner) name = key,
#include "kafka/apis.def"
#undef TR_KAFKA_API
};

// Who does the work: the core that has the connection, or the control thread.
enum class ApiOwner : std::uint8_t { core, control };

struct ApiInfo {
  ApiKey key;
  std::int16_t version_min;
  std::int16_t version_max;
  std::int16_t first_flexible;
  ApiOwner owner;
  const char* name;
};

// By key.
std::span<const ApiInfo> apis();
// Null when the key is not advertised.
const ApiInfo* find_api(std::int16_t key);

}  // namespace tailrace::kafka
