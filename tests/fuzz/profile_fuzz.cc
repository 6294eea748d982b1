// A hardware profile as an operator may have mistyped it.
#include "../support/fuzz_target.h"
#include "runtime/profile.h"

using namespace tailrace;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  runtime::Profile profile;
  std::vector<std::string> errors;
  const bool good = runtime::parse_profile(as_text(fuzz::input_bytes(data, size)), "fuzz", profile,
                                           errors);
  TR_ASSERT(good == errors.empty());
  for (const runtime::ProfileKey& key : runtime::profile_keys()) {
    if (key.number == nullptr) continue;
    TR_ASSERT(profile.*key.number >= key.min);
    TR_ASSERT(profile.*key.number <= key.max);
  }
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  const runtime::Profile defaults;
  std::string all;
  std::string_view table;
  for (const runtime::ProfileKey& key : runtime::profile_keys()) {
    if (key.table != table) all += "[" + std::string(key.table) + "]\n";
    table = key.table;
    all += std::string(key.name) + " = ";
    if (key.number != nullptr) all += std::to_string(defaults.*key.number);
    if (key.text != nullptr) all += '"' + defaults.*key.text + '"';
    if (key.flag != nullptr) all += defaults.*key.flag ? "true" : "false";
    all += '\n';
  }
  return {all, "[storage]\nwal_bytes = \"much\"\nunknown = 1\n", "cores = [1, {a = 2}]\n", "[[x]]"};
}
