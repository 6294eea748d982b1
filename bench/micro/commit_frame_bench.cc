// Sealing a WAL frame: its header, the table of entries behind the payloads, the padding. Once per
// group commit; the payloads themselves are not looked at (their CRC came with the copy).
#include <vector>

#include "base/aligned.h"
#include "log/commit_frame.h"
#include "micro/cycles.h"

namespace tailrace::bench {
namespace {

void frame_seal(benchmark::State& state) {
  constexpr std::size_t payload_bytes = 1024;
  std::vector<log::Entry> entries(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].key.partition = static_cast<std::int32_t>(i);
    entries[i].payload_pos =
        static_cast<std::uint32_t>(log::frame_header_bytes + i * payload_bytes);
    entries[i].payload_bytes = payload_bytes;
  }
  const std::size_t payloads = entries.size() * payload_bytes;
  const std::uint32_t frame_bytes = log::frame_size(payloads, entries.size());
  AlignedBuffer frame(frame_bytes);
  log::FrameHeader header{.seq = 1,
                          .frame_bytes = frame_bytes,
                          .payload_bytes = static_cast<std::uint32_t>(payloads),
                          .entry_count = static_cast<std::uint32_t>(entries.size())};
  const Cycles cycles;
  for (auto _ : state) {
    header.previous_crc = log::seal_frame(frame.bytes(), header, entries);
    ++header.seq;
  }
  cycles.report(state);
}

BENCHMARK(frame_seal)->ArgName("entries")->Arg(1)->Arg(16)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace tailrace::bench
