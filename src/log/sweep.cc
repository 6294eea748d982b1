#include "log/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "log/manifest.h"

namespace tailrace::log {
namespace {

class Sweeper {
 public:
  Sweeper(const ListDirectory& list, std::span<const std::unique_ptr<CoreLog>> logs,
          Remover& remover)
      : list_(list), logs_(logs), remover_(remover) {}

  void sweep_wals(std::uint64_t generation) {
    for (const Listed& entry : list_(wal_directory)) {
      if (entry.is_directory) continue;
      std::uint64_t named = 0;
      std::uint32_t core = 0;
      std::string_view ending;
      if (!two_numbers(entry.name, named, core, ending)) continue;
      if (named == generation && core < logs_.size()) continue;
      if (ending != ".wal" && ending != ".checkpoint-a" && ending != ".checkpoint-b") continue;
      const std::string path = fmt::format("{}/{}", wal_directory, entry.name);
      if (path != fmt::format("{}{}", wal_path(named, core), ending)) continue;
      remove(path);
    }
  }

  void sweep_topics() {
    for (const Listed& entry : list_("topics")) {
      const Result<Uuid> topic = uuid_from_text(entry.name);
      if (!entry.is_directory || !topic) continue;
      const FileName path = topic_directory(*topic);
      if (path.text() != fmt::format("topics/{}", entry.name)) continue;
      if (!sweep_topic(*topic, path)) remover_.enqueue_directory(path);
    }
  }

  std::size_t count() const { return count_; }

 private:
  // "<number>-<number><ending>"
  template <class First, class Second>
  static bool two_numbers(std::string_view text, First& first, Second& second,
                          std::string_view& ending) {
    const char* const end = text.data() + text.size();
    const auto [dash, bad_first] = std::from_chars(text.data(), end, first);
    if (bad_first != std::errc{} || dash == end || *dash != '-') return false;
    const auto [rest, bad_second] = std::from_chars(dash + 1, end, second);
    if (bad_second != std::errc{}) return false;
    ending = {rest, static_cast<std::size_t>(end - rest)};
    return true;
  }

  // True when something of the topic must stay.
  bool sweep_topic(const Uuid& topic, const FileName& directory) {
    bool stays = false;
    for (const Listed& entry : list_(directory.text())) {
      PartitionKey key{.topic = topic};
      std::string_view ending;
      const bool is_ours =
          entry.is_directory && two_numbers(entry.name, key.partition, key.incarnation, ending) &&
          partition_directory(key).text() == fmt::format("{}/{}", directory.text(), entry.name);
      stays = !is_ours || sweep_partition(key) || stays;
    }
    return stays;
  }

  bool sweep_partition(const PartitionKey& key) {
    const PartitionLog* partition = find(key);
    const FileName directory = partition_directory(key);
    bool stays = partition != nullptr;
    for (const Listed& entry : list_(directory.text())) {
      const std::string path = fmt::format("{}/{}", directory.text(), entry.name);
      if (!entry.is_directory && is_orphan(key, partition, path)) {
        remove(path);
      } else {
        stays = true;
      }
    }
    if (!stays) remover_.enqueue_directory(directory);
    return stays;
  }

  static bool is_orphan(const PartitionKey& key, const PartitionLog* partition,
                        std::string_view path) {
    const SegmentName name = segment_name_of_path(path);
    if (name.base_offset < 0) return false;
    const bool is_index = index_path(key, name.base_offset, name.generation).text() == path;
    if (!is_index && segment_path(key, name.base_offset, name.generation).text() != path) {
      return false;
    }
    if (partition == nullptr) return true;
    const std::vector<SegmentInfo>& segments = partition->segments();
    const bool is_named = std::any_of(segments.begin(), segments.end(), [&](const SegmentInfo& s) {
      return s.base_offset == name.base_offset && s.generation == name.generation;
    });
    if (is_named) return false;
    // Of a segment whose batches the crash took: another may begin at the same offset. Or what a
    // compaction made that came to nothing.
    if (is_index || name.generation > 0) return true;
    if (segments.empty()) return false;
    if (name.base_offset < segments.front().base_offset) return true;
    return std::any_of(segments.begin(), segments.end(), [&](const SegmentInfo& s) {
      // A compaction has it in another file now.
      return s.generation > 0 && s.base_offset <= name.base_offset &&
             name.base_offset < s.end_offset;
    });
  }
  const PartitionLog* find(const PartitionKey& key) const {
    for (const auto& log : logs_) {
      if (const PartitionLog* partition = log->find(key)) return partition;
    }
    return nullptr;
  }
  void remove(std::string_view path) {
    remover_.enqueue(FileName(path));
    ++count_;
  }

  const ListDirectory& list_;
  const std::span<const std::unique_ptr<CoreLog>> logs_;
  Remover& remover_;
  std::size_t count_ = 0;
};

}  // namespace

std::size_t sweep(const ListDirectory& list, std::uint64_t generation,
                  std::span<const std::unique_ptr<CoreLog>> logs, Remover& remover) {
  Sweeper sweeper(list, logs, remover);
  sweeper.sweep_wals(generation);
  sweeper.sweep_topics();
  return sweeper.count();
}

}  // namespace tailrace::log
