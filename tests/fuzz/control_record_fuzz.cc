// A control batch of any bytes: read without harm, and what is read is what its bytes say.
#include <array>
#include <vector>

#include "../support/fuzz_target.h"
#include "record/control_record.h"

using namespace tailrace;
using namespace tailrace::record;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = fuzz::input_bytes(data, size);
  const std::size_t key_bytes = size / 2;
  (void)parse_marker(bytes.first(key_bytes), bytes.subspan(key_bytes));

  // As records of a batch whose header fits.
  std::vector<std::byte> whole(marker_batch_bytes + size);
  store_marker_batch(whole, {.producer_id = 1, .producer_epoch = 0});
  const Result<BatchView> one = parse_batch(whole);
  TR_ASSERT(one.has_value());
  BatchHeader header = one->header;
  whole.resize(header_bytes);
  whole.insert(whole.end(), bytes.begin(), bytes.end());
  header.batch_length = static_cast<std::int32_t>(whole.size() - length_prefix_bytes);
  store_header(whole, header);
  const Result<BatchView> batch = parse_batch(whole);
  TR_ASSERT(batch.has_value());
  const Result<TransactionMarker> found = marker_of(*batch);
  if (!found) return 0;
  std::array<std::byte, marker_batch_bytes> again;
  store_marker_batch(again, {.producer_id = 1, .producer_epoch = 0, .marker = *found});
  const Result<TransactionMarker> reread = marker_of(*parse_batch(again));
  TR_ASSERT(reread.has_value());
  TR_ASSERT(*reread == *found);
  return 0;
}

std::vector<std::string> fuzz::seeds() {
  std::array<std::byte, marker_batch_bytes> batch;
  std::vector<std::string> seeds;
  for (const bool is_commit : {true, false}) {
    store_marker_batch(batch, {.producer_id = 1, .producer_epoch = 0, .marker = {is_commit, 7}});
    seeds.emplace_back(as_text(Bytes(batch).subspan(header_bytes)));
  }
  return seeds;
}
