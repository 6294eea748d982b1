#include "record/record_iterator.h"

#include <algorithm>

#include "base/varint.h"

namespace tailrace::record {
namespace {

// Bytes of one record's body that lie in a row. After a failure nothing is left to read and every
// number is 0, so that parsing needs to check only now and then.
class FlatCursor {
 public:
  FlatCursor(const std::byte* at, std::uint32_t size) : at_(at), end_(at + size) {}

  bool failed() const { return failed_; }
  std::uint64_t left() const { return static_cast<std::uint64_t>(end_ - at_); }
  const std::byte* place() const { return at_; }
  void give_up() {
    failed_ = true;
    at_ = end_;
  }
  std::uint8_t byte() {
    if (at_ == end_) return give_up(), std::uint8_t{0};
    return static_cast<std::uint8_t>(*at_++);
  }
  void skip(std::uint32_t size) {
    if (size > left()) return give_up();
    at_ += size;
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
  bool failed_ = false;
};

// Kafka's readers take at most 5 and 10 bytes. What does not fit the number is refused.
template <class Number, class Cursor>
Number take_zigzag(Cursor& in) {
  std::uint64_t value = in.byte();
  if (value >= 0x80) {
    value &= 0x7f;
    constexpr int bits = sizeof(Number) * 8;
    int shift = 7;
    for (;; shift += 7) {
      if (shift >= bits) return in.give_up(), Number{0};
      const std::uint64_t byte = in.byte();
      const std::uint64_t low = byte & 0x7f;
      if (bits - shift < 7 && (low >> (bits - shift)) != 0) return in.give_up(), Number{0};
      value |= low << shift;
      if (byte < 0x80) break;
    }
  }
  return static_cast<Number>(zigzag_decoded(value));
}

// A length of -1 is null, below that is nothing Kafka writes.
template <class Cursor>
std::int32_t take_field(Cursor& in, std::int32_t size_min, const std::byte*& place) {
  const auto size = take_zigzag<std::int32_t>(in);
  if (size < size_min) return in.give_up(), -1;
  place = in.place();
  if (size > 0) in.skip(static_cast<std::uint32_t>(size));
  return size;
}

// True when the body is a record and nothing but that.
template <class Cursor>
bool parse_body(Cursor& in, RecordFields& record) {
  in.skip(1);  // Attributes.
  record.timestamp_delta = take_zigzag<std::int64_t>(in);
  record.offset_delta = take_zigzag<std::int32_t>(in);
  record.key_size = take_field(in, -1, record.key);
  record.value_size = take_field(in, -1, record.value);
  record.header_count = take_zigzag<std::int32_t>(in);
  if (in.failed() || record.header_count < 0) return false;
  // A header has two bytes at least: a count beyond that is refused before it is looped over.
  if (static_cast<std::uint64_t>(record.header_count) * 2 > in.left()) return false;
  if (in.place() != nullptr) record.headers = {in.place(), static_cast<std::size_t>(in.left())};
  const std::byte* place = nullptr;
  for (std::int32_t i = 0; i < record.header_count && !in.failed(); ++i) {
    take_field(in, 0, place);
    take_field(in, -1, place);
  }
  return !in.failed() && in.left() == 0;
}

}  // namespace

// The same as FlatCursor over pieces; `left` counts what the record's length still allows.
struct RecordIterator::StreamCursor {
  RecordIterator& in;
  std::uint64_t bytes_left;
  bool bad = false;

  bool failed() const { return bad; }
  std::uint64_t left() const { return bytes_left; }
  const std::byte* place() const { return nullptr; }
  void give_up() {
    bad = true;
    bytes_left = 0;
  }
  std::uint8_t byte() {
    if (bytes_left == 0 || (in.at_ == in.end_ && !in.refill())) return give_up(), std::uint8_t{0};
    --bytes_left;
    return static_cast<std::uint8_t>(*in.at_++);
  }
  void skip(std::uint32_t size) {
    if (size > bytes_left) return give_up();
    bytes_left -= size;
    while (size > 0) {
      if (in.at_ == in.end_ && !in.refill()) return give_up();
      const auto step = std::min<std::size_t>(size, static_cast<std::size_t>(in.end_ - in.at_));
      in.at_ += step;
      size -= static_cast<std::uint32_t>(step);
    }
  }
};

Result<RecordFields> RecordIterator::next() {
  std::int32_t body_bytes = 0;
  const auto piece_bytes = static_cast<std::uint64_t>(end_ - at_);
  if (piece_bytes >= 5 || decoder_ == nullptr) {
    FlatCursor head(at_, static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes, 5)));
    body_bytes = take_zigzag<std::int32_t>(head);
    if (head.failed()) return fail(Errc::malformed);
    at_ = head.place();
  } else {
    StreamCursor head{*this, 5};
    body_bytes = take_zigzag<std::int32_t>(head);
    if (head.failed()) return fail(error_);
  }
  if (body_bytes < 0) return fail(Errc::malformed);
  const auto size = static_cast<std::uint32_t>(body_bytes);
  if (size > static_cast<std::uint64_t>(end_ - at_)) return next_in_pieces(size);

  RecordFields record;
  FlatCursor body(at_, size);
  if (!parse_body(body, record)) return fail(Errc::malformed);
  at_ += size;
  return record;
}

Result<RecordFields> RecordIterator::next_in_pieces(std::uint32_t body_bytes) {
  if (decoder_ == nullptr) return fail(Errc::malformed);
  RecordFields record;
  StreamCursor body{*this, body_bytes};
  if (!parse_body(body, record)) return fail(error_);
  return record;
}

Result<void> RecordIterator::finish() {
  if (at_ != end_) return fail(Errc::malformed);
  if (decoder_ == nullptr) return {};
  const Result<std::size_t> more = decoder_->next(decoder_->window());
  if (!more) return fail(more.error());
  if (*more > 0) return fail(Errc::malformed);
  return {};
}

// False at the end of the bytes, and after an error of the decoder, which is kept.
bool RecordIterator::refill() {
  if (decoder_ == nullptr) return false;
  const MutableBytes window = decoder_->window();
  const Result<std::size_t> made = decoder_->next(window);
  if (!made) {
    error_ = made.error();
    decoder_ = nullptr;  // Only start() may follow an error.
    return false;
  }
  at_ = window.data();
  end_ = at_ + *made;
  return *made > 0;
}

}  // namespace tailrace::record
