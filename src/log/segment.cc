#include "log/segment.h"

#include <fmt/format.h>

#include <charconv>

namespace tailrace::log {

namespace {

constexpr std::size_t base_offset_digits = 20;

template <class... Args>
FileName formatted(fmt::format_string<Args...> format, Args&&... args) {
  char text[FileName::bytes_max];
  const auto end = fmt::format_to_n(text, sizeof text, format, std::forward<Args>(args)...);
  TR_ASSERT(end.size <= sizeof text);
  return FileName(std::string_view(text, end.size));
}

std::string_view view(const std::array<char, 22>& text) { return {text.data(), text.size()}; }

FileName path_with(const PartitionKey& key, std::int64_t base_offset, std::uint32_t generation,
                   std::string_view ending) {
  TR_ASSERT(base_offset >= 0);
  char number[16] = {};
  if (generation > 0) *fmt::format_to(number, "-{}", generation) = '\0';
  return formatted("topics/{}/{}-{}/{:020}{}{}", view(to_text(key.topic)), key.partition,
                   key.incarnation, base_offset, static_cast<const char*>(number), ending);
}

}  // namespace

FileName topic_directory(const Uuid& topic) { return formatted("topics/{}", view(to_text(topic))); }

FileName partition_directory(const PartitionKey& key) {
  return formatted("topics/{}/{}-{}", view(to_text(key.topic)), key.partition, key.incarnation);
}

FileName segment_path(const PartitionKey& key, std::int64_t base_offset,
                      std::uint32_t generation) {
  return path_with(key, base_offset, generation, ".log");
}

FileName index_path(const PartitionKey& key, std::int64_t base_offset, std::uint32_t generation) {
  return path_with(key, base_offset, generation, ".index");
}

SegmentName segment_name_of_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (name.size() < base_offset_digits) return {};
  SegmentName found{.base_offset = 0};
  for (const char digit : name.substr(0, base_offset_digits)) {
    if (digit < '0' || digit > '9') return {};
    // A name is bytes from the disk: 20 digits can be more than an offset holds.
    if (__builtin_mul_overflow(found.base_offset, 10, &found.base_offset)) return {};
    if (__builtin_add_overflow(found.base_offset, digit - '0', &found.base_offset)) return {};
  }
  std::string_view ending = name.substr(base_offset_digits);
  if (ending.starts_with('-')) {
    const auto [end, error] =
        std::from_chars(ending.data() + 1, ending.data() + ending.size(), found.generation);
    if (error != std::errc{} || found.generation == 0 || ending[1] == '0') return {};
    ending = {end, static_cast<std::size_t>(ending.data() + ending.size() - end)};
  }
  if (ending != ".log" && ending != ".index") return {};
  return found;
}

std::int64_t base_offset_of_path(std::string_view path) {
  return segment_name_of_path(path).base_offset;
}

}  // namespace tailrace::log
