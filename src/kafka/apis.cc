#include "kafka/apis.h"

namespace tailrace::kafka {
namespace {

constexpr ApiInfo all[] = {
#define TR_KAFKA_API(name, key, first, last, flexible, owner) \
  {ApiKey::name, first, last, flexible, ApiOwner::owner, #name},
#include "kafka/apis.def"
#undef TR_KAFKA_API
};

}  // namespace

std::span<const ApiInfo> apis() { return all; }

const ApiInfo* find_api(std::int16_t key) {
  for (const ApiInfo& api : all) {
    if (static_cast<std::int16_t>(api.key) == key) return &api;
  }
  return nullptr;
}

}  // namespace tailrace::kafka
