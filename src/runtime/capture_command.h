// `tailrace net capture`: writes what the admin server of a running broker tells of its frames to a
// file, until the time is over, enough were seen, or the user interrupts.
#pragma once

#include <cstdint>
#include <string>

namespace tailrace::runtime {

struct CaptureCommand {
  std::string admin;
  std::string path;               // "-": standard output
  std::int64_t seconds = 0;       // 0: not limited
  std::int64_t packets_max = 0;   // 0: not limited
  std::int64_t snap_bytes = 0;    // 0: whole frames
};
// The path and query for the admin server.
std::string capture_query(const CaptureCommand& command);

// Reads along what is written, block by block.
class CaptureTally {
 public:
  void add(std::string_view bytes);
  std::uint64_t packets() const { return packets_; }
  std::uint64_t dropped() const { return dropped_; }
  // At the end of a block of statistics, as every whole file does.
  bool is_whole() const { return block_.empty() && was_statistics_; }

 private:
  std::string block_;             // begun, as much of it as matters
  std::uint64_t block_left_ = 0;  // of its bytes that have not come, once its head has
  bool was_statistics_ = false;
  std::uint64_t packets_ = 0;
  std::uint64_t dropped_ = 0;
  void on_block();
};

// The exit code. Takes SIGINT and SIGTERM as "that is enough".
int capture_frames(const CaptureCommand& command);

}  // namespace tailrace::runtime
