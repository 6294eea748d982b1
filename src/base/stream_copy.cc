#include "base/stream_copy.h"

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tailrace {

#if defined(__SSE2__)

namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::size_t stream_bytes_min = 1024;  // below, the fence costs more than it saves

}  // namespace

void stream_copy(std::byte* to, Bytes from) {
  if (from.size() < stream_bytes_min) {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
    return;
  }
  // Streaming stores want their alignment, and whole lines: half a line costs a read of memory.
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(to) % line_bytes;
  const std::size_t head = (line_bytes - misaligned) % line_bytes;
  std::memcpy(to, from.data(), head);
  to += head;
  from = from.subspan(head);
  while (from.size() >= line_bytes) {
    const auto* source = reinterpret_cast<const __m128i*>(from.data());
    const __m128i a = _mm_loadu_si128(source);
    const __m128i b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2);
    const __m128i d = _mm_loadu_si128(source + 3);
    auto* target = reinterpret_cast<__m128i*>(to);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
    to += line_bytes;
    from = from.subspan(line_bytes);
  }
  std::memcpy(to, from.data(), from.size());
  _mm_sfence();  // Streaming stores are not ordered with others by themselves.
}

#else

void stream_copy(std::byte* to, Bytes from) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

#endif

}  // namespace tailrace
