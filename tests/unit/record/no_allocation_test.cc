// Checking a batch takes no memory, whatever its codec, but the first with zstd: malloc itself is
// watched, since the codecs are C libraries. (Not under the sanitizers, which have their own.)
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "record/batch_builder.h"
#include "record/batch_check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TR_WATCH_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TR_WATCH_MALLOC 0
#endif
#endif
#ifndef TR_WATCH_MALLOC
#define TR_WATCH_MALLOC 1
#endif

#if TR_WATCH_MALLOC
namespace {
std::atomic<std::uint64_t> allocations{0};
}

// glibc's own, below the names that are replaced here for the whole process.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

void* malloc(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, size);
}
}

namespace tailrace::record {
namespace {

constexpr Codec all_codecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

TEST(NoAllocation, TheWatchSeesAllocations) {
  const std::uint64_t before = allocations;
  std::free(std::malloc(10));
  auto text = std::make_unique<std::string>(1000, 'x');
  EXPECT_GE(allocations - before, 2U);
  EXPECT_EQ(text->size(), 1000U);
}

TEST(NoAllocation, CheckFindAndRefuse) {
  BatchBuilder builder(4 << 20);
  builder.start();
  const std::string value(1000, 'v');
  while (builder.size_bytes() < 1 << 20) {
    ASSERT_TRUE(builder.add({.timestamp = 5, .value = std::string_view(value)}));
  }
  for (const Codec codec : all_codecs) {
    BatchChecker checker(4 << 20);
    const BatchView batch = *parse_batch(*builder.finish(codec));
    if (codec == Codec::zstd) {
      ASSERT_TRUE(checker.check(batch, {}, 5));
    }
    const BatchView broken{batch.header, batch.bytes.first(batch.bytes.size() - 20)};
    const std::uint64_t before = allocations;
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(checker.check(batch, {}, 5));
      ASSERT_TRUE(checker.find_timestamp(batch, 5));
      ASSERT_FALSE(checker.find_timestamp(broken, 6));
    }
    EXPECT_EQ(allocations - before, 0U) << "codec " << static_cast<int>(codec);
  }
}

// Snappy and gzip never; lz4 and zstd only when a level wants a larger context than before.
TEST(NoAllocation, MakingABatchAnewSettles) {
  BatchChecker checker(4 << 20);
  BatchBuilder builder(4 << 20);
  builder.start();
  const std::string value(1000, 'v');
  while (builder.size_bytes() < 1 << 20) {
    ASSERT_TRUE(builder.add({.timestamp = 5, .value = std::string_view(value)}));
  }
  const BatchView batch = *parse_batch(*builder.finish());
  for (const Codec codec : all_codecs) {
    const BatchRules rules{.compression = static_cast<std::int8_t>(codec)};
    const bool grows = codec == Codec::lz4 || codec == Codec::zstd;
    for (int i = 0; i < (grows ? 1 : 0); ++i) ASSERT_TRUE(checker.with_codec(batch, rules));
    const std::uint64_t before = allocations;
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(checker.with_codec(batch, rules));
    EXPECT_EQ(allocations - before, 0U) << "codec " << static_cast<int>(codec);
  }
}

}  // namespace
}  // namespace tailrace::record
#endif
