// Any file in an index's place is refused, or decoded to entries in order that lie in what they
// cover, whatever count it claims; and encodes to itself again.
#include "../support/fuzz_target.h"
#include "base/crc32c.h"
#include "log/index.h"

namespace {

using namespace tailrace;
using namespace tailrace::log;

constexpr std::size_t header_bytes = 64;
constexpr std::size_t entry_bytes = 24;
constexpr std::size_t crc_pos = 32;

// A right CRC, so that the search gets behind it.
void repair(std::vector<std::byte>& bytes) {
  std::uint32_t count = 0;
  std::memcpy(&count, bytes.data() + 12, 4);
  const std::size_t content_bytes = std::size_t{count} * entry_bytes;
  if (content_bytes > bytes.size() - header_bytes) return;
  const std::uint32_t crc = crc32c(Bytes(bytes).subspan(header_bytes, content_bytes),
                                   crc32c(Bytes(bytes).first(crc_pos)));
  std::memcpy(bytes.data() + crc_pos, &crc, 4);
}

void check_searches(const Index& index) {
  for (const IndexEntry& entry : index.entries()) {
    TR_ASSERT(index.at_or_before(entry.base_offset) == entry);
    TR_ASSERT(index.before_timestamp(entry.max_timestamp_before).segment_pos < entry.segment_pos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  std::vector<std::byte> bytes(input.begin(), input.end());
  if (choice % 4 != 0 && bytes.size() >= header_bytes) repair(bytes);
  const auto decoded = Index::decode(bytes, 100);
  if (!decoded) return 0;
  TR_ASSERT(decoded->index.entries().size() * entry_bytes + header_bytes <= bytes.size());
  if (!decoded->index.entries().empty()) {
    TR_ASSERT(decoded->index.entries().back().segment_pos < decoded->covered_bytes);
  }
  check_searches(decoded->index);
  std::vector<std::byte> encoded;
  decoded->index.encode(decoded->covered_bytes, encoded);
  const auto again = Index::decode(encoded, 100);
  TR_ASSERT(again);
  TR_ASSERT(again->index.entries() == decoded->index.entries());
  TR_ASSERT(again->covered_bytes == decoded->covered_bytes);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (const int entry_count : {0, 1, 5, 300}) {
    Index index(100);
    for (int i = 1; i <= entry_count; ++i) {
      index.on_batch(i * 3, 100U * static_cast<unsigned>(i), i % 7);
    }
    std::vector<std::byte> bytes;
    index.encode(1'000'000, bytes);
    for (const char choice : {'\0', '\1'}) seeds.push_back(choice + std::string(as_text(bytes)));
  }
  return seeds;
}
