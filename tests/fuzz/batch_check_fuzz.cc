// A client's batch, under every set of rules. The CRC is not looked at: it was checked before.
#include <cstring>

#include "../support/fuzz_target.h"
#include "record/batch_builder.h"
#include "record/batch_check.h"

namespace {

using namespace tailrace;
using namespace tailrace::record;

constexpr std::size_t decompressed_bytes_max = 1 << 18;
constexpr std::int64_t wall_ms = 1'700'000'000'000;
constexpr std::int8_t codec_max = 4;

// A batch that passed is found again, and passes in any other codec with the same outcome.
void check_promises(BatchChecker& checker, const BatchView& batch, const BatchRules& rules,
                    const CheckedBatch& checked) {
  TR_ASSERT(checked.max_timestamp_delta >= 0);
  TR_ASSERT(checked.max_timestamp_delta <= batch.header.last_offset_delta);
  if (!rules.log_append_time) {
    // What a client says of its base offset may be below 0.
    const Result<FoundRecord> found =
        checker.find_timestamp(batch, checked.max_timestamp, INT64_MIN);
    TR_ASSERT(found);
    TR_ASSERT(found->timestamp == checked.max_timestamp);
    TR_ASSERT(found->offset == batch.header.base_offset + checked.max_timestamp_delta);
  }
  if (batch.bytes.size() > decompressed_bytes_max) return;
  const Result<Bytes> made = checker.with_codec(batch, rules);
  TR_ASSERT(made);
  const Result<BatchView> again = parse_batch(*made);
  TR_ASSERT(again);
  TR_ASSERT(rules.compression < 0 || again->header.codec_bits() == rules.compression);
  const Result<CheckedBatch> rechecked = checker.check(*again, rules, wall_ms);
  TR_ASSERT(rechecked);
  TR_ASSERT(rechecked->max_timestamp == checked.max_timestamp);
  TR_ASSERT(rechecked->max_timestamp_delta == checked.max_timestamp_delta);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static BatchChecker checker(decompressed_bytes_max);
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t flags = fuzz::take_choice(input);
  const std::uint8_t codec = fuzz::take_choice(input);
  BatchRules rules;
  rules.log_append_time = (flags & 1) != 0;
  rules.keys_required = (flags & 2) != 0;
  if ((flags & 4) != 0) rules.timestamp_before_ms_max = 3'600'000;
  if ((flags & 8) != 0) rules.timestamp_after_ms_max = INT64_MAX;
  rules.compression = static_cast<std::int8_t>(codec % (codec_max + 2) - 1);

  const Result<BatchView> batch = parse_batch(input);
  if (!batch) return 0;
  const Result<CheckedBatch> checked = checker.check(*batch, rules, wall_ms);
  if (checked) check_promises(checker, *batch, rules, *checked);
  (void)checker.find_timestamp(*batch, wall_ms);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  BatchBuilder builder(1 << 18);
  const std::string large(100'000, 'x');
  const NewHeader headers[] = {{"trace", "id"}, {"empty", nullptr}};
  for (int kind = 0; kind < 4; ++kind) {
    for (int codec = 0; codec <= codec_max; ++codec) {
      builder.start({.producer_id = kind == 1 ? 7 : -1, .producer_epoch = 0, .base_sequence = 0});
      TR_ASSERT(builder.add({.timestamp = wall_ms, .key = "key", .value = "value"}));
      if (kind >= 1) {
        TR_ASSERT(builder.add({.timestamp = wall_ms - 5, .value = "v", .headers = headers}));
      }
      for (int i = 0; kind == 2 && i < 40; ++i) {
        TR_ASSERT(builder.add({.timestamp = wall_ms + i, .key = "k", .value = "some value"}));
      }
      if (kind == 3) TR_ASSERT(builder.add({.value = std::string_view(large)}));
      if (kind == 3 && codec == 0) continue;  // Larger than an input may be.
      const Result<Bytes> made = builder.finish(static_cast<Codec>(codec));
      std::string seed = {static_cast<char>(kind * 4 + codec), static_cast<char>(kind + codec)};
      seed += as_text(*made);
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}
