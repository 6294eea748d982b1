// toml++ reports syntax errors as exceptions; they are caught at the edge of this file.
#include "runtime/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <sstream>
#define TOML_HEADER_ONLY 1
// toml++ asserts on some mistyped keys that it reports as syntax errors two lines further on; an
// operator's typing error must not abort (found by tests/fuzz/profile_fuzz.cc).
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

namespace tailrace::runtime {
namespace {

constexpr std::int64_t KiB = 1024;
constexpr std::int64_t MiB = 1024 * KiB;
constexpr std::int64_t GiB = 1024 * MiB;
constexpr std::int64_t TiB = 1024 * GiB;

ProfileKey number(std::string_view table, std::string_view name, std::string_view unit,
                  std::int64_t Profile::*member, std::int64_t min, std::int64_t max) {
  return {.table = table, .name = name, .unit = unit, .number = member, .min = min, .max = max};
}
ProfileKey text(std::string_view table, std::string_view name, std::string Profile::*member,
                std::vector<std::string_view> choices) {
  return {.table = table, .name = name, .text = member, .choices = std::move(choices)};
}
ProfileKey flag(std::string_view table, std::string_view name, bool Profile::*member) {
  return {.table = table, .name = name, .flag = member};
}

using P = Profile;
const std::vector<ProfileKey>& keys() {
  static const std::vector<ProfileKey> all = {
      number("threads", "cores", "", &P::cores, 1, 64),
      text("threads", "idle", &P::idle, {"wait", "spin"}),
      number("threads", "spin_us_max", "us", &P::spin_us_max, 0, 1000),
      text("network", "transport", &P::transport, {"uring"}),
      number("network", "connections_max", "", &P::connections_max, 16, 1'000'000),
      number("network", "receive_buffer_bytes", "bytes", &P::receive_buffer_bytes, 4 * KiB, MiB),
      number("network", "receive_buffer_count", "", &P::receive_buffer_count, 8, 32768),
      number("network", "request_bytes_max", "bytes", &P::request_bytes_max, 64 * KiB, GiB),
      number("network", "request_memory_bytes", "bytes", &P::request_memory_bytes, MiB, TiB),
      number("network", "requests_in_flight_max", "", &P::requests_in_flight_max, 1, 1024),
      number("network", "connection_idle_s_max", "s", &P::connection_idle_s_max, 1, 86400),
      flag("storage", "direct", &P::direct),
      text("storage", "sync", &P::sync, {"fsync", "dsync"}),
      number("storage", "wal_bytes", "bytes", &P::wal_bytes, 16 * MiB, TiB),
      number("storage", "frame_bytes_max", "bytes", &P::frame_bytes_max, 64 * KiB, 256 * MiB),
      number("storage", "cache_bytes", "bytes", &P::cache_bytes, 4 * MiB, TiB),
      number("storage", "dirty_bytes_max", "bytes", &P::dirty_bytes_max, MiB, TiB),
      number("storage", "segment_write_bytes", "bytes", &P::segment_write_bytes, 4 * KiB, 16 * MiB),
      number("storage", "read_buffer_bytes", "bytes", &P::read_buffer_bytes, 64 * KiB, 256 * MiB),
      number("storage", "read_buffer_count", "", &P::read_buffer_count, 2, 4096),
      number("storage", "checkpoint_interval_s", "s", &P::checkpoint_interval_s, 1, 3600),
      number("storage", "retention_check_s", "s", &P::retention_check_s, 1, 86400),
      number("storage", "free_bytes_min", "bytes", &P::free_bytes_min, 0, TiB),
      number("limits", "partitions_max", "", &P::partitions_max, 1, 1'000'000),
      number("limits", "producers_max", "", &P::producers_max, 1, 10'000'000),
      number("limits", "open_files_max", "", &P::open_files_max, 64, 1'000'000),
      number("groups", "offsets_partitions", "", &P::offsets_partitions, 1, 10'000),
      number("groups", "groups_max", "", &P::groups_max, 1, 1'000'000),
      number("groups", "members_max", "", &P::members_max, 1, 100'000),
      number("groups", "offsets_max", "", &P::offsets_max, 1, 100'000'000),
      number("groups", "group_bytes_max", "bytes", &P::group_bytes_max, MiB, TiB),
      number("groups", "initial_delay_ms", "ms", &P::initial_delay_ms, 0, 3'600'000),
      number("groups", "offsets_retention_minutes", "minutes", &P::offsets_retention_minutes, 1,
             10'000'000),
      text("log", "level", &P::log_level, {"debug", "info", "warn", "error"}),
  };
  return all;
}

std::string allowed(const ProfileKey& key) {
  if (key.flag != nullptr) return "true or false";
  if (key.text != nullptr) return fmt::format("\"{}\"", fmt::join(key.choices, "\" or \""));
  return fmt::format("a whole number{}{} from {} to {}", key.unit.empty() ? "" : " of ",
                     key.unit, key.min, key.max);
}

std::string shown(const toml::node& node) {
  std::ostringstream text;
  if (const auto* value = node.as_string()) {
    text << '"' << value->get() << '"';
  } else if (const auto* integer = node.as_integer()) {
    text << integer->get();
  } else if (const auto* real = node.as_floating_point()) {
    text << real->get();
  } else if (const auto* boolean = node.as_boolean()) {
    text << (boolean->get() ? "true" : "false");
  } else {
    text << "a value of type " << node.type();
  }
  return text.str();
}

// False when the value is not what the key allows.
bool assign(const ProfileKey& key, const toml::node& node, Profile& profile) {
  if (key.flag != nullptr) {
    const auto* value = node.as_boolean();
    if (value != nullptr) profile.*key.flag = value->get();
    return value != nullptr;
  }
  if (key.text != nullptr) {
    const auto* value = node.as_string();
    if (value == nullptr) return false;
    for (const std::string_view choice : key.choices) {
      if (choice != value->get()) continue;
      profile.*key.text = value->get();
      return true;
    }
    return false;
  }
  const auto* value = node.as_integer();
  if (value == nullptr || value->get() < key.min || value->get() > key.max) return false;
  profile.*key.number = value->get();
  return true;
}

class Reader {
 public:
  Reader(std::string_view file, Profile& profile, std::vector<std::string>& errors)
      : file_(file), profile_(profile), errors_(errors) {}

  void read(const toml::table& root) {
    for (const auto& [table_name, node] : root) {
      const toml::table* table = node.as_table();
      if (table == nullptr || !is_table(table_name.str())) {
        report(table_name.source().begin.line,
               fmt::format("found \"{}\", allowed: the tables {}", table_name.str(), table_list()));
        continue;
      }
      for (const auto& [name, value] : *table) read_key(table_name.str(), name, value);
    }
  }

  void report(std::int64_t line, const std::string& what) {
    errors_.push_back(fmt::format("{}:{}: {}", file_, line, what));
  }

 private:
  static bool is_table(std::string_view name) {
    for (const ProfileKey& key : keys()) {
      if (key.table == name) return true;
    }
    return false;
  }
  static std::string table_list() {
    std::string list;
    std::string_view last;
    for (const ProfileKey& key : keys()) {
      if (key.table == last) continue;
      list += fmt::format("{}[{}]", list.empty() ? "" : ", ", key.table);
      last = key.table;
    }
    return list;
  }
  static std::string key_list(std::string_view table) {
    std::string list;
    for (const ProfileKey& key : keys()) {
      if (key.table == table) list += fmt::format("{}{}", list.empty() ? "" : ", ", key.name);
    }
    return list;
  }

  void read_key(std::string_view table, const toml::key& name, const toml::node& value) {
    for (const ProfileKey& key : keys()) {
      if (key.table != table || key.name != name.str()) continue;
      if (!assign(key, value, profile_)) {
        report(value.source().begin.line, fmt::format("{}.{}: found {}, allowed: {}", table,
                                                      name.str(), shown(value), allowed(key)));
      }
      return;
    }
    report(name.source().begin.line, fmt::format("found \"{}\", allowed in [{}]: {}", name.str(),
                                                 table, key_list(table)));
  }

  std::string_view file_;
  Profile& profile_;
  std::vector<std::string>& errors_;
};

// What no single key can say.
void check_relations(const Profile& profile, std::string_view file,
                     std::vector<std::string>& errors) {
  const auto require = [&](bool holds, std::string_view what) {
    if (!holds) errors.push_back(fmt::format("{}: {}", file, what));
  };
  require(profile.dirty_bytes_max <= profile.wal_bytes / 2,
          fmt::format("storage.dirty_bytes_max: found {}, allowed: at most half of wal_bytes, {}",
                      profile.dirty_bytes_max, profile.wal_bytes / 2));
  require(profile.cache_bytes >= profile.dirty_bytes_max + 2 * profile.frame_bytes_max,
          fmt::format("storage.cache_bytes: found {}, allowed: at least dirty_bytes_max and two "
                      "frames, {}",
                      profile.cache_bytes, profile.dirty_bytes_max + 2 * profile.frame_bytes_max));
  require(profile.wal_bytes >= 8 * profile.frame_bytes_max,
          fmt::format("storage.wal_bytes: found {}, allowed: at least 8 frames, {}",
                      profile.wal_bytes, 8 * profile.frame_bytes_max));
  require(profile.request_memory_bytes >= profile.request_bytes_max,
          fmt::format("network.request_memory_bytes: found {}, allowed: at least "
                      "request_bytes_max, {}",
                      profile.request_memory_bytes, profile.request_bytes_max));
  for (const ProfileKey& key : keys()) {
    const bool must_be_blocks = key.table == "storage" && key.unit == "bytes";
    if (!must_be_blocks || profile.*key.number % 4096 == 0) continue;
    require(false, fmt::format("{}.{}: found {}, allowed: a multiple of 4096", key.table, key.name,
                               profile.*key.number));
  }
}

}  // namespace

std::span<const ProfileKey> profile_keys() { return keys(); }

bool parse_profile(std::string_view text, std::string_view file, Profile& profile,
                   std::vector<std::string>& errors) {
  // toml++ 3.3 runs into __builtin_unreachable when a token begins with certain letters beyond
  // ASCII (found by tests/fuzz/profile_fuzz.cc). No key or value has any; comments may.
  std::string ascii(text);
  for (char& c : ascii) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  Profile read;
  Reader reader(file, read, errors);
  const std::size_t errors_before = errors.size();
  try {
    reader.read(toml::parse(std::string_view(ascii), file));
  } catch (const toml::parse_error& error) {
    reader.report(error.source().begin.line, std::string(error.description()));
  }
  if (errors.size() == errors_before) check_relations(read, file, errors);
  if (errors.size() != errors_before) return false;
  profile = read;
  return true;
}

bool read_profile(const std::string& path, Profile& profile, std::vector<std::string>& errors) {
  std::ifstream stream(path);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream) {
    errors.push_back(fmt::format("{}: cannot be read", path));
    return false;
  }
  return parse_profile(text.str(), path, profile, errors);
}

}  // namespace tailrace::runtime
