// Any bytes as a capture that a server sends: counted along, the same in one piece and in many.
#include "../support/fuzz_target.h"
#include "io/capture/pcapng.h"
#include "runtime/capture_command.h"

using namespace tailrace;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::size_t step = fuzz::take_choice(input) + std::size_t{1};
  const std::string_view text = as_text(input);
  runtime::CaptureTally whole;
  whole.add(text);
  runtime::CaptureTally pieces;
  for (std::size_t at = 0; at < text.size(); at += step) pieces.add(text.substr(at, step));
  TR_ASSERT(whole.packets() == pieces.packets());
  TR_ASSERT(whole.dropped() == pieces.dropped());
  TR_ASSERT(whole.is_whole() == pieces.is_whole());
  TR_ASSERT(whole.packets() <= text.size() / 12);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (int packets = 0; packets < 4; ++packets) {
    std::string file(1, static_cast<char>(packets * 7));
    io::append_section_header(file, "fuzz");
    io::append_interface(file, "one", 128);
    for (int i = 0; i < packets; ++i) {
      io::append_packet(file, 0, {.time_ns = i, .original_bytes = 99}, as_bytes("a frame"));
    }
    io::append_statistics(file, {.interface = 0, .dropped = 3});
    seeds.push_back(file);
  }
  return seeds;
}
