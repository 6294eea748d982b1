#include "checkers/records.h"

#include <map>

namespace tailrace::sim {

void RecordCheckers::note(const char* promise, std::uint32_t partition, std::int64_t offset,
                          std::int64_t number) {
  PartitionHistory& p = history_.partitions[partition];
  if (history_.topic_of(p).deleting) return;
  SentRecord& record = history_.records[static_cast<std::size_t>(number)];
  if (record.seen_offset >= 0 && record.seen_offset != offset) {
    verdicts_.broken("no_duplicate", "{}: record {} is at offset {} and at {}",
                     history_.name_of(partition), number, record.seen_offset, offset);
    return;
  }
  record.seen_offset = offset;
  const auto at = static_cast<std::size_t>(offset);
  if (p.known.size() <= at) p.known.resize(at + 1, -1);
  if (p.known[at] >= 0 && p.known[at] != number) {
    const SentRecord& other = history_.records[static_cast<std::size_t>(p.known[at])];
    verdicts_.broken(other.acked_offset == offset ? "acked_is_durable" : promise,
                     "{}: offset {} held record {}, now {}", history_.name_of(partition), offset,
                     p.known[at], number);
    return;
  }
  p.known[at] = number;
}

void RecordCheckers::on_acked(std::span<const std::uint32_t> numbers, std::int64_t base_offset) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    SentRecord& record = history_.records[numbers[i]];
    const std::int64_t offset = base_offset + static_cast<std::int64_t>(i);
    if (record.acked_offset >= 0 && record.acked_offset != offset) {
      verdicts_.broken("no_duplicate", "{}: record {} acknowledged at {} and at {}",
                       history_.name_of(record.partition), numbers[i], record.acked_offset, offset);
      continue;
    }
    record.acked_offset = offset;
    note("acked_is_durable", record.partition, offset, numbers[i]);
  }
}

std::int64_t RecordCheckers::check_content(std::uint32_t partition, const SeenRecord& seen) {
  const std::int64_t number = record_number(seen.value);
  if (number < 0 || static_cast<std::size_t>(number) >= history_.records.size()) {
    verdicts_.broken("acked_is_durable", "{}: offset {} holds {} bytes that nobody sent",
                     history_.name_of(partition), seen.offset, seen.value.size());
    return -1;
  }
  const SentRecord& record = history_.records[static_cast<std::size_t>(number)];
  if (record.partition != partition) {
    verdicts_.broken("acked_is_durable", "{}: offset {} holds record {} of {}",
                     history_.name_of(partition), seen.offset, number,
                     history_.name_of(record.partition));
    return -1;
  }
  if (record.value_bytes != seen.value.size() || record.timestamp_ms != seen.timestamp_ms) {
    verdicts_.broken("acked_is_durable", "{}: offset {}, record {}: not byte-equal",
                     history_.name_of(partition), seen.offset, number);
    return -1;
  }
  return number;
}

std::int64_t RecordCheckers::on_read(std::uint32_t partition, std::int64_t position,
                                     std::span<const SeenRecord> records) {
  PartitionHistory& p = history_.partitions[partition];
  std::int64_t expected = -1;
  for (const SeenRecord& seen : records) {
    if (expected >= 0 ? seen.offset != expected : seen.offset > position) {
      verdicts_.broken("offsets_dense", "{}: asked for offset {}, got {} where {} was due",
                       history_.name_of(partition), position, seen.offset,
                       expected >= 0 ? expected : position);
    }
    expected = seen.offset + 1;
    const std::int64_t number = check_content(partition, seen);
    if (number >= 0) note("reads_stay", partition, seen.offset, number);
  }
  if (expected > p.read_end) p.read_end = expected;
  return expected > position ? expected : position;
}

void RecordCheckers::on_final(std::uint32_t partition, std::int64_t log_start, std::int64_t end,
                              std::span<const SeenRecord> seen) {
  PartitionHistory& p = history_.partitions[partition];
  if (history_.topic_of(p).deleting) return;
  (void)on_read(partition, log_start, seen);
  std::vector<std::int64_t> numbers;
  for (const SeenRecord& record : seen) {
    const std::int64_t number = record_number(record.value);
    if (number >= 0 && record.offset >= log_start) numbers.push_back(number);
  }
  check_order(partition, numbers);
  if (end < p.read_end) {
    verdicts_.broken("reads_stay", "{}: consumers saw up to {}, but the log ends at {}",
                     history_.name_of(partition), p.read_end, end);
  }
  const std::int64_t seen_end = seen.empty() ? log_start : seen.back().offset + 1;
  if (seen_end != end) {
    verdicts_.broken("offsets_dense", "{}: the log ends at {}, but reading stops at {}",
                     history_.name_of(partition), end, seen_end);
  }
  for (auto at = static_cast<std::size_t>(std::max(seen_end, log_start)); at < p.known.size();
       ++at) {
    if (p.known[at] < 0) continue;
    const SentRecord& record = history_.records[static_cast<std::size_t>(p.known[at])];
    verdicts_.broken(record.acked_offset >= 0 ? "acked_is_durable" : "reads_stay",
                     "{}: record {} at offset {} is gone; the log ends at {}",
                     history_.name_of(partition), p.known[at], at, end);
    return;
  }
}

void RecordCheckers::check_order(std::uint32_t partition, std::span<const std::int64_t> numbers) {
  struct Last {
    std::uint32_t stream = 0;
    std::uint32_t number = 0;
    bool any = false;
  };
  std::map<std::uint32_t, Last> last_of;  // by producer
  for (const std::int64_t number : numbers) {
    const SentRecord& record = history_.records[static_cast<std::size_t>(number)];
    Last& last = last_of[record.producer];
    const bool comparable = last.any && (record.idempotent || last.stream == record.stream);
    if (comparable && record.number <= last.number) {
      verdicts_.broken("order", "{}: producer {}: record {} comes after {}",
                       history_.name_of(partition), record.producer, record.number, last.number);
      return;
    }
    if (comparable && record.idempotent && record.number != last.number + 1) {
      verdicts_.broken("order", "{}: producer {}: record {} follows {}, with a gap",
                       history_.name_of(partition), record.producer, record.number, last.number);
      return;
    }
    last = {record.stream, record.number, true};
  }
}

}  // namespace tailrace::sim
