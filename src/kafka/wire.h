// The primitive types of Kafka's protocol (KIP-482 for the flexible forms), read from received
// bytes and written into given ones. Both sides remember their first failure, so that generated
// codecs read straight through and check once at the end.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "base/varint.h"

namespace tailrace::kafka {

// A string that may be null. Made from a string_view or from nullptr.
struct NullableString {
  std::string_view value;
  bool null = true;

  NullableString() = default;
  NullableString(std::nullptr_t) {}                                     // NOLINT
  NullableString(std::string_view text) : value(text), null(false) {}  // NOLINT
  NullableString(const char* text) : value(text), null(false) {}       // NOLINT
  bool is_null() const { return null; }
  friend bool operator==(const NullableString&, const NullableString&) = default;
};

// Bytes that may be null.
struct NullableBytes {
  Bytes value;
  bool null = true;

  NullableBytes() = default;
  NullableBytes(std::nullptr_t) {}                          // NOLINT
  NullableBytes(Bytes bytes) : value(bytes), null(false) {}  // NOLINT
  bool is_null() const { return null; }
};

// An array that may be null.
template <class T>
struct NullableArray {
  std::span<T> items;
  bool null = true;

  NullableArray() = default;
  NullableArray(std::span<T> elements) : items(elements), null(false) {}  // NOLINT
  bool is_null() const { return null; }
};

class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  bool failed() const { return failed_; }
  Error error() const { return error_; }
  Bytes rest() const { return rest_; }
  void fail_with(Errc code) {
    if (!failed_) error_ = {code};
    failed_ = true;
    rest_ = {};
  }

  template <std::integral T>
  T integer() {
    if (rest_.size() < sizeof(T)) return fail_with(Errc::truncated), T{};
    const T value = load_be<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  bool boolean() { return integer<std::int8_t>() != 0; }
  double float64() { return std::bit_cast<double>(integer<std::uint64_t>()); }
  Uuid uuid() {
    Uuid id;
    const Bytes bytes = take(16);
    if (!failed_) std::memcpy(id.bytes.data(), bytes.data(), 16);
    return id;
  }
  std::uint64_t uvarint() {
    const Result<std::uint64_t> value = take_uvarint(rest_);
    if (!value) return fail_with(value.error().code), 0;
    return *value;
  }

  NullableString nullable_string(bool flexible) {
    const std::int64_t size = flexible ? compact_size() : integer<std::int16_t>();
    if (failed_ || size == -1) return nullptr;
    if (size < 0) return fail_with(Errc::malformed), nullptr;
    return as_text(take(static_cast<std::uint64_t>(size)));
  }
  std::string_view string(bool flexible) { return not_null(nullable_string(flexible)).value; }

  NullableBytes nullable_bytes(bool flexible) {
    const std::int64_t size = flexible ? compact_size() : integer<std::int32_t>();
    if (failed_ || size == -1) return nullptr;
    if (size < 0) return fail_with(Errc::malformed), nullptr;
    return take(static_cast<std::uint64_t>(size));
  }
  Bytes bytes(bool flexible) { return not_null(nullable_bytes(flexible)).value; }

  // The element count of an array, -1 for null. Never more than the bytes left could hold.
  std::int64_t array_count(bool flexible) {
    const std::int64_t count = flexible ? compact_size() : integer<std::int32_t>();
    if (failed_) return -1;
    if (count < -1 || count > static_cast<std::int64_t>(rest_.size())) {
      return fail_with(Errc::malformed), -1;
    }
    return count;
  }
  // Room for an array of `count` in `arena`; fails with too_large when there is none.
  template <class T>
  std::span<T> allocate(Arena& arena, std::int64_t count) {
    if (count <= 0) return {};
    const std::span<T> items = arena.allocate<T>(static_cast<std::size_t>(count));
    if (items.empty()) fail_with(Errc::too_large);
    return items;
  }
  template <class T>
  const T& not_null(const T& value) {
    if (!failed_ && value.is_null()) fail_with(Errc::malformed);
    return value;
  }

  Bytes take(std::uint64_t size) {
    if (size > rest_.size()) return fail_with(Errc::truncated), Bytes{};
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  void skip_tags() {
    for (std::uint64_t count = uvarint(); count > 0 && !failed_; --count) {
      uvarint();
      take(uvarint());
    }
  }

 private:
  std::int64_t compact_size() {
    const std::uint64_t size = uvarint();
    if (size > (std::uint64_t{1} << 31)) return fail_with(Errc::malformed), -1;
    return static_cast<std::int64_t>(size) - 1;
  }

  Bytes rest_;
  bool failed_ = false;
  Error error_{Errc::truncated};
};

// Bytes that are sent from where they lie, spliced in before position `at` of the written bytes.
struct Splice {
  std::size_t at = 0;
  Bytes bytes;
};

class Writer {
 public:
  // Writes into `buffer`. Record bytes are spliced by reference while `splices` has room, and
  // copied after that.
  explicit Writer(MutableBytes buffer, std::span<Splice> splices = {})
      : buffer_(buffer), splices_(splices) {}
  // Writes nothing and only counts.
  static Writer counter() {
    Writer writer({});
    writer.counting_ = true;
    return writer;
  }

  bool overflowed() const { return overflowed_; }
  // What was written into the buffer, splices not counted.
  std::size_t size() const { return size_; }
  MutableBytes written() const { return buffer_.first(size_); }
  std::span<const Splice> splices() const { return splices_.first(splice_count_); }
  std::size_t total_size() const { return size_ + spliced_bytes_; }
  // Was an error code written that is not 0?
  bool has_error() const { return has_error_; }

  template <std::integral T>
  void integer(T value) {
    if (std::byte* to = room(sizeof(T))) store_be(to, value);
  }
  void boolean(bool value) { integer(static_cast<std::int8_t>(value)); }
  void error_code(std::int16_t code) {
    integer(code);
    if (code != 0) has_error_ = true;
  }
  void float64(double value) { integer(std::bit_cast<std::uint64_t>(value)); }
  void uuid(const Uuid& id) {
    raw({reinterpret_cast<const std::byte*>(id.bytes.data()), id.bytes.size()});
  }
  void uvarint(std::uint64_t value) {
    if (std::byte* to = room(uvarint_size(value))) store_uvarint(to, value);
  }
  void raw(Bytes bytes) {
    std::byte* to = room(bytes.size());
    if (to != nullptr && !bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  }

  void nullable_string(const NullableString& text, bool flexible) {
    if (flexible) {
      uvarint(text.null ? 0 : text.value.size() + 1);
    } else {
      integer(static_cast<std::int16_t>(text.null ? -1 : static_cast<int>(text.value.size())));
    }
    raw(as_bytes(text.value));
  }
  void string(std::string_view text, bool flexible) { nullable_string(text, flexible); }

  void nullable_bytes(const NullableBytes& bytes, bool flexible) {
    bytes_size(bytes, flexible);
    raw(bytes.value);
  }
  void bytes(Bytes value, bool flexible) { nullable_bytes(value, flexible); }
  // As nullable_bytes, but large content is spliced.
  void records(const NullableBytes& bytes, bool flexible) {
    bytes_size(bytes, flexible);
    if (bytes.value.empty() || splice_count_ == splices_.size()) return raw(bytes.value);
    splices_[splice_count_++] = {size_, bytes.value};
    spliced_bytes_ += bytes.value.size();
  }

  // -1 for null.
  void array_count(std::int64_t count, bool flexible) {
    if (flexible) {
      uvarint(static_cast<std::uint64_t>(count + 1));
    } else {
      integer(static_cast<std::int32_t>(count));
    }
  }

 private:
  void bytes_size(const NullableBytes& bytes, bool flexible) {
    if (flexible) {
      uvarint(bytes.null ? 0 : bytes.value.size() + 1);
    } else {
      integer(bytes.null ? -1 : static_cast<std::int32_t>(bytes.value.size()));
    }
  }
  // Null when counting or when the buffer has overflowed.
  std::byte* room(std::size_t bytes) {
    if (counting_) {
      size_ += bytes;
      return nullptr;
    }
    if (overflowed_ || bytes > buffer_.size() - size_) {
      overflowed_ = true;
      return nullptr;
    }
    std::byte* at = buffer_.data() + size_;
    size_ += bytes;
    return at;
  }

  MutableBytes buffer_;
  std::span<Splice> splices_;
  std::size_t splice_count_ = 0;
  std::size_t spliced_bytes_ = 0;
  std::size_t size_ = 0;
  bool overflowed_ = false;
  bool counting_ = false;
  bool has_error_ = false;
};

}  // namespace tailrace::kafka
