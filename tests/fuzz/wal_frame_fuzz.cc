// A WAL may hold anything at all: a frame is refused or every entry of it is in bounds, and a scan
// of a whole ring ends in an answer.
#include "../support/fake_disk.h"
#include "../support/fuzz_target.h"
#include "../support/raw_batch.h"
#include "log/commit_frame.h"
#include "log/wal_scanner.h"

namespace {

using namespace tailrace;
using namespace tailrace::log;

void repair_word(std::vector<std::byte>& bytes, std::size_t at, Bytes covered) {
  const std::uint32_t crc = crc32c(covered);
  std::memcpy(bytes.data() + at, &crc, 4);
}

// Right CRCs of table and header, so that the search gets behind them.
void repair(std::vector<std::byte>& frame) {
  std::uint32_t payload_bytes = 0;
  std::uint32_t entry_count = 0;
  std::memcpy(&payload_bytes, frame.data() + 36, 4);
  std::memcpy(&entry_count, frame.data() + 40, 4);
  const std::size_t table_pos = frame_header_bytes + std::size_t{payload_bytes};
  const std::size_t table_bytes = std::size_t{entry_count} * frame_entry_bytes;
  if (table_pos + table_bytes <= frame.size()) {
    repair_word(frame, 56, Bytes(frame).subspan(table_pos, table_bytes));
  }
  repair_word(frame, 60, Bytes(frame).first(60));
}

void check_one_frame(std::vector<std::byte> frame, bool repaired) {
  if (frame.size() < frame_header_bytes) return;
  if (repaired) repair(frame);
  const Result<FrameHeader> header = parse_frame_header(frame);
  if (!header || header->frame_bytes > frame.size()) return;
  TR_ASSERT(header->frame_bytes % disk_block_bytes == 0);
  if (!check_frame(frame, *header)) return;
  std::size_t payload_end = frame_header_bytes;
  for (std::uint32_t i = 0; i < header->entry_count; ++i) {
    const Entry entry = frame_entry(frame, *header, i);
    TR_ASSERT(entry.payload_pos == payload_end);
    payload_end += entry.payload_bytes;
    if (entry.kind != EntryKind::batch) continue;
    const Bytes payload = Bytes(frame).subspan(entry.payload_pos, entry.payload_bytes);
    TR_ASSERT(record::parse_batch(payload)->header.size_bytes() == payload.size());
    TR_ASSERT(record::crc_matches(payload));
  }
  TR_ASSERT(payload_end == frame_header_bytes + header->payload_bytes);
}

void scan(Bytes content) {
  Limits limits;
  limits.frame_bytes_max = 16U << 10;
  const std::size_t ring_bytes = round_up(content.size() + 1, disk_block_bytes);
  std::vector<std::byte> file(disk_block_bytes + ring_bytes);
  std::memcpy(file.data() + disk_block_bytes, content.data(), content.size());
  WalFormatBlock format{.ring_bytes = ring_bytes};
  format.wal.bytes.fill(7);
  test::FakeDisk disk;
  disk.put("w", std::move(file));
  OpQueue queue;
  WalScanner scanner(limits, disk.open_now("w"), format, {}, queue);
  std::uint64_t expected_seq = 1;
  while (scanner.state() == WalScanner::State::reading ||
         scanner.state() == WalScanner::State::frame) {
    if (scanner.state() == WalScanner::State::frame) {
      TR_ASSERT(scanner.header().seq == expected_seq);
      TR_ASSERT(scanner.frame().size() == scanner.header().frame_bytes);
      ++expected_seq;
      scanner.next();
    }
    disk.take_all(queue);
    if (scanner.state() == WalScanner::State::reading) scanner.on_disk_done(disk.complete(0));
  }
  TR_ASSERT(scanner.mark().seq == expected_seq);
}

// A ring with so many frames of one batch and one log start each.
std::string frames(std::uint64_t count, std::size_t record_bytes) {
  std::string ring;
  std::uint32_t previous_crc = 0;
  for (std::uint64_t seq = 1; seq <= count; ++seq) {
    const auto batch = test::make_raw_batch(
        {.base_offset = static_cast<std::int64_t>(seq), .record_bytes = record_bytes});
    FrameHeader header{.seq = seq,
                       .frame_bytes = frame_size(batch.size(), 2),
                       .payload_bytes = static_cast<std::uint32_t>(batch.size()),
                       .entry_count = 2,
                       .previous_crc = previous_crc,
                       .durable_seq = seq - 1};
    header.wal.bytes.fill(7);
    const auto batch_end = static_cast<std::uint32_t>(frame_header_bytes + batch.size());
    const Entry entries[] = {{.base_offset = static_cast<std::int64_t>(seq),
                              .payload_pos = frame_header_bytes,
                              .payload_bytes = header.payload_bytes,
                              .payload_crc = record::parse_header(batch)->crc},
                             {.kind = EntryKind::log_start, .payload_pos = batch_end}};
    std::vector<std::byte> frame(header.frame_bytes);
    std::memcpy(frame.data() + frame_header_bytes, batch.data(), batch.size());
    previous_crc = seal_frame(frame, header, entries);
    ring += as_text(frame);
  }
  return ring;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  if (choice % 4 == 0) {
    scan(input);
  } else {
    check_one_frame({input.begin(), input.end()}, choice % 4 != 1);
  }
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (const char choice : {'\0', '\1', '\2'}) {
    seeds.push_back(choice + frames(1, 10));
    seeds.push_back(choice + frames(3, 5000));
  }
  return seeds;
}
