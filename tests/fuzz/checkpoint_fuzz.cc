// Any file in a checkpoint's place is refused, or decoded to what encodes to the same bytes (unless
// its version is older).
#include "../support/fuzz_target.h"
#include "base/crc32c.h"
#include "log/checkpoint.h"

namespace {

using namespace tailrace;
using namespace tailrace::log;

constexpr std::size_t header_bytes = 24;

// A right length and CRCs, so that the search gets behind them.
void repair(std::vector<std::byte>& bytes) {
  const std::uint64_t content_bytes = bytes.size() - header_bytes;
  std::memcpy(bytes.data() + 8, &content_bytes, 8);
  std::uint32_t crc = crc32c(Bytes(bytes).subspan(header_bytes));
  std::memcpy(bytes.data() + 16, &crc, 4);
  crc = crc32c(Bytes(bytes).first(20));
  std::memcpy(bytes.data() + 20, &crc, 4);
}

Checkpoint some_checkpoint(std::size_t partition_count) {
  Checkpoint checkpoint{.number = 3, .replay_from = {.seq = 4, .file_pos = 8192}};
  for (std::size_t i = 0; i < partition_count; ++i) {
    PartitionCheckpoint partition;
    partition.key.partition = static_cast<std::int32_t>(i);
    partition.segments.resize(i % 3);
    partition.epochs.resize(i % 2);
    partition.producers.resize(i % 3);
    for (ProducerState& producer : partition.producers) producer.batch_count = 5;
    partition.aborted.resize(i % 4);
    checkpoint.partitions.push_back(partition);
  }
  return checkpoint;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  std::vector<std::byte> bytes(input.begin(), input.end());
  if (choice % 4 != 0 && bytes.size() >= header_bytes) repair(bytes);
  const Result<Checkpoint> decoded = decode_checkpoint(bytes);
  if (!decoded) return 0;
  std::vector<std::byte> encoded;
  encode_checkpoint(*decoded, encoded);
  if (std::memcmp(encoded.data() + 4, bytes.data() + 4, 4) != 0) return 0;
  std::uint64_t content_bytes = 0;
  std::memcpy(&content_bytes, bytes.data() + 8, 8);
  TR_ASSERT(encoded.size() >= header_bytes + content_bytes);
  TR_ASSERT(std::memcmp(encoded.data(), bytes.data(), header_bytes + content_bytes) == 0);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (const std::size_t partition_count : {0U, 1U, 6U}) {
    std::vector<std::byte> bytes;
    encode_checkpoint(some_checkpoint(partition_count), bytes);
    seeds.push_back('\0' + std::string(as_text(bytes)));
    // With right CRCs in front the padding counts as content: cut it off.
    std::uint64_t content_bytes = 0;
    std::memcpy(&content_bytes, bytes.data() + 8, 8);
    seeds.push_back('\1' + std::string(as_text(bytes).substr(0, header_bytes + content_bytes)));
  }
  return seeds;
}
