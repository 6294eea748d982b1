// A log-linear histogram (the idea of HdrHistogram): every power of two is cut into 128 equal
// buckets, so that a value read back is at most 1/128 (0.8 %) above the one recorded, over all of
// 64 bits, in 58 KiB that never grow. Values below 256 are exact.
//
// One writer. Histogram is for that thread alone; SharedHistogram may be read by any thread while
// it is written (base/counter.h), and costs the writer nothing more.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/counter.h"

namespace tailrace {

template <class Cell>
class BasicHistogram {
 public:
  BasicHistogram() : cells_(std::make_unique<Cell[]>(bucket_count)) {}

  void record(std::uint64_t value, std::uint64_t times = 1) {
    if (times == 0) return;
    add(cells_[bucket_of(value)], times);
    add(count_, times);
    add(sum_, value * times);
    if (value > max()) store(max_, value);
    // Kept as its complement, so that zero, the start, means "nothing yet".
    if (~value > load(min_complement_)) store(min_complement_, ~value);
  }

  std::uint64_t count() const { return load(count_); }
  std::uint64_t sum() const { return load(sum_); }  // Modulo 2^64.
  std::uint64_t max() const { return load(max_); }
  // Zero when nothing was recorded.
  std::uint64_t min() const { return count() == 0 ? 0 : ~load(min_complement_); }
  double mean() const {
    return count() == 0 ? 0 : static_cast<double>(sum()) / static_cast<double>(count());
  }

  // The smallest bucket's end that at least `percent` of the values (0 to 100) do not exceed,
  // never above max(); zero when nothing was recorded.
  std::uint64_t percentile(double percent) const {
    const std::uint64_t total = count();
    if (total == 0) return 0;
    // Divided last: 0.999 * 50000 would land above 49950 and the rank be one too high.
    const double wanted =
        std::ceil(std::clamp(percent, 0.0, 100.0) * static_cast<double>(total) / 100.0);
    const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += load(cells_[i]);
      if (seen >= rank) return std::min(last_value_of(i), max());
    }
    return max();  // A reader beside the writer may see the count before the cell.
  }

  // Adds what `other` has recorded.
  template <class OtherCell>
  void merge(const BasicHistogram<OtherCell>& other) {
    if (other.count() == 0) return;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      if (const std::uint64_t times = other.times_in(i); times > 0) add(cells_[i], times);
    }
    add(count_, other.count());
    add(sum_, other.sum());
    if (other.max() > max()) store(max_, other.max());
    if (~other.min() > load(min_complement_)) store(min_complement_, ~other.min());
  }

  void clear() {
    for (std::size_t i = 0; i < bucket_count; ++i) cells_[i] = Cell{};
    count_ = sum_ = max_ = min_complement_ = Cell{};
  }

  // For writers of reports: the buckets in order of value.
  static constexpr int linear_bits = 7;
  static constexpr std::size_t bucket_count = (64 - linear_bits + 1) << linear_bits;
  std::uint64_t times_in(std::size_t bucket) const { return load(cells_[bucket]); }
  // The largest value that falls into `bucket`.
  static constexpr std::uint64_t last_value_of(std::size_t bucket) {
    if (bucket < (std::size_t{2} << linear_bits)) return bucket;
    const auto shift = static_cast<int>(bucket >> linear_bits) - 1;
    const std::uint64_t top = (bucket & ((std::size_t{1} << linear_bits) - 1)) +
                              (std::uint64_t{1} << linear_bits);
    return (top << shift) + ((std::uint64_t{1} << shift) - 1);
  }
  static constexpr std::size_t bucket_of(std::uint64_t value) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - linear_bits - 1);
    return (static_cast<std::size_t>(shift) << linear_bits) +
           static_cast<std::size_t>(value >> shift);
  }

 private:
  static std::uint64_t load(std::uint64_t cell) { return cell; }
  static std::uint64_t load(const Counter& cell) { return cell.load(); }
  static void add(std::uint64_t& cell, std::uint64_t amount) { cell += amount; }
  static void add(Counter& cell, std::uint64_t amount) { cell.add(amount); }
  static void store(std::uint64_t& cell, std::uint64_t value) { cell = value; }
  static void store(Counter& cell, std::uint64_t value) { cell.add(value - cell.load()); }

  std::unique_ptr<Cell[]> cells_;
  Cell count_{};
  Cell sum_{};
  Cell max_{};
  Cell min_complement_{};
};

using Histogram = BasicHistogram<std::uint64_t>;
using SharedHistogram = BasicHistogram<Counter>;

static_assert(Histogram::bucket_of(UINT64_MAX) + 1 == Histogram::bucket_count);
static_assert(Histogram::last_value_of(Histogram::bucket_count - 1) == UINT64_MAX);

}  // namespace tailrace
