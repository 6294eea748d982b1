#include "log/segment.h"

#include <fmt/format.h>

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

FileName path_with(const PartitionKey& key, std::int64_t base_offset, std::string_view ending) {
  TR_ASSERT(base_offset >= 0);
  return formatted("topics/{}/{}-{}/{:020}{}", view(to_text(key.topic)), key.partition,
                   key.incarnation, base_offset, ending);
}

}  // namespace

FileName topic_directory(const Uuid& topic) { return formatted("topics/{}", view(to_text(topic))); }

FileName partition_directory(const PartitionKey& key) {
  return formatted("topics/{}/{}-{}", view(to_text(key.topic)), key.partition, key.incarnation);
}

FileName segment_path(const PartitionKey& key, std::int64_t base_offset) {
  return path_with(key, base_offset, ".log");
}

FileName index_path(const PartitionKey& key, std::int64_t base_offset) {
  return path_with(key, base_offset, ".index");
}

std::int64_t base_offset_of_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (name.size() < base_offset_digits) return -1;
  const std::string_view ending = name.substr(base_offset_digits);
  if (ending != ".log" && ending != ".index") return -1;

  std::int64_t offset = 0;
  for (const char digit : name.substr(0, base_offset_digits)) {
    if (digit < '0' || digit > '9') return -1;
    // A name is bytes from the disk: 20 digits can be more than an offset holds.
    if (__builtin_mul_overflow(offset, 10, &offset)) return -1;
    if (__builtin_add_overflow(offset, digit - '0', &offset)) return -1;
  }
  return offset;
}

}  // namespace tailrace::log
