// toml++ reports syntax errors as exceptions; they are caught at the edge of this file.
#include "runtime/profile.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>

#include "runtime/network_text.h"
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
ProfileKey text(std::string_view table, std::string_view name, std::string Profile::*member,
                bool (*fits)(std::string_view), std::string_view form) {
  return {.table = table, .name = name, .text = member, .fits = fits, .form = form};
}
ProfileKey flag(std::string_view table, std::string_view name, bool Profile::*member) {
  return {.table = table, .name = name, .flag = member};
}

// An interface of the kernel's, or what DPDK calls a device: looked at closer where it is used.
bool is_device_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c >= ' ' && c <= '~'; });
}

using P = Profile;
// Threads and network.
std::vector<ProfileKey> machine_keys() {
  return {
    number("threads", "cores", "", &P::cores, 1, 64),
    text("threads", "idle", &P::idle, {"wait", "spin"}),
    number("threads", "spin_us_max", "us", &P::spin_us_max, 0, 1000),
    text("network", "transport", &P::transport, {"uring", "tap", "dpdk"}),
    text("network", "device", &P::device, is_device_name,
         "the name of an interface, or what DPDK calls a device, such as "
         "\"net_af_xdp0,iface=eth1\" or \"0000:3b:00.0\""),
    flag("network", "huge_pages", &P::huge_pages),
    text("network", "addresses", &P::addresses, is_addresses_or_empty,
         "addresses of stations with their prefixes and commas between them, such as "
         "\"10.78.0.1/24\" or \"10.78.0.1/24,fd00::1/64\""),
    text("network", "gateway", &P::gateway, is_address_or_empty,
         "a numeric address, such as \"10.78.0.254\", or \"\""),
    text("network", "mac", &P::mac, is_mac_or_empty,
         "the link address of one station, such as \"02:54:0a:4e:00:01\", or \"\""),
    number("network", "connections_max", "", &P::connections_max, 16, 1'000'000),
    number("network", "receive_buffer_bytes", "bytes", &P::receive_buffer_bytes, 4 * KiB, MiB),
    number("network", "receive_buffer_count", "", &P::receive_buffer_count, 8, 32768),
    number("network", "request_bytes_max", "bytes", &P::request_bytes_max, 64 * KiB, GiB),
    number("network", "request_memory_bytes", "bytes", &P::request_memory_bytes, MiB, TiB),
    number("network", "answer_memory_bytes", "bytes", &P::answer_memory_bytes, 4 * MiB, TiB),
    number("network", "requests_in_flight_max", "", &P::requests_in_flight_max, 1, 1024),
    number("network", "connection_idle_s_max", "s", &P::connection_idle_s_max, 1, 86400),
  };
}

// Storage and compaction.
std::vector<ProfileKey> storage_keys() {
  return {
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
    number("compaction", "memory_bytes", "bytes", &P::compaction_memory_bytes, 64 * KiB, TiB),
    number("compaction", "bytes_per_second", "bytes", &P::compaction_bytes_per_second, MiB, TiB),
    number("compaction", "check_s", "s", &P::compaction_check_s, 1, 86400),
  };
}

// What a node holds, and its log.
std::vector<ProfileKey> holding_keys() {
  return {
    number("limits", "partitions_max", "", &P::partitions_max, 1, 1'000'000),
    number("limits", "producers_max", "", &P::producers_max, 1, 10'000'000),
    number("limits", "open_and_aborted_max", "", &P::open_and_aborted_max, 16, 10'000'000),
    number("limits", "open_files_max", "", &P::open_files_max, 64, 1'000'000),
    number("limits", "quota_entities_max", "", &P::quota_entities_max, 1, 100'000),
    number("groups", "offsets_partitions", "", &P::offsets_partitions, 1, 10'000),
    number("groups", "groups_max", "", &P::groups_max, 1, 1'000'000),
    number("groups", "members_max", "", &P::members_max, 1, 100'000),
    number("groups", "offsets_max", "", &P::offsets_max, 1, 100'000'000),
    number("groups", "group_bytes_max", "bytes", &P::group_bytes_max, MiB, TiB),
    number("groups", "initial_delay_ms", "ms", &P::initial_delay_ms, 0, 3'600'000),
    number("groups", "consumer_session_timeout_ms", "ms", &P::consumer_session_timeout_ms, 1,
           3'600'000),
    number("groups", "consumer_heartbeat_interval_ms", "ms", &P::consumer_heartbeat_interval_ms,
           1, 3'600'000),
    number("groups", "consumer_session_timeout_min_ms", "ms",
           &P::consumer_session_timeout_min_ms, 1, 3'600'000),
    number("groups", "consumer_session_timeout_max_ms", "ms",
           &P::consumer_session_timeout_max_ms, 1, 3'600'000),
    number("groups", "consumer_heartbeat_interval_min_ms", "ms",
           &P::consumer_heartbeat_interval_min_ms, 1, 3'600'000),
    number("groups", "consumer_heartbeat_interval_max_ms", "ms",
           &P::consumer_heartbeat_interval_max_ms, 1, 3'600'000),
    number("groups", "offsets_retention_minutes", "minutes", &P::offsets_retention_minutes, 1,
           10'000'000),
    number("transactions", "state_partitions", "", &P::state_partitions, 1, 10'000),
    number("transactions", "transactional_ids_max", "", &P::transactional_ids_max, 1,
           10'000'000),
    number("transactions", "transaction_partitions_max", "", &P::transaction_partitions_max, 1,
           20'000),
    number("transactions", "transaction_bytes_max", "bytes", &P::transaction_bytes_max, MiB,
           TiB),
    number("transactions", "transaction_timeout_max_ms", "ms", &P::transaction_timeout_max_ms,
           1000, 2'000'000'000),
    number("transactions", "transactional_id_expiry_minutes", "minutes",
           &P::transactional_id_expiry_minutes, 1, 10'000'000),
    text("log", "level", &P::log_level, {"debug", "info", "warn", "error"}),
  };
}

const std::vector<ProfileKey>& keys() {
  static const std::vector<ProfileKey> all = [] {
    std::vector<ProfileKey> joined = machine_keys();
    for (const auto& more : {storage_keys(), holding_keys()}) {
      joined.insert(joined.end(), more.begin(), more.end());
    }
    return joined;
  }();
  return all;
}

std::string allowed(const ProfileKey& key) {
  if (key.flag != nullptr) return "true or false";
  if (key.fits != nullptr) return std::string(key.form);
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
    if (key.fits != nullptr) {
      if (key.fits(value->get())) profile.*key.text = value->get();
      return key.fits(value->get());
    }
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
      profile_.lines[std::string(key.name)] = name.source().begin.line;
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

// What no single key can say. Told at the line of the key that is in the file: the one that was
// found wrong, else the one that made it so.
class Relations {
 public:
  Relations(const Profile& profile, std::vector<std::string>& errors)
      : profile_(profile), errors_(errors) {}

  void at_most(std::string_view name, std::int64_t found, std::int64_t most, std::string_view what,
               std::string_view other) {
    if (found > most) report(name, found, fmt::format("at most {}, {}", what, most), other);
  }
  void at_least(std::string_view name, std::int64_t found, std::int64_t least,
                std::string_view what, std::string_view other) {
    if (found < least) report(name, found, fmt::format("at least {}, {}", what, least), other);
  }
  void report(std::string_view name, std::int64_t found, std::string_view allowed,
              std::string_view other) {
    const bool is_there = profile_.lines.contains(name) || !profile_.lines.contains(other);
    errors_.push_back(fmt::format("{}{}: found {}{}, allowed: {}",
                                  profile_.place_of(is_there ? name : other), with_table(name),
                                  found, profile_.lines.contains(name) ? "" : " (its default)",
                                  allowed));
  }

 private:
  static std::string with_table(std::string_view name) {
    for (const ProfileKey& key : keys()) {
      if (key.name == name) return fmt::format("{}.{}", key.table, name);
    }
    return std::string(name);
  }

  const Profile& profile_;
  std::vector<std::string>& errors_;
};

// What may be set for one group lies within [min, max]; what the node says must, too.
void check_consumer_times(const Profile& p, Relations& relations) {
  struct Range {
    std::string_view name, min_name, max_name;
    std::int64_t value, min, max;
  };
  const Range session{"consumer_session_timeout_ms", "consumer_session_timeout_min_ms",
                      "consumer_session_timeout_max_ms", p.consumer_session_timeout_ms,
                      p.consumer_session_timeout_min_ms, p.consumer_session_timeout_max_ms};
  const Range heartbeat{"consumer_heartbeat_interval_ms", "consumer_heartbeat_interval_min_ms",
                        "consumer_heartbeat_interval_max_ms", p.consumer_heartbeat_interval_ms,
                        p.consumer_heartbeat_interval_min_ms,
                        p.consumer_heartbeat_interval_max_ms};
  for (const Range& of : {session, heartbeat}) {
    relations.at_most(of.min_name, of.min, of.max, of.max_name, of.max_name);
    relations.at_least(of.name, of.value, of.min, of.min_name, of.min_name);
    relations.at_most(of.name, of.value, of.max, of.max_name, of.max_name);
  }
  if (heartbeat.value < session.value) return;
  relations.report(heartbeat.name, heartbeat.value,
                   fmt::format("less than {}, {}", session.name, session.value), session.name);
}

void check_relations(const Profile& p, std::vector<std::string>& errors) {
  Relations relations(p, errors);
  relations.at_most("dirty_bytes_max", p.dirty_bytes_max, p.wal_bytes / 2, "half of wal_bytes",
                    "wal_bytes");
  const bool is_frame = !p.lines.contains("dirty_bytes_max") && p.lines.contains("frame_bytes_max");
  relations.at_least("cache_bytes", p.cache_bytes, p.dirty_bytes_max + 2 * p.frame_bytes_max,
                     "dirty_bytes_max and two frames (frame_bytes_max)",
                     is_frame ? "frame_bytes_max" : "dirty_bytes_max");
  relations.at_least("wal_bytes", p.wal_bytes, 8 * p.frame_bytes_max,
                     "8 frames (frame_bytes_max)", "frame_bytes_max");
  relations.at_least("request_memory_bytes", p.request_memory_bytes, p.request_bytes_max,
                     "request_bytes_max", "request_bytes_max");
  check_consumer_times(p, relations);
  for (const ProfileKey& key : keys()) {
    const bool must_be_blocks = key.table == "storage" && key.unit == "bytes";
    if (!must_be_blocks || p.*key.number % 4096 == 0) continue;
    const std::int64_t below = p.*key.number / 4096 * 4096;
    relations.report(key.name, p.*key.number,
                     fmt::format("a multiple of 4096, such as {} or {}", below, below + 4096), "");
  }
}

// What stands before the "=" of a line, so that a syntax error names its key.
std::string key_on_line(std::string_view text, std::int64_t number) {
  for (; number > 1 && text.find('\n') != std::string_view::npos; --number) {
    text.remove_prefix(text.find('\n') + 1);
  }
  text = text.substr(0, text.find('\n'));
  const std::size_t end = text.find_first_of("=#");
  if (end == std::string_view::npos || text[end] == '#') return {};
  text = text.substr(0, end);
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return fmt::format("{}: ", text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

// False: errno says why.
bool read_file(const std::string& path, std::string& text) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char piece[4096];
  ssize_t count = 0;
  while ((count = read(fd, piece, sizeof piece)) > 0) {
    text.append(piece, static_cast<std::size_t>(count));
  }
  const int error = errno;
  close(fd);
  errno = error;
  return count == 0;
}

}  // namespace

std::string Profile::place_of(std::string_view key) const {
  if (file.empty()) return "the built-in profile: ";
  const auto line = lines.find(key);
  return line == lines.end() ? fmt::format("{}: ", file)
                             : fmt::format("{}:{}: ", file, line->second);
}

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
  read.file = file;
  Reader reader(file, read, errors);
  const std::size_t errors_before = errors.size();
  try {
    reader.read(toml::parse(std::string_view(ascii), file));
  } catch (const toml::parse_error& error) {
    const std::int64_t line = error.source().begin.line;
    reader.report(line, key_on_line(ascii, line) + std::string(error.description()));
  }
  if (errors.size() == errors_before) check_relations(read, errors);
  if (errors.size() != errors_before) return false;
  profile = read;
  return true;
}

bool read_profile(const std::string& path, Profile& profile, std::vector<std::string>& errors) {
  std::string text;
  if (!read_file(path, text)) {
    const std::string_view hint =
        errno == EISDIR ? "; name a file, such as hw-profiles/laptop.toml" : "";
    errors.push_back(fmt::format("{}: cannot be read: {}{}", path, std::strerror(errno), hint));
    return false;
  }
  return parse_profile(text, path, profile, errors);
}

}  // namespace tailrace::runtime
