#include "record/codec.h"

// For the decoder in memory of ours (ZSTD_initStaticDStream): the ordinary one allocates whenever
// a frame asks for a larger window, and again when later frames ask for less.
#define ZSTD_STATIC_LINKING_ONLY
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdlib>

#include "base/assert.h"
#include "record/snappy_block.h"

namespace tailrace::record {
namespace {

constexpr std::size_t stream_window_bytes = 65536;
constexpr std::size_t lz4_block_bytes = 65536;  // LZ4F_max64KB
// Zstandard's own limit for decoders, and what Java's compressor asks for at level 22.
constexpr std::size_t zstd_window_bytes_max = std::size_t{1} << 27;

// "\x82SNAPPY\0", then two big-endian int32: version and lowest compatible version, both 1.
constexpr unsigned char xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t xerial_header_bytes = 16;

// Memory for zlib, whose hooks it is given through: taken once, never given back singly.
class ZlibMemory {
 public:
  explicit ZlibMemory(std::size_t bytes)
      : memory_(std::make_unique_for_overwrite<std::byte[]>(bytes)), size_(bytes) {}

  void attach(z_stream& stream) {
    stream = {};
    stream.opaque = this;
    stream.zalloc = [](void* self, uInt items, uInt size) {
      return static_cast<ZlibMemory*>(self)->take(std::size_t{items} * size);
    };
    stream.zfree = [](void*, void*) {};
  }

 private:
  void* take(std::size_t bytes) {
    const std::size_t rounded = (bytes + 15) / 16 * 16;
    if (rounded > size_ - used_) return nullptr;
    void* at = memory_.get() + used_;
    used_ += rounded;
    return at;
  }

  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_;
  std::size_t used_ = 0;
};

// zlib's notes (zconf.h): inflate needs 32 KiB and about 7 KiB, deflate 256 KiB and a little.
constexpr std::size_t inflate_memory_bytes = 65536;
constexpr std::size_t deflate_memory_bytes = 400 * 1024;
constexpr int gzip_window_bits = 15 + 16;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

Bytef* zlib_bytes(Bytes bytes) {  // zlib reads only, but its pointer is not const.
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

LZ4F_preferences_t lz4_preferences(LZ4F_blockSizeID_t block_size, int level) {
  LZ4F_preferences_t preferences{};  // As Kafka's Java client: no checksums, no content size.
  preferences.frameInfo.blockSizeID = block_size;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level;
  preferences.autoFlush = 1;
  return preferences;
}

}  // namespace

struct Decoder::State {
  explicit State(std::size_t bytes_max) : decompressed_bytes_max(bytes_max) {}

  std::size_t decompressed_bytes_max;
  std::unique_ptr<std::byte[]> memory;
  Codec codec = Codec::none;
  Bytes rest;                 // input not yet taken
  std::size_t produced = 0;
  bool is_xerial = false;
  bool frame_open = true;     // false after the end of a gzip member or an lz4 or zstd frame

  ZlibMemory zlib_memory{inflate_memory_bytes};
  z_stream inflating{};
  LZ4F_dctx* lz4 = nullptr;
  std::unique_ptr<std::byte, Free> zstd_memory;
  ZSTD_DStream* zstd = nullptr;

  bool reset_zstd();
  void warm_lz4();
  void reset_lz4();
  Result<std::size_t> next_gzip(MutableBytes room);
  Result<std::size_t> next_snappy(MutableBytes room);
  Result<std::size_t> next_lz4(MutableBytes room);
  Result<std::size_t> next_zstd(MutableBytes room);
};

Decoder::Decoder(std::size_t decompressed_bytes_max)
    : state_(std::make_unique<State>(decompressed_bytes_max)) {
  State& s = *state_;
  // One byte more than allowed, so that too much can be told from just enough.
  s.memory = std::make_unique_for_overwrite<std::byte[]>(
      std::max(decompressed_bytes_max + 1, stream_window_bytes));
  s.zlib_memory.attach(s.inflating);
  TR_ASSERT(inflateInit2(&s.inflating, gzip_window_bits) == Z_OK);
  s.warm_lz4();
}

Decoder::~Decoder() { LZ4F_freeDecompressionContext(state_->lz4); }

// Reads an empty frame of the largest blocks, so that the context takes its buffers now.
void Decoder::State::warm_lz4() {
  TR_ASSERT(!LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)));
  LZ4F_cctx* writer = nullptr;
  TR_ASSERT(!LZ4F_isError(LZ4F_createCompressionContext(&writer, LZ4F_VERSION)));
  char frame[64];
  const LZ4F_preferences_t preferences = lz4_preferences(LZ4F_max4MB, 0);
  const std::size_t head = LZ4F_compressBegin(writer, frame, sizeof frame, &preferences);
  TR_ASSERT(!LZ4F_isError(head));
  const std::size_t tail = LZ4F_compressEnd(writer, frame + head, sizeof frame - head, nullptr);
  TR_ASSERT(!LZ4F_isError(tail));
  LZ4F_freeCompressionContext(writer);
  char out[1];
  std::size_t out_size = sizeof out;
  std::size_t in_size = head + tail;
  TR_ASSERT(LZ4F_decompress(lz4, out, &out_size, frame, &in_size, nullptr) == 0);
}

// LZ4F_resetDecompressionContext (1.9.4) forgets to forget the content size: after a frame that
// announced one and broke off, the next frame without one is called too short, and all after it,
// so that one client could spoil lz4 for all others. An empty frame that announces a size of zero
// overwrites it; tests/fuzz/batch_check_fuzz.cc found this.
void Decoder::State::reset_lz4() {
  constexpr unsigned char empty_frame[] = {0x04, 0x22, 0x4d, 0x18, 0x68, 0x40, 0, 0, 0, 0,
                                           0,    0,    0,    0,    0x05, 0,    0, 0, 0};
  LZ4F_resetDecompressionContext(lz4);
  char out[1];
  std::size_t out_size = sizeof out;
  std::size_t in_size = sizeof empty_frame;
  TR_ASSERT(LZ4F_decompress(lz4, out, &out_size, empty_frame, &in_size, nullptr) == 0);
  TR_ASSERT(in_size == sizeof empty_frame);
}

Result<void> Decoder::start(std::uint8_t codec_bits, Bytes compressed) {
  State& s = *state_;
  if (codec_bits < 1 || codec_bits > 4) return fail(Errc::unsupported_codec);
  s.codec = static_cast<Codec>(codec_bits);
  s.rest = compressed;
  s.produced = 0;
  s.frame_open = true;
  switch (s.codec) {
    case Codec::none: break;  // Refused above.
    case Codec::gzip: inflateReset(&s.inflating); break;
    case Codec::snappy:
      s.is_xerial = compressed.size() >= xerial_header_bytes &&
                    std::memcmp(compressed.data(), xerial_magic, sizeof xerial_magic) == 0;
      if (!s.is_xerial) break;
      if (load_be<std::int32_t>(compressed.data() + 8) < 1) return fail(Errc::corrupt);
      s.rest = compressed.subspan(xerial_header_bytes);
      break;
    case Codec::lz4: {
      s.reset_lz4();
      // Java's reader, so every Java consumer, takes only version 1 with independent blocks and
      // without a dictionary; what it cannot read is refused here rather than there.
      constexpr auto flags_mask = std::byte{0xe3};
      constexpr auto flags_wanted = std::byte{0x60};
      if (compressed.size() < 7) return fail(Errc::corrupt);
      if ((compressed[4] & flags_mask) != flags_wanted) return fail(Errc::corrupt);
      break;
    }
    case Codec::zstd:
      if (!s.reset_zstd()) return fail(Errc::unsupported_codec);
      break;
  }
  return {};
}

bool Decoder::State::reset_zstd() {
  if (zstd == nullptr) {
    const std::size_t bytes = ZSTD_estimateDStreamSize(zstd_window_bytes_max);
    zstd_memory.reset(static_cast<std::byte*>(std::malloc(bytes)));
    if (zstd_memory == nullptr) return false;
    zstd = ZSTD_initStaticDStream(zstd_memory.get(), bytes);
    TR_ASSERT(zstd != nullptr);
  }
  ZSTD_DCtx_reset(zstd, ZSTD_reset_session_only);
  return true;
}

Result<std::size_t> Decoder::next(MutableBytes room) {
  State& s = *state_;
  TR_ASSERT(!room.empty());
  TR_ASSERT(s.produced <= s.decompressed_bytes_max);
  const std::size_t allowed = s.decompressed_bytes_max - s.produced;
  const MutableBytes bounded = room.first(std::min(room.size(), allowed + 1));
  Result<std::size_t> made = 0;
  switch (s.codec) {
    case Codec::none: return fail(Errc::unsupported_codec);
    case Codec::gzip: made = s.next_gzip(bounded); break;
    case Codec::snappy: made = s.next_snappy(bounded); break;
    case Codec::lz4: made = s.next_lz4(bounded); break;
    case Codec::zstd: made = s.next_zstd(bounded); break;
  }
  if (!made) return made;
  if (*made > allowed) return fail(Errc::too_large);
  s.produced += *made;
  return made;
}

MutableBytes Decoder::window() {
  State& s = *state_;
  // A snappy block is made whole; the others go through a window that stays in the cache.
  const bool whole = s.codec == Codec::snappy;
  return {s.memory.get(), whole ? s.decompressed_bytes_max + 1 : stream_window_bytes};
}

MutableBytes Decoder::memory() {
  return {state_->memory.get(), state_->decompressed_bytes_max + 1};
}

// Several members in a row are one stream, as for Java's GZIPInputStream.
Result<std::size_t> Decoder::State::next_gzip(MutableBytes room) {
  inflating.next_out = reinterpret_cast<Bytef*>(room.data());
  inflating.avail_out = static_cast<uInt>(room.size());
  while (inflating.avail_out == room.size()) {
    if (!frame_open) {
      if (rest.empty()) return 0;
      inflateReset(&inflating);
      frame_open = true;
    }
    inflating.next_in = zlib_bytes(rest);
    inflating.avail_in = static_cast<uInt>(rest.size());
    const int told = inflate(&inflating, Z_NO_FLUSH);
    rest = rest.last(inflating.avail_in);
    if (told == Z_STREAM_END) {
      frame_open = false;
    } else if (told != Z_OK) {
      return fail(Errc::corrupt);  // Z_BUF_ERROR too: the input ends before the stream does.
    }
  }
  return room.size() - inflating.avail_out;
}

Result<std::size_t> Decoder::State::next_snappy(MutableBytes room) {
  while (!rest.empty()) {
    std::size_t block_bytes = rest.size();
    if (is_xerial) {
      if (rest.size() < 4) return fail(Errc::corrupt);
      const auto size = load_be<std::uint32_t>(rest.data());
      rest = rest.subspan(4);
      if (size > rest.size()) return fail(Errc::corrupt);
      block_bytes = size;
    }
    const auto* block = reinterpret_cast<const char*>(rest.data());
    rest = rest.subspan(block_bytes);
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(block, block_bytes, &size)) return fail(Errc::corrupt);
    if (size > room.size()) return fail(Errc::too_large);
    if (!snappy::RawUncompress(block, block_bytes, reinterpret_cast<char*>(room.data()))) {
      return fail(Errc::corrupt);
    }
    if (size > 0) return size;
  }
  return 0;
}

// One frame and nothing behind it.
Result<std::size_t> Decoder::State::next_lz4(MutableBytes room) {
  while (frame_open) {
    std::size_t out_size = room.size();
    std::size_t in_size = rest.size();
    const std::size_t told =
        LZ4F_decompress(lz4, room.data(), &out_size, rest.data(), &in_size, nullptr);
    if (LZ4F_isError(told)) return fail(Errc::corrupt);
    rest = rest.subspan(in_size);
    if (told == 0) {
      frame_open = false;
      if (!rest.empty()) return fail(Errc::corrupt);
    }
    if (out_size > 0) return out_size;
    if (frame_open && in_size == 0) return fail(Errc::corrupt);  // The input ends too early.
  }
  return 0;
}

Result<std::size_t> Decoder::State::next_zstd(MutableBytes room) {
  if (!frame_open && rest.empty()) return 0;
  ZSTD_outBuffer out{room.data(), room.size(), 0};
  while (out.pos == 0) {
    ZSTD_inBuffer in{rest.data(), rest.size(), 0};
    const std::size_t told = ZSTD_decompressStream(zstd, &out, &in);
    if (ZSTD_isError(told)) return fail(Errc::corrupt);
    rest = rest.subspan(in.pos);
    frame_open = told != 0;
    if (!frame_open && rest.empty()) break;
    if (frame_open && in.pos == 0 && out.pos == 0) return fail(Errc::corrupt);  // Ends too early.
  }
  return out.pos;
}

struct Encoder::State {
  ZlibMemory zlib_memory{deflate_memory_bytes};
  z_stream deflating{};
  LZ4F_cctx* lz4 = nullptr;
  ZSTD_CCtx* zstd = nullptr;
  SnappyBlockWriter snappy;

  Result<std::size_t> gzip(std::int32_t level, Bytes plain, MutableBytes room);
  Result<std::size_t> snappy_xerial(Bytes plain, MutableBytes room);
  Result<std::size_t> lz4_frame(std::int32_t level, Bytes plain, MutableBytes room);
  Result<std::size_t> zstd_frame(std::int32_t level, Bytes plain, MutableBytes room);
};

Encoder::Encoder() : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.zlib_memory.attach(s.deflating);
  TR_ASSERT(deflateInit2(&s.deflating, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, 8,
                         Z_DEFAULT_STRATEGY) == Z_OK);
  TR_ASSERT(!LZ4F_isError(LZ4F_createCompressionContext(&s.lz4, LZ4F_VERSION)));
  s.zstd = ZSTD_createCCtx();
  TR_ASSERT(s.zstd != nullptr);
}

Encoder::~Encoder() {
  LZ4F_freeCompressionContext(state_->lz4);
  ZSTD_freeCCtx(state_->zstd);
}

std::size_t Encoder::bound(std::size_t plain_bytes) {
  // Snappy is the worst: a sixth more, and its blocks' heads. The rest is headers and rounding.
  return plain_bytes + plain_bytes / 5 + 4096;
}

Result<std::size_t> Encoder::compress(Codec codec, std::int32_t level, Bytes plain,
                                      MutableBytes room) {
  State& s = *state_;
  switch (codec) {
    case Codec::none: break;
    case Codec::gzip: return s.gzip(level, plain, room);
    case Codec::snappy: return s.snappy_xerial(plain, room);
    case Codec::lz4: return s.lz4_frame(level, plain, room);
    case Codec::zstd: return s.zstd_frame(level, plain, room);
  }
  return fail(Errc::unsupported_codec);
}

Result<std::size_t> Encoder::State::gzip(std::int32_t level, Bytes plain, MutableBytes room) {
  deflateReset(&deflating);
  deflating.next_in = zlib_bytes(plain);
  deflating.avail_in = static_cast<uInt>(plain.size());
  deflating.next_out = reinterpret_cast<Bytef*>(room.data());
  deflating.avail_out = static_cast<uInt>(room.size());
  const int level_used = level <= 0 ? Z_DEFAULT_COMPRESSION : std::min(level, 9);
  TR_ASSERT(deflateParams(&deflating, level_used, Z_DEFAULT_STRATEGY) == Z_OK);
  if (deflate(&deflating, Z_FINISH) != Z_STREAM_END) return fail(Errc::too_large);
  return room.size() - deflating.avail_out;
}

Result<std::size_t> Encoder::State::snappy_xerial(Bytes plain, MutableBytes room) {
  constexpr std::size_t block_bytes_max = SnappyBlockWriter::block_bytes_max;
  if (room.size() < xerial_header_bytes) return fail(Errc::too_large);
  std::memcpy(room.data(), xerial_magic, sizeof xerial_magic);
  store_be(room.data() + 8, std::int32_t{1});
  store_be(room.data() + 12, std::int32_t{1});
  std::size_t size = xerial_header_bytes;
  while (!plain.empty()) {
    const Bytes block = plain.first(std::min(plain.size(), block_bytes_max));
    plain = plain.subspan(block.size());
    if (room.size() - size < 4 + SnappyBlockWriter::bound(block.size())) {
      return fail(Errc::too_large);
    }
    const std::size_t packed = snappy.compress(block, room.data() + size + 4);
    store_be(room.data() + size, static_cast<std::uint32_t>(packed));
    size += 4 + packed;
  }
  return size;
}

Result<std::size_t> Encoder::State::lz4_frame(std::int32_t level, Bytes plain,
                                              MutableBytes room) {
  // Kafka's default level, 9, means lz4's fast compressor there; others, from 1 to 17, its thorough
  // one (HC), which begins at 3 in this library and ends at 12: it takes more for 12 itself.
  constexpr std::int32_t kafka_default = 9;
  const bool fast = level <= 0 || level == kafka_default;
  const int level_used = fast ? 0 : std::clamp(level, 3, LZ4F_compressionLevel_max());
  const LZ4F_preferences_t preferences = lz4_preferences(LZ4F_max64KB, level_used);
  std::size_t size = LZ4F_compressBegin(lz4, room.data(), room.size(), &preferences);
  if (LZ4F_isError(size)) return fail(Errc::too_large);
  // Block by block: the library wants room for the worst of all that it is given at once.
  while (!plain.empty()) {
    const Bytes block = plain.first(std::min(plain.size(), lz4_block_bytes));
    plain = plain.subspan(block.size());
    const std::size_t body = LZ4F_compressUpdate(lz4, room.data() + size, room.size() - size,
                                                 block.data(), block.size(), nullptr);
    if (LZ4F_isError(body)) return fail(Errc::too_large);
    size += body;
  }
  const std::size_t tail =
      LZ4F_compressEnd(lz4, room.data() + size, room.size() - size, nullptr);
  if (LZ4F_isError(tail)) return fail(Errc::too_large);
  return size + tail;
}

Result<std::size_t> Encoder::State::zstd_frame(std::int32_t level, Bytes plain,
                                               MutableBytes room) {
  // Levels below 0 are its own fast ones; 0 is its default, as ours.
  const int level_used = std::clamp(level, ZSTD_minCLevel(), ZSTD_maxCLevel());
  ZSTD_CCtx_reset(zstd, ZSTD_reset_session_only);
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level_used);
  const std::size_t size =
      ZSTD_compress2(zstd, room.data(), room.size(), plain.data(), plain.size());
  if (ZSTD_isError(size)) return fail(Errc::too_large);
  return size;
}

}  // namespace tailrace::record
