// Compression of a batch's records, both ways, with contexts and memory made once.
//
// The problem: a client chooses what it sends, so decompression must be bounded in memory and in
// ratio, and must not allocate on a data core. So everything is streamed through room that the
// caller gives, and stops at `decompressed_bytes_max`. Two codecs want more than a small window:
// a raw snappy block can only be made whole, and a zstd frame may look back 128 MiB. Their memory
// is reserved once, for zstd with its first frame, and touched only as far as a batch's content
// goes.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch_view.h"

namespace tailrace::record {

// Not for two threads at a time.
class Decoder {
 public:
  explicit Decoder(std::size_t decompressed_bytes_max);
  ~Decoder();

  // Starts on a batch's records, which stay the caller's and must outlive the reading.
  // Errors: unsupported_codec (none is not one of them either, and zstd without memory for it is
  // not); corrupt (a bad first header).
  Result<void> start(std::uint8_t codec_bits, Bytes compressed);

  // Puts the next bytes into `room` and returns how many; zero is the end, all input was used.
  // Errors: corrupt; too_large (more than decompressed_bytes_max in sum, or a snappy block that
  // is larger than `room`). After an error only start() may follow.
  Result<std::size_t> next(MutableBytes room);

  // Room that suits next() for walking: large enough for any block this decoder lets pass.
  MutableBytes window();
  // All of this object's memory: room for a whole batch's records, where window() is the front.
  MutableBytes memory();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Not for two threads at a time.
class Encoder {
 public:
  Encoder();
  ~Encoder();

  // No more room than this is ever needed.
  static std::size_t bound(std::size_t plain_bytes);
  // With so much more room than a result takes it is found to fit: some codecs ask for the room
  // that the worst of their next block would take.
  static constexpr std::size_t slack_bytes = std::size_t{128} << 10;

  // Compresses `plain` into `room` and returns the size; `codec` is not none. A level of 0 is the
  // codec's default; others as Kafka's compression.<codec>.level, silently brought into range.
  // Errors: too_large when it does not fit.
  Result<std::size_t> compress(Codec codec, std::int32_t level, Bytes plain, MutableBytes room);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace::record
