// A segment file may hold anything at all: the dump says so, the same in whatever pieces it is
// fed, and never calls more bytes good than there are.
#include "../support/fuzz_target.h"
#include "../support/raw_batch.h"
#include "log/dump_segment.h"

namespace {

using namespace tailrace;
using namespace tailrace::log;

struct Dumped {
  std::string text;
  std::uint64_t good_bytes = 0;
};

Dumped dump(Bytes bytes, std::size_t piece_bytes) {
  Dumped dumped;
  SegmentDump dump(0, [&](std::string_view line) { dumped.text += line; });
  const std::size_t all_bytes = bytes.size();
  while (!bytes.empty()) {
    const std::size_t size = std::min(piece_bytes, bytes.size());
    dump.feed(bytes.first(size));
    bytes = bytes.subspan(size);
  }
  dump.finish();
  dumped.good_bytes = dump.good_bytes();
  TR_ASSERT(dumped.good_bytes <= all_bytes);
  return dumped;
}

// What is called good is whole batches with right CRCs.
void check_good(Bytes bytes) {
  while (!bytes.empty()) {
    const auto batch = record::parse_batch(bytes);
    TR_ASSERT(batch);
    TR_ASSERT(record::crc_matches(batch->bytes));
    bytes = bytes.subspan(batch->bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::size_t piece_bytes = 1 + std::size_t{fuzz::take_choice(input)};
  const Dumped whole = dump(input, input.size() + 1);
  TR_ASSERT(dump(input, piece_bytes).text == whole.text);
  check_good(input.first(whole.good_bytes));
  (void)dump_index(input, [](std::string_view) {});
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::string segment;
  for (int i = 0; i < 4; ++i) {
    segment += as_text(test::make_raw_batch({.base_offset = i * 2, .record_count = 2}));
  }
  const std::string padding(500, '\0');
  return {'\7' + segment, '\100' + segment + padding, '\40' + segment.substr(0, 350)};
}
