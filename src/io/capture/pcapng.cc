#include "io/capture/pcapng.h"

namespace tailrace::io {
namespace {

enum class BlockType : std::uint32_t {
  section_header = 0x0a0d'0d0a,
  interface_description = 1,
  interface_statistics = 5,
  enhanced_packet = 6,
};

constexpr std::uint32_t byte_order_magic = 0x1a2b'3c4d;
constexpr std::uint16_t link_type_ethernet = 1;
constexpr std::uint8_t nanoseconds_exponent = 9;   // 10^-9 s
// epb_flags: the direction.
constexpr std::uint32_t inbound = 1;
constexpr std::uint32_t outbound = 2;

// Codes of options; each kind of block has its own.
constexpr std::uint16_t end_of_options = 0;
constexpr std::uint16_t section_application = 4;
constexpr std::uint16_t interface_name = 2;
constexpr std::uint16_t interface_time_resolution = 9;
constexpr std::uint16_t packet_flags = 2;
constexpr std::uint16_t statistics_began = 2;
constexpr std::uint16_t statistics_ended = 3;
constexpr std::uint16_t statistics_received = 4;
constexpr std::uint16_t statistics_dropped = 5;

template <class T>
void append(std::string& file, T value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_padded(std::string& file, std::string_view bytes) {
  file.append(bytes);
  file.append(-bytes.size() % 4, '\0');
}

void append_option(std::string& file, std::uint16_t code, std::string_view value) {
  append(file, code);
  append(file, static_cast<std::uint16_t>(value.size()));
  append_padded(file, value);
}

template <class T>
void append_option(std::string& file, std::uint16_t code, T value) {
  append_option(file, code,
                std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
}

// A time in two halves, the higher first whatever the byte order (4.3).
std::uint64_t in_halves(std::int64_t time_ns) {
  const auto time = static_cast<std::uint64_t>(time_ns);
  return time << 32 | time >> 32;
}

// From the block's first byte to its last, whose length is known only then.
class Block {
 public:
  Block(std::string& file, BlockType type) : file_(file), start_(file.size()) {
    append(file_, static_cast<std::uint32_t>(type));
    append(file_, std::uint32_t{0});
  }
  ~Block() {
    append_option(file_, end_of_options, std::string_view());
    const auto size = static_cast<std::uint32_t>(file_.size() + sizeof(std::uint32_t) - start_);
    append(file_, size);
    file_.replace(start_ + sizeof(std::uint32_t), sizeof size,
                  reinterpret_cast<const char*>(&size), sizeof size);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

 private:
  std::string& file_;
  std::size_t start_;
};

}  // namespace

void append_section_header(std::string& file, std::string_view application) {
  const Block block(file, BlockType::section_header);
  append(file, byte_order_magic);
  append(file, std::uint16_t{1});   // the format's version: 1.0
  append(file, std::uint16_t{0});
  append(file, std::int64_t{-1});   // the section's length is not known
  append_option(file, section_application, application);
}

void append_interface(std::string& file, std::string_view name, std::uint32_t snap_bytes) {
  const Block block(file, BlockType::interface_description);
  append(file, link_type_ethernet);
  append(file, std::uint16_t{0});
  append(file, snap_bytes);
  append_option(file, interface_name, name);
  append_option(file, interface_time_resolution, nanoseconds_exponent);
}

void append_packet(std::string& file, std::uint32_t interface, const CapturedFrame& about,
                   Bytes bytes) {
  const Block block(file, BlockType::enhanced_packet);
  append(file, interface);
  append(file, in_halves(about.time_ns));
  append(file, static_cast<std::uint32_t>(bytes.size()));
  append(file, about.original_bytes);
  append_padded(file, as_text(bytes));
  append_option(file, packet_flags, about.is_outbound ? outbound : inbound);
}

void append_statistics(std::string& file, const InterfaceStatistics& statistics) {
  const Block block(file, BlockType::interface_statistics);
  append(file, statistics.interface);
  append(file, in_halves(statistics.ended_ns));
  append_option(file, statistics_began, in_halves(statistics.began_ns));
  append_option(file, statistics_ended, in_halves(statistics.ended_ns));
  append_option(file, statistics_received, statistics.received);
  append_option(file, statistics_dropped, statistics.dropped);
}

}  // namespace tailrace::io
