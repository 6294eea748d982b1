// Sweep: removes at boot what no log names. A removal is not synced, so a power cut may bring back
// files of deleted segments, partitions and topics; and a crash while a new generation of WALs was
// being made leaves one of the two without a user. Only names that we would give ourselves are
// touched, and of a partition that lives only what lies before its first segment, what compaction
// has made or replaced, and indexes, which can be made anew.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "log/core_log.h"
#include "log/remover.h"

namespace tailrace::log {

// What is in a directory; nothing when it cannot be read.
struct Listed {
  std::string name;
  bool is_directory = false;
};
using ListDirectory = std::function<std::vector<Listed>(std::string_view directory)>;

// `disk`: an io::Disk, whose list() blocks; it outlives the result.
template <class Disk>
ListDirectory lister_of(Disk& disk) {
  return [&disk](std::string_view directory) {
    std::vector<Listed> entries;
    const auto found = disk.list(directory);
    if (!found) return entries;
    for (const auto& entry : *found) entries.push_back({entry.name, entry.is_directory});
    return entries;
  };
}

// Hands what nobody names to `remover`; returns how many files that is. `logs`: all of the node,
// as they were recovered; `generation`: of the WALs in force.
std::size_t sweep(const ListDirectory& list, std::uint64_t generation,
                  std::span<const std::unique_ptr<CoreLog>> logs, Remover& remover);

}  // namespace tailrace::log
