// A packet capture while it runs: the frames of all cores' devices as the bytes of a pcapng file,
// for as long as was asked. One core is one interface of the file.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/capture/capture_point.h"
#include "io/clock.h"
#include "runtime/admin.h"

namespace tailrace::runtime {

// All headers, at the least; at the most what readers of such files take.
inline constexpr std::int64_t snap_bytes_least = 128;
inline constexpr std::int64_t snap_bytes_most = 262'144;

struct CaptureRequest {
  std::int64_t seconds = 0;           // 0: until the reader goes
  std::int64_t packets_max = 0;       // 0: any number
  std::int64_t snap_bytes = snap_bytes_most;  // kept of each frame: all, unless it says less
};
// From the words of a query. False: `why` says which is none.
bool read_capture_request(const AdminQuery& query, CaptureRequest& request, std::string& why);

struct CaptureSource {
  std::string name;                   // of the interface
  io::CapturePoint* point = nullptr;
};

class CaptureStream final : public AdminStream {
 public:
  // Memory of each core between two looks, there only as long as the capture is: at 10 Gbit/s
  // those of three milliseconds of whole frames, or of ten times as long with a snap length.
  static constexpr std::size_t ring_bytes = std::size_t{4} << 20;

  // Points and clock outlive the object, which listens from here to its end. `place` is kept as
  // long as its memory is there: whoever gave it knows then that another may begin.
  CaptureStream(std::vector<CaptureSource> sources, const CaptureRequest& request,
                io::Clock& clock, std::shared_ptr<const void> place = nullptr);
  ~CaptureStream() override { finish(); }

  std::size_t read(std::span<char> to) override;
  bool has_ended() const override { return has_ended_ && pending_at_ == pending_.size(); }
  // What was captured until now is still read, and the statistics behind it.
  void finish() override;

 private:
  void refill(std::size_t bytes);
  bool append_earliest();
  void append_end();

  const std::vector<CaptureSource> sources_;
  const CaptureRequest request_;
  const std::shared_ptr<const void> place_;
  io::Clock& clock_;
  const Now began_;
  Now finished_;
  std::vector<std::unique_ptr<io::CaptureRing>> rings_;
  std::string pending_;
  std::size_t pending_at_ = 0;
  std::vector<std::byte> frame_;      // room for one
  std::int64_t packets_ = 0;
  bool is_listening_ = true;
  bool has_ended_ = false;
};

}  // namespace tailrace::runtime
