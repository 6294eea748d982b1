// Profile: what a hardware profile (hw-profiles/*.toml) says, checked. Strict: an unknown key, a
// wrong type or a number out of range is an error with file, line, what was found and what is
// allowed; all errors of a file are told at once, and nothing starts.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tailrace::runtime {

struct Profile {
  // Threads.
  std::int64_t cores = 1;
  std::string idle = "wait";
  std::int64_t spin_us_max = 20;

  // Network.
  std::string transport = "uring";
  std::string device = "tailrace0";
  bool huge_pages = true;
  std::string addresses;
  std::string gateway;
  std::string mac;
  std::int64_t connections_max = 1024;
  std::int64_t receive_buffer_bytes = 65536;
  std::int64_t receive_buffer_count = 64;
  std::int64_t request_bytes_max = 104857600;
  std::int64_t request_memory_bytes = 134217728;
  std::int64_t answer_memory_bytes = 67108864;
  std::int64_t requests_in_flight_max = 16;
  std::int64_t connection_idle_s_max = 600;

  // Storage.
  bool direct = true;
  std::string sync = "fsync";
  std::int64_t wal_bytes = 268435456;
  std::int64_t frame_bytes_max = 2097152;
  std::int64_t cache_bytes = 67108864;
  std::int64_t dirty_bytes_max = 33554432;
  std::int64_t segment_write_bytes = 262144;
  std::int64_t read_buffer_bytes = 1048576;
  std::int64_t read_buffer_count = 8;
  std::int64_t checkpoint_interval_s = 60;
  std::int64_t retention_check_s = 300;
  std::int64_t free_bytes_min = 67108864;

  // Compaction.
  std::int64_t compaction_memory_bytes = 16777216;
  std::int64_t compaction_bytes_per_second = 33554432;
  std::int64_t compaction_check_s = 15;

  // Limits of what a node holds.
  std::int64_t partitions_max = 4096;
  std::int64_t producers_max = 16384;
  std::int64_t open_and_aborted_max = 65536;
  std::int64_t open_files_max = 4096;
  std::int64_t quota_entities_max = 1000;

  // Consumer groups.
  std::int64_t offsets_partitions = 50;
  std::int64_t groups_max = 10000;
  std::int64_t members_max = 1000;
  std::int64_t offsets_max = 250000;
  std::int64_t group_bytes_max = 67108864;
  std::int64_t initial_delay_ms = 3000;
  std::int64_t consumer_session_timeout_ms = 45000;
  std::int64_t consumer_heartbeat_interval_ms = 5000;
  std::int64_t consumer_session_timeout_min_ms = 45000;
  std::int64_t consumer_session_timeout_max_ms = 60000;
  std::int64_t consumer_heartbeat_interval_min_ms = 5000;
  std::int64_t consumer_heartbeat_interval_max_ms = 15000;
  std::int64_t offsets_retention_minutes = 10080;

  // Transactions.
  std::int64_t state_partitions = 50;
  std::int64_t transactional_ids_max = 10000;
  std::int64_t transaction_partitions_max = 2000;
  std::int64_t transaction_bytes_max = 33554432;
  std::int64_t transaction_timeout_max_ms = 900000;
  std::int64_t transactional_id_expiry_minutes = 10080;

  // Operator's log.
  std::string log_level = "info";

  // Where it was read, for messages about what only shows later; empty: built in.
  std::string file;
  // Of each key that is in the file, by its name: the line. No two tables have a key in common.
  std::map<std::string, std::int64_t, std::less<>> lines;
  // "FILE:LINE: ", or what comes nearest to it for a key that the file leaves out.
  std::string place_of(std::string_view key) const;
};

struct ProfileKey {
  std::string_view table;
  std::string_view name;
  std::string_view unit;     // "bytes", "s", "us"; empty for a count
  std::int64_t Profile::*number = nullptr;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string Profile::*text = nullptr;
  std::vector<std::string_view> choices;  // for text; or what it must look like:
  bool (*fits)(std::string_view) = nullptr;
  std::string_view form;                  // the same in words
  bool Profile::*flag = nullptr;
};

// Every key there is, in the order of the profile files.
std::span<const ProfileKey> profile_keys();

// Reads TOML text; `file` is only for messages. False, and `errors` has one line per mistake,
// when anything is wrong; `profile` is then unchanged.
bool parse_profile(std::string_view text, std::string_view file, Profile& profile,
                   std::vector<std::string>& errors);

// The same for a file; a file that cannot be read is one error.
bool read_profile(const std::string& path, Profile& profile, std::vector<std::string>& errors);

}  // namespace tailrace::runtime
