#include "control/transaction_records.h"

#include <array>

#include "control/record_bytes.h"
#include "kafka/wire.h"

namespace tailrace::control {
namespace {

constexpr std::int16_t key_version = 0;
constexpr std::int16_t value_version = 1;
constexpr std::int16_t first_flexible = 1;

constexpr std::uint64_t previous_id_tag = 0;
constexpr std::uint64_t next_id_tag = 1;
constexpr std::uint64_t client_version_tag = 2;

struct Named {
  TransactionState state;
  std::string_view text;
};
constexpr std::array<Named, 8> names = {{
    {TransactionState::empty, "Empty"},
    {TransactionState::ongoing, "Ongoing"},
    {TransactionState::prepare_commit, "PrepareCommit"},
    {TransactionState::prepare_abort, "PrepareAbort"},
    {TransactionState::complete_commit, "CompleteCommit"},
    {TransactionState::complete_abort, "CompleteAbort"},
    {TransactionState::dead, "Dead"},
    {TransactionState::prepare_epoch_fence, "PrepareEpochFence"},
}};

// Partitions lie topic by topic: the set is in this order.
template <class EachTopic>
void visit_topics(const std::set<NamedPartition>& partitions, EachTopic each) {
  for (auto at = partitions.begin(); at != partitions.end();) {
    auto end = at;
    std::int64_t count = 0;
    for (; end != partitions.end() && end->topic == at->topic; ++end) ++count;
    each(at, end, count);
    at = end;
  }
}

void write_partitions(kafka::Writer& out, const TransactionRecord& record) {
  // As Kafka writes it: null is "none" in this one state.
  if (record.state == TransactionState::empty) return out.array_count(-1, true);
  std::int64_t topics = 0;
  visit_topics(record.partitions, [&](auto, auto, std::int64_t) { ++topics; });
  out.array_count(topics, true);
  visit_topics(record.partitions, [&](auto first, auto end, std::int64_t count) {
    out.string(first->topic, true);
    out.array_count(count, true);
    for (; first != end; ++first) out.integer(first->partition);
    out.uvarint(0);
  });
}

template <std::integral T>
void write_tag(kafka::Writer& out, std::uint64_t tag, T value) {
  out.uvarint(tag);
  out.uvarint(sizeof(T));
  out.integer(value);
}

void write_value(kafka::Writer& out, const TransactionRecord& record) {
  out.integer(value_version);
  out.integer(record.producer_id);
  out.integer(record.producer_epoch);
  out.integer(record.timeout_ms);
  out.integer(static_cast<std::int8_t>(record.state));
  write_partitions(out, record);
  out.integer(record.update_ms);
  out.integer(record.start_ms);
  const bool has_previous = record.previous_producer_id != -1;
  const bool has_next = record.next_producer_id != -1;
  const bool has_version = record.client_version != 0;
  out.uvarint((has_previous ? 1U : 0U) + (has_next ? 1U : 0U) + (has_version ? 1U : 0U));
  if (has_previous) write_tag(out, previous_id_tag, record.previous_producer_id);
  if (has_next) write_tag(out, next_id_tag, record.next_producer_id);
  if (has_version) write_tag(out, client_version_tag, record.client_version);
}

void read_partitions(kafka::Reader& in, bool flexible, std::set<NamedPartition>& partitions) {
  for (std::int64_t topics = in.array_count(flexible); topics > 0 && !in.failed(); --topics) {
    const std::string topic(in.string(flexible));
    for (std::int64_t left = in.array_count(flexible); left > 0 && !in.failed(); --left) {
      partitions.insert({topic, in.integer<std::int32_t>()});
    }
    if (flexible) in.skip_tags();
  }
}

void read_tags(kafka::Reader& in, TransactionRecord& record) {
  for (std::uint64_t left = in.uvarint(); left > 0 && !in.failed(); --left) {
    const std::uint64_t tag = in.uvarint();
    kafka::Reader field(in.take(in.uvarint()));
    if (tag == previous_id_tag) record.previous_producer_id = field.integer<std::int64_t>();
    if (tag == next_id_tag) record.next_producer_id = field.integer<std::int64_t>();
    if (tag == client_version_tag) record.client_version = field.integer<std::int16_t>();
    if (field.failed()) in.fail_with(Errc::malformed);
  }
}

}  // namespace

std::string_view to_text(TransactionState state) {
  for (const Named& named : names) {
    if (named.state == state) return named.text;
  }
  return "Unknown";
}

std::optional<TransactionState> transaction_state_of(std::string_view text) {
  for (const Named& named : names) {
    if (named.text == text) return named.state;
  }
  return std::nullopt;
}

ByteString encode_transaction_key(std::string_view transactional_id) {
  return encoded([&](kafka::Writer& out) {
    out.integer(key_version);
    out.string(transactional_id, false);
  });
}

ByteString encode_transaction_value(const TransactionRecord& record) {
  return encoded([&](kafka::Writer& out) { write_value(out, record); });
}

Result<std::string_view> parse_transaction_key(Bytes bytes) {
  kafka::Reader in(bytes);
  const auto version = in.integer<std::int16_t>();
  if (!in.failed() && version != key_version) {
    return fail(version < 0 ? Errc::malformed : Errc::unsupported);
  }
  const std::string_view id = in.string(false);
  if (in.failed()) return fail(in.error());
  return id;
}

Result<TransactionRecord> parse_transaction_value(Bytes bytes) {
  kafka::Reader in(bytes);
  const auto version = in.integer<std::int16_t>();
  if (in.failed()) return fail(in.error());
  if (version < 0) return fail(Errc::malformed);
  if (version > value_version) return fail(Errc::unsupported);
  const bool flexible = version >= first_flexible;
  TransactionRecord record;
  record.producer_id = in.integer<std::int64_t>();
  record.producer_epoch = in.integer<std::int16_t>();
  record.timeout_ms = in.integer<std::int32_t>();
  const auto state = in.integer<std::int8_t>();
  read_partitions(in, flexible, record.partitions);
  record.update_ms = in.integer<std::int64_t>();
  record.start_ms = in.integer<std::int64_t>();
  if (flexible) read_tags(in, record);
  if (in.failed()) return fail(in.error());
  if (state < 0 || state > static_cast<std::int8_t>(TransactionState::prepare_epoch_fence)) {
    return fail(Errc::malformed);
  }
  record.state = static_cast<TransactionState>(state);
  return record;
}

}  // namespace tailrace::control
