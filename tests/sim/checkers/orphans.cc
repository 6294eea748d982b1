#include "checkers/orphans.h"

#include <set>
#include <string>

#include "log/manifest.h"

namespace tailrace::sim {

void check_orphans(const SimFileSystem& files, std::span<const std::unique_ptr<log::CoreLog>> logs,
                   Verdicts& verdicts) {
  std::set<std::string, std::less<>> named;
  for (const auto& log : logs) {
    for (const log::PartitionLog* partition : log->partitions()) {
      for (const log::SegmentInfo& segment : partition->segments()) {
        named.emplace(log::segment_path(partition->key(), segment).text());
        named.emplace(log::index_path(partition->key(), segment).text());
      }
    }
  }
  for (const auto& [path, inode] : files.files("topics")) {
    if (!named.contains(path)) verdicts.broken("no_orphans", "{} is named by no log", path);
  }
  std::size_t wals = 0;
  for (const auto& [path, inode] : files.files(log::wal_directory)) {
    wals += path.ends_with(".wal") ? 1 : 0;
  }
  if (wals != logs.size()) {
    verdicts.broken("no_orphans", "{} WALs lie there for {} cores", wals, logs.size());
  }
}

}  // namespace tailrace::sim
