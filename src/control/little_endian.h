// Reading and writing the control plane's disk formats: little-endian numbers and counted
// strings. The reader remembers its first failure, so that decoders check once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/uuid.h"

namespace tailrace::control {

static_assert(std::endian::native == std::endian::little);

class LittleWriter {
 public:
  explicit LittleWriter(std::vector<std::byte>& out) : out_(out) {}
  template <std::integral T>
  void number(T value) {
    raw({reinterpret_cast<const std::byte*>(&value), sizeof(T)});
  }
  void raw(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void uuid(const Uuid& id) { raw(std::as_bytes(std::span(id.bytes))); }
  // At most 64 KiB - 1.
  void text(std::string_view value) {
    number(static_cast<std::uint16_t>(value.size()));
    raw(as_bytes(value));
  }

 private:
  std::vector<std::byte>& out_;
};

class LittleReader {
 public:
  explicit LittleReader(Bytes bytes) : rest_(bytes) {}
  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }
  Bytes rest() const { return rest_; }
  void fail_now() {
    failed_ = true;
    rest_ = {};
  }
  template <std::integral T>
  T number() {
    T value{};
    const Bytes bytes = take(sizeof(T));
    if (!failed_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  Bytes take(std::uint64_t size) {
    if (size > rest_.size()) return fail_now(), Bytes{};
    const Bytes taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  Uuid uuid() {
    Uuid id;
    const Bytes bytes = take(id.bytes.size());
    if (!failed_) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
    return id;
  }
  std::string text() { return std::string(as_text(take(number<std::uint16_t>()))); }
  // A count of things that take at least `bytes_min` each.
  std::uint32_t count(std::size_t bytes_min) {
    const auto value = number<std::uint32_t>();
    if (value > rest_.size() / bytes_min) return fail_now(), 0;
    return value;
  }

 private:
  Bytes rest_;
  bool failed_ = false;
};

}  // namespace tailrace::control
