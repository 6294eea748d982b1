// Any frame: parsed or counted as dropped, never more; whatever goes out is a whole frame.
#include "../support/fuzz_target.h"
#include "../support/net_fuzz_host.h"

namespace {

using namespace tailrace;

std::string text_of(const std::vector<std::byte>& frame) {
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  fuzz::NetHost host;
  host.on_frame = [](const TxFrame& frame) {
    // The shortest is an echo reply, whose body is payload.
    TR_ASSERT(frame.header_bytes >= net::ethernet_bytes + net::ipv4_bytes + 4);
    TR_ASSERT(frame.size() <= 1514);
  };
  // A byte of length in front of each frame; lengths of 255 go to the end.
  while (!input.empty()) {
    const bool checksum_good = (fuzz::take_choice(input) & 1) != 0;
    std::size_t length = fuzz::take_choice(input);
    if (length == 255 || length > input.size()) length = input.size();
    host.give({input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length)}, checksum_good);
    input = input.subspan(length);
    host.now = host.now + milliseconds(1);
  }
  host.finish();
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (const bool is_v6 : {false, true}) {
    net::TcpHeader header{.destination_port = own_port, .seq = {1}, .flags = net::tcp_flag::syn,
                          .window = 1000};
    header.options.mss = 1400;
    header.options.has_timestamp = true;
    const std::string syn = text_of(segment_frame(is_v6, header, {}));
    seeds.push_back(std::string("\x01") + static_cast<char>(syn.size()) + syn);
  }
  return seeds;
}
