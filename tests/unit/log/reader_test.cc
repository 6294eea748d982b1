#include "log/reader.h"

#include <gtest/gtest.h>

#include "base/aligned.h"
#include "base/log.h"
#include "support/fake_disk.h"
#include "support/raw_batch.h"

namespace tailrace::log {
namespace {

constexpr std::uint32_t interval_bytes = 2048;

Limits small_limits() {
  Limits limits;
  limits.frame_bytes_max = 16U << 10;  // Batches of at most 4 KiB, buffers of 24 KiB.
  limits.read_buffer_bytes = 4096;
  limits.read_buffer_count = 2;
  limits.reads_max = 8;
  limits.index_interval_bytes = interval_bytes;
  return limits;
}

// A segment as the test knows it: every batch and where it lies.
struct KnownSegment {
  struct Batch {
    std::uint64_t pos;
    std::int64_t base_offset;
    std::int64_t last_offset;
    std::int64_t timestamp;
    std::vector<std::byte> bytes;
  };
  PartitionKey key;
  SegmentInfo info;
  std::vector<Batch> batches;
  Index index{interval_bytes};
  std::vector<std::byte> bytes;

  void add(Prng& prng, std::size_t record_bytes_max) {
    const auto count = static_cast<std::int32_t>(prng.between(1, 5));
    const auto timestamp = static_cast<std::int64_t>(batches.size() * 10 + prng.below(40));
    Batch batch{bytes.size(), info.end_offset, info.end_offset + count - 1, timestamp,
                test::make_raw_batch({.base_offset = info.end_offset,
                                      .record_count = count,
                                      .record_bytes = prng.between(1, record_bytes_max),
                                      .timestamp_ms = timestamp,
                                      .seed = prng.next()})};
    index.on_batch(batch.base_offset, batch.pos, timestamp);
    bytes.insert(bytes.end(), batch.bytes.begin(), batch.bytes.end());
    info.end_offset += count;
    info.size_bytes = bytes.size();
    batches.push_back(std::move(batch));
  }
};

KnownSegment make_segment(Prng& prng, std::int64_t base_offset, std::size_t batch_count,
                          std::size_t record_bytes_max = 500) {
  KnownSegment segment;
  segment.key = {random_uuid(prng), 0, 1};
  segment.info.base_offset = base_offset;
  segment.info.end_offset = base_offset;
  for (std::size_t i = 0; i < batch_count; ++i) segment.add(prng, record_bytes_max);
  return segment;
}

std::string path_of(const KnownSegment& segment) {
  return std::string(segment_path(segment.key, segment.info.base_offset).text());
}
std::string index_path_of(const KnownSegment& segment) {
  return std::string(index_path(segment.key, segment.info.base_offset).text());
}

// A reader with its disk and files.
struct Rig {
  explicit Rig(const Limits& wanted, std::size_t files_max = 8)
      : limits(wanted),
        files(files_max, queue),
        memory(limits.read_bytes() * limits.read_buffer_count),
        reader(limits, memory.bytes(), files, queue) {}

  // The segment padded to blocks, as it is written, with what may lie behind.
  void put(const KnownSegment& segment, bool with_index) {
    std::vector<std::byte> file = segment.bytes;
    file.resize(round_up(file.size(), disk_block_bytes), std::byte{0xee});
    disk.put(path_of(segment), std::move(file));
    if (!with_index) return;
    std::vector<std::byte> encoded;
    segment.index.encode(segment.info.size_bytes, encoded);
    disk.put(index_path_of(segment), std::move(encoded));
  }
  void deliver(const DiskDone& done) {
    if (asker_of(done.tag) == Asker::file_table) {
      files.on_disk_done(done);
    } else {
      reader.on_disk_done(done);
    }
  }
  void run() {
    reader.step();
    disk.run(queue, [&](const DiskDone& done) {
      deliver(done);
      reader.step();
    });
  }
  // One read from start to end. The bytes are copied; the job is released.
  Result<std::vector<std::byte>> read(const Reader::Request& request) {
    const auto job = reader.start(request);
    EXPECT_TRUE(job);
    run();
    std::array<Reader::Done, 2> done;
    EXPECT_EQ(reader.take_done(done), 1U);
    EXPECT_EQ(done[0].job, *job);
    EXPECT_EQ(done[0].word, request.word);
    Result<std::vector<std::byte>> result = std::vector<std::byte>{};
    if (done[0].batches) {
      result->assign(done[0].batches->begin(), done[0].batches->end());
    } else {
      result = fail(done[0].batches.error());
    }
    reader.release(*job);
    EXPECT_TRUE(reader.idle());
    return result;
  }

  Limits limits;
  test::FakeDisk disk;
  OpQueue queue;
  FileTable files;
  AlignedBuffer memory;
  Reader reader;
};

Reader::Request by_offset(const KnownSegment& segment, std::int64_t offset,
                          std::uint32_t bytes_max = 1) {
  return {.key = segment.key, .segment = segment.info, .offset = offset, .bytes_max = bytes_max,
          .word = 77};
}
Reader::Request by_timestamp(const KnownSegment& segment, std::int64_t timestamp) {
  return {.key = segment.key, .segment = segment.info, .timestamp = timestamp, .bytes_max = 1};
}

// What a request should bring by the promise alone, were every whole batch in reach of a buffer.
// A reader may stop earlier (its buffer ends), but not before the first batch.
Result<std::vector<std::byte>> expected(const KnownSegment& segment,
                                        const Reader::Request& request) {
  std::vector<std::byte> bytes;
  for (const KnownSegment::Batch& batch : segment.batches) {
    if (batch.last_offset >= request.offset_end) break;
    if (bytes.empty()) {
      const bool wanted = request.offset >= 0 ? batch.last_offset >= request.offset
                                              : batch.timestamp >= request.timestamp &&
                                                    batch.last_offset >= request.offset_start;
      if (!wanted) continue;
    } else if (bytes.size() + batch.bytes.size() > request.bytes_max) {
      break;
    }
    bytes.insert(bytes.end(), batch.bytes.begin(), batch.bytes.end());
  }
  if (bytes.empty() && request.offset < 0) return fail(Errc::not_found);
  return bytes;
}

// `got` is a run of whole batches from the front of what was promised.
testing::AssertionResult keeps_promise(const KnownSegment& segment,
                                       const Reader::Request& request,
                                       const Result<std::vector<std::byte>>& got) {
  const auto promised = expected(segment, request);
  if (!promised || !got) {
    if (!promised && !got && promised.error() == got.error()) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << (got ? "bytes" : to_string(got.error().code)) << " instead of "
           << (promised ? "bytes" : to_string(promised.error().code));
  }
  if (promised->empty() != got->empty()) return testing::AssertionFailure() << "nothing, or all";
  if (got->size() > promised->size()) return testing::AssertionFailure() << "too much";
  if (!std::equal(got->begin(), got->end(), promised->begin())) {
    return testing::AssertionFailure() << "other bytes";
  }
  Bytes rest = *got;
  while (!rest.empty()) {
    const auto batch = record::parse_batch(rest);
    if (!batch) return testing::AssertionFailure() << "a batch cut in two";
    rest = rest.subspan(batch->bytes.size());
  }
  return testing::AssertionSuccess();
}

TEST(Reader, finds_every_offset_with_and_without_an_index) {
  for (const bool with_index : {true, false}) {
    Prng prng(1);
    const KnownSegment segment = make_segment(prng, 100, 300);
    Rig rig(small_limits());
    rig.put(segment, with_index);
    for (std::int64_t offset = 100; offset < segment.info.end_offset; ++offset) {
      const auto request = by_offset(segment, offset, 3000);
      ASSERT_TRUE(keeps_promise(segment, request, rig.read(request))) << offset;
    }
    EXPECT_EQ(rig.reader.counters().index_loads, with_index ? 1U : 0U);
  }
}

TEST(Reader, finds_every_timestamp_with_and_without_an_index) {
  for (const bool with_index : {true, false}) {
    Prng prng(2);
    const KnownSegment segment = make_segment(prng, 100, 300);
    Rig rig(small_limits());
    rig.put(segment, with_index);
    for (std::int64_t timestamp = 0; timestamp < 3100; timestamp += 7) {
      const auto request = by_timestamp(segment, timestamp);
      ASSERT_TRUE(keeps_promise(segment, request, rig.read(request))) << timestamp;
    }
  }
}

TEST(Reader, an_index_makes_a_far_read_short) {
  Prng prng(3);
  const KnownSegment segment = make_segment(prng, 0, 2000);
  Rig rig(small_limits());
  rig.put(segment, true);
  EXPECT_TRUE(rig.read(by_offset(segment, segment.info.end_offset - 1)));
  EXPECT_EQ(rig.reader.counters().reads, 1U);
  EXPECT_EQ(rig.reader.counters().index_loads, 1U);
}

TEST(Reader, a_missing_index_is_made_by_the_first_walk) {
  Prng prng(3);
  const KnownSegment segment = make_segment(prng, 0, 2000);
  Rig rig(small_limits());
  rig.put(segment, false);
  EXPECT_TRUE(rig.read(by_offset(segment, segment.info.end_offset - 1)));
  const std::uint64_t walk_reads = rig.reader.counters().reads;
  EXPECT_GT(walk_reads, 10U);
  EXPECT_TRUE(rig.read(by_offset(segment, segment.info.end_offset - 1)));
  EXPECT_EQ(rig.reader.counters().reads, walk_reads + 1);
}

TEST(Reader, the_active_segment_is_found_by_its_index_in_memory) {
  Prng prng(4);
  const KnownSegment segment = make_segment(prng, 0, 2000);
  Rig rig(small_limits());
  rig.put(segment, false);
  auto request = by_offset(segment, segment.info.end_offset - 1);
  request.index = &segment.index;
  ASSERT_TRUE(keeps_promise(segment, request, rig.read(request)));
  EXPECT_EQ(rig.reader.counters().reads, 1U);
}

TEST(Reader, an_index_that_lies_costs_a_walk_and_no_more) {
  Prng prng(5);
  KnownSegment segment = make_segment(prng, 0, 400);
  Index liar(interval_bytes);
  for (const auto& batch : segment.batches) {
    if (batch.pos > 2 * interval_bytes) liar.on_batch(batch.base_offset, batch.pos + 13, 0);
  }
  Rig rig(small_limits());
  rig.put(segment, true);
  std::vector<std::byte> encoded;
  liar.encode(segment.info.size_bytes + 100, encoded);
  rig.disk.put(index_path_of(segment), encoded);
  for (std::int64_t offset = 0; offset < segment.info.end_offset; offset += 11) {
    const auto request = by_offset(segment, offset);
    ASSERT_TRUE(keeps_promise(segment, request, rig.read(request))) << offset;
  }
  auto request = by_offset(segment, segment.info.end_offset - 1);
  request.index = &liar;
  ASSERT_TRUE(keeps_promise(segment, request, rig.read(request)));
}

TEST(Reader, a_rotten_index_file_is_as_good_as_none) {
  Prng prng(6);
  const KnownSegment segment = make_segment(prng, 0, 400);
  for (const std::uint64_t pos : {0, 8, 13, 20, 70}) {
    Rig rig(small_limits());
    rig.put(segment, true);
    rig.disk.flip_bit(index_path_of(segment), pos);
    const auto request = by_offset(segment, segment.info.end_offset - 1);
    ASSERT_TRUE(keeps_promise(segment, request, rig.read(request))) << pos;
  }
}

TEST(Reader, nothing_behind_offset_end) {
  Prng prng(7);
  const KnownSegment segment = make_segment(prng, 0, 20);
  Rig rig(small_limits());
  rig.put(segment, true);
  for (std::int64_t end = 1; end <= segment.info.end_offset; ++end) {
    auto request = by_offset(segment, 0, 100'000);
    request.offset_end = end;
    ASSERT_TRUE(keeps_promise(segment, request, rig.read(request))) << end;
    auto timed = by_timestamp(segment, segment.batches[10].timestamp);
    timed.offset_end = end;
    ASSERT_TRUE(keeps_promise(segment, timed, rig.read(timed))) << end;
  }
}

TEST(Reader, a_timestamp_is_looked_for_from_offset_start_on) {
  Prng prng(8);
  const KnownSegment segment = make_segment(prng, 0, 300);
  Rig rig(small_limits());
  rig.put(segment, true);
  for (std::int64_t start = 0; start < segment.info.end_offset; start += 5) {
    auto request = by_timestamp(segment, segment.batches[40].timestamp);
    request.offset_start = start;
    ASSERT_TRUE(keeps_promise(segment, request, rig.read(request))) << start;
  }
}

TEST(Reader, bytes_behind_the_segment_are_no_records) {
  Prng prng(9);
  KnownSegment segment = make_segment(prng, 0, 30);
  Rig rig(small_limits());
  rig.put(segment, false);
  const KnownSegment::Batch last = segment.batches.back();
  segment.info.size_bytes = last.pos;
  segment.info.end_offset = last.base_offset;
  segment.batches.pop_back();
  const auto request = by_offset(segment, segment.info.end_offset - 1, 100'000);
  ASSERT_TRUE(keeps_promise(segment, request, rig.read(request)));
  EXPECT_EQ(rig.read(by_offset(segment, segment.info.end_offset)).error().code, Errc::not_found);
}

TEST(Reader, a_rotten_batch_is_never_handed_out) {
  Prng prng(10);
  const KnownSegment segment = make_segment(prng, 0, 10);
  const KnownSegment::Batch& rotten = segment.batches[5];
  Rig rig(small_limits());
  rig.put(segment, false);
  rig.disk.flip_bit(path_of(segment), rotten.pos + record::header_bytes);
  // The five before it come, then the place is corrupt, and what lies behind is still there.
  const auto before = rig.read(by_offset(segment, 0, 100'000));
  ASSERT_TRUE(before);
  EXPECT_EQ(before->size(), rotten.pos);
  EXPECT_EQ(rig.read(by_offset(segment, rotten.base_offset)).error().code, Errc::corrupt);
  EXPECT_TRUE(rig.read(by_offset(segment, rotten.last_offset + 1)));
}

TEST(Reader, a_header_that_makes_no_sense_is_corrupt) {
  Prng prng(11);
  const KnownSegment segment = make_segment(prng, 0, 10);
  for (const std::uint64_t byte : {0, 8, 9, 16, 23}) {
    Rig rig(small_limits());
    rig.put(segment, false);
    const std::uint64_t pos = segment.batches[5].pos + byte;
    rig.disk.bytes(path_of(segment))[pos] ^= std::byte{0x40};
    EXPECT_EQ(rig.read(by_offset(segment, segment.batches[5].base_offset)).error().code,
              Errc::corrupt)
        << byte;
  }
}

TEST(Reader, a_file_of_another_segment_is_corrupt) {
  Prng prng(12);
  const KnownSegment segment = make_segment(prng, 50, 10);
  KnownSegment named_so = segment;
  named_so.info.base_offset = 40;
  Rig rig(small_limits());
  rig.put(named_so, false);
  EXPECT_EQ(rig.read(by_offset(named_so, 55)).error().code, Errc::corrupt);
}

TEST(Reader, a_file_shorter_than_its_segment_gives_what_it_has) {
  Prng prng(13);
  const KnownSegment segment = make_segment(prng, 0, 200);
  Rig rig(small_limits());
  rig.put(segment, true);
  const KnownSegment::Batch& first_lost = segment.batches[100];
  rig.disk.bytes(path_of(segment)).resize(first_lost.pos + 70);
  const KnownSegment::Batch& last_there = segment.batches[99];
  const auto got = rig.read(by_offset(segment, last_there.base_offset, 100'000));
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, last_there.bytes);
  EXPECT_EQ(rig.read(by_offset(segment, first_lost.base_offset)).error().code, Errc::corrupt);
  EXPECT_EQ(rig.read(by_offset(segment, segment.info.end_offset - 1)).error().code, Errc::corrupt);
}

TEST(Reader, disk_errors_come_with_their_number) {
  Prng prng(14);
  const KnownSegment segment = make_segment(prng, 0, 5);
  Rig rig(small_limits());
  EXPECT_EQ(rig.read(by_offset(segment, 0)).error(), (Error{Errc::io, ENOENT}));
  rig.put(segment, false);
  rig.disk.fail_next(DiskOpKind::open, EMFILE);
  EXPECT_EQ(rig.read(by_offset(segment, 0)).error(), (Error{Errc::io, EMFILE}));
  rig.disk.fail_next(DiskOpKind::read, EIO);
  EXPECT_EQ(rig.read(by_offset(segment, 0)).error(), (Error{Errc::io, EIO}));
  EXPECT_TRUE(rig.read(by_offset(segment, 0)));
}

TEST(Reader, an_index_that_cannot_be_read_now_is_not_needed) {
  Prng prng(15);
  const KnownSegment segment = make_segment(prng, 0, 400);
  Rig rig(small_limits());
  rig.put(segment, true);
  rig.disk.fail_next(DiskOpKind::read, EIO);
  const auto request = by_offset(segment, segment.info.end_offset - 1);
  ASSERT_TRUE(keeps_promise(segment, request, rig.read(request)));
  rig.disk.fail_next(DiskOpKind::open, EMFILE);
  ASSERT_TRUE(keeps_promise(segment, request, rig.read(request)));
}

TEST(Reader, jobs_wait_for_buffers_first_come_first_served) {
  Prng prng(16);
  const KnownSegment segment = make_segment(prng, 0, 5);
  Rig rig(small_limits());
  rig.put(segment, false);
  std::vector<std::uint32_t> jobs;
  for (std::uint64_t i = 0; i < 8; ++i) {
    auto request = by_offset(segment, 0);
    request.word = i;
    jobs.push_back(*rig.reader.start(request));
  }
  EXPECT_EQ(rig.reader.start(by_offset(segment, 0)).error().code, Errc::full);
  rig.reader.release(jobs[3]);  // It was waiting.
  std::vector<std::uint64_t> words;
  while (words.size() < 7) {
    rig.run();
    std::array<Reader::Done, 8> done;
    const std::size_t count = rig.reader.take_done(done);
    ASSERT_GT(count, 0U);
    ASSERT_LE(count, 2U);  // Two buffers.
    for (std::size_t i = 0; i < count; ++i) {
      words.push_back(done[i].word);
      rig.reader.release(done[i].job);
    }
  }
  EXPECT_EQ(words, (std::vector<std::uint64_t>{0, 1, 2, 4, 5, 6, 7}));
  EXPECT_TRUE(rig.reader.idle());
}

// The kernel writes into the buffer until the read completes: nobody else may get it before.
TEST(Reader, a_cancelled_read_keeps_its_buffer_until_it_completes) {
  Prng prng(17);
  const KnownSegment segment = make_segment(prng, 0, 5);
  Limits limits = small_limits();
  limits.read_buffer_count = 1;
  Rig rig(limits);
  rig.put(segment, false);
  const auto first = rig.reader.start(by_offset(segment, 0));
  rig.reader.step();
  rig.disk.take_all(rig.queue);
  rig.deliver(rig.disk.complete(0));  // The open.
  rig.reader.step();
  rig.disk.take_all(rig.queue);
  ASSERT_EQ(rig.disk.waiting_count(), 1U);
  ASSERT_EQ(rig.disk.waiting(0).kind, DiskOpKind::read);
  rig.reader.release(*first);
  EXPECT_FALSE(rig.reader.idle());
  const auto second = rig.reader.start(by_offset(segment, 0));
  ASSERT_TRUE(second);
  rig.reader.step();
  rig.disk.take_all(rig.queue);
  EXPECT_EQ(rig.disk.waiting_count(), 1U);  // The second has no buffer yet.
  rig.run();
  std::array<Reader::Done, 2> done;
  ASSERT_EQ(rig.reader.take_done(done), 1U);
  EXPECT_EQ(done[0].job, *second);
  rig.reader.release(*second);
  EXPECT_TRUE(rig.reader.idle());
}

TEST(Reader, a_forgotten_partition_comes_back_with_its_new_index) {
  Prng prng(18);
  const KnownSegment old_one = make_segment(prng, 0, 400);
  KnownSegment new_one = make_segment(prng, 0, 300);
  new_one.key = old_one.key;
  Rig rig(small_limits());
  rig.put(old_one, true);
  EXPECT_TRUE(rig.read(by_offset(old_one, old_one.info.end_offset - 1)));
  rig.reader.forget(old_one.key);
  rig.files.forget(segment_path(old_one.key, 0));
  rig.put(new_one, true);
  const auto request = by_offset(new_one, new_one.info.end_offset - 1);
  ASSERT_TRUE(keeps_promise(new_one, request, rig.read(request)));
  EXPECT_EQ(rig.reader.counters().index_loads, 2U);
}

TEST(Reader, no_more_indexes_are_kept_than_allowed) {
  Prng prng(19);
  Rig rig(small_limits());
  std::vector<KnownSegment> segments;
  for (std::size_t i = 0; i < Reader::indexes_max + 1; ++i) {
    segments.push_back(make_segment(prng, 0, 40));
    rig.put(segments.back(), true);
    EXPECT_TRUE(rig.read(by_offset(segments.back(), 0)));
  }
  EXPECT_TRUE(rig.read(by_offset(segments.back(), 0)));
  EXPECT_EQ(rig.reader.counters().index_loads, Reader::indexes_max + 1);
  EXPECT_TRUE(rig.read(by_offset(segments.front(), 0)));  // It went first.
  EXPECT_EQ(rig.reader.counters().index_loads, Reader::indexes_max + 2);
}

TEST(Reader, little_is_read_when_little_is_asked_for) {
  Prng prng(20);
  const KnownSegment segment = make_segment(prng, 0, 3000);
  Limits limits = small_limits();
  limits.read_buffer_bytes = 1U << 20;
  Rig rig(limits);
  rig.put(segment, true);
  EXPECT_TRUE(rig.read(by_offset(segment, 10)));
  EXPECT_LE(rig.reader.counters().bytes, 80U << 10);
  const auto request = by_offset(segment, 10, 500'000);
  const auto got = rig.read(request);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, *expected(segment, request));  // All of it, in one read.
  EXPECT_EQ(rig.reader.counters().reads, 2U);
}

// Batches as large as what is asked for: half of the first reads cut the one that is wanted.
TEST(Reader, a_batch_that_the_first_read_cuts_does_not_cost_a_whole_buffer) {
  Limits limits = small_limits();
  limits.frame_bytes_max = 2U << 20;
  limits.index_interval_bytes = 64U << 10;
  Prng prng(22);
  KnownSegment segment = make_segment(prng, 0, 0);
  segment.index = Index(limits.index_interval_bytes);
  for (int i = 0; i < 40; ++i) segment.add(prng, 100'000);
  Rig rig(limits);
  rig.put(segment, true);
  std::uint64_t wanted_bytes = 0;
  for (const KnownSegment::Batch& batch : segment.batches) {
    const auto got = rig.read(by_offset(segment, batch.base_offset));
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, batch.bytes);
    wanted_bytes += batch.bytes.size() + (128U << 10);
  }
  EXPECT_LE(rig.reader.counters().bytes, 2 * wanted_bytes);
}

TEST(Reader, the_largest_batch_is_read_wherever_it_starts) {
  for (std::size_t shift = 1; shift < 5000; shift += 617) {
    Prng prng(21);
    KnownSegment segment = make_segment(prng, 0, 0);
    segment.add(prng, shift);
    const std::uint32_t largest = small_limits().batch_bytes_max();
    KnownSegment::Batch batch{
        segment.bytes.size(), segment.info.end_offset, segment.info.end_offset, 5,
        test::make_raw_batch({.base_offset = segment.info.end_offset,
                              .record_bytes = largest - record::header_bytes})};
    segment.bytes.insert(segment.bytes.end(), batch.bytes.begin(), batch.bytes.end());
    segment.info.end_offset += 1;
    segment.info.size_bytes = segment.bytes.size();
    segment.batches.push_back(batch);
    Rig rig(small_limits());
    rig.put(segment, false);
    const auto got = rig.read(by_offset(segment, batch.base_offset));
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, batch.bytes);
  }
}

// Everything at once: several segments, few files, buffers and jobs; completions in any order,
// cancelled reads, forgotten partitions, failing opens and reads, rot. Nobody gets wrong bytes,
// nothing leaks, and without faults everybody gets an answer that keeps the promise.
class RandomReads {
 public:
  RandomReads(std::uint64_t seed, bool with_faults)
      : prng_(seed, "reads"), with_faults_(with_faults), rig_(small_limits(), 3) {
    for (int i = 0; i < 5; ++i) {
      segments_.push_back(make_segment(prng_, static_cast<std::int64_t>(prng_.below(100)),
                                       prng_.between(1, 200), prng_.between(50, 4000)));
      rig_.put(segments_.back(), prng_.chance(1, 2));
    }
    if (!with_faults_) return;
    rig_.disk.fault = [this](const DiskOp& op) {
      const bool may_fail = op.kind == DiskOpKind::open || op.kind == DiskOpKind::read;
      return may_fail && prng_.chance(1, 20) ? EIO : 0;
    };
    for (int i = 0; i < 20; ++i) {
      const KnownSegment& segment = segments_[prng_.below(segments_.size())];
      const auto& batch = segment.batches[prng_.below(segment.batches.size())];
      const std::uint64_t byte =
          prng_.below(prng_.chance(1, 2) ? record::header_bytes : batch.bytes.size());
      if (byte >= 12 && byte < 16) continue;  // The leader epoch: no CRC of Kafka's covers it.
      rig_.disk.flip_bit(path_of(segment), batch.pos + byte);
    }
  }

  void run() {
    for (int i = 0; i < 3000 && !testing::Test::HasFatalFailure(); ++i) {
      const std::uint64_t what = prng_.below(10);
      if (what < 3) start();
      if (what == 3) cancel();
      if (what == 4 && prng_.chance(1, 10)) rig_.reader.forget(pick().key);
      if (what > 4) turn();
      take();
    }
    while (!jobs_.empty()) cancel();
    rig_.run();
    EXPECT_TRUE(rig_.reader.idle());
    rig_.files.close_all();
    rig_.run();
    EXPECT_EQ(rig_.disk.open_count(), 0U);
    EXPECT_GT(good_count_, 100);
  }

 private:
  struct Open {
    std::size_t segment;
    Reader::Request request;
  };
  const KnownSegment& pick() { return segments_[prng_.below(segments_.size())]; }

  void start() {
    const std::size_t which = prng_.below(segments_.size());
    const KnownSegment& segment = segments_[which];
    const KnownSegment::Batch& target = segment.batches[prng_.below(segment.batches.size())];
    auto request = prng_.chance(1, 2)
                       ? by_offset(segment, static_cast<std::int64_t>(prng_.between(
                                                static_cast<std::uint64_t>(target.base_offset),
                                                static_cast<std::uint64_t>(target.last_offset))))
                       : by_timestamp(segment, target.timestamp + 5);
    request.bytes_max = static_cast<std::uint32_t>(prng_.below(30'000));
    if (prng_.chance(1, 4)) {
      request.offset_end = segment.batches[prng_.below(segment.batches.size())].last_offset + 1;
    }
    if (prng_.chance(1, 4)) request.index = &segment.index;
    const auto job = rig_.reader.start(request);
    if (!job) {
      ASSERT_EQ(job.error().code, Errc::full);
      return;
    }
    jobs_[*job] = {which, request};
  }
  void cancel() {
    if (jobs_.empty()) return;
    const auto victim = std::next(jobs_.begin(), static_cast<long>(prng_.below(jobs_.size())));
    rig_.reader.release(victim->first);
    jobs_.erase(victim);
  }
  void turn() {
    rig_.reader.step();
    rig_.disk.take_all(rig_.queue);
    if (rig_.disk.waiting_count() > 0) rig_.deliver(rig_.disk.complete_any(prng_));
  }
  void take() {
    std::array<Reader::Done, 2> done;
    const std::size_t count = rig_.reader.take_done(done);
    for (std::size_t i = 0; i < count; ++i) {
      const auto job = jobs_.find(done[i].job);
      ASSERT_NE(job, jobs_.end()) << "a cancelled job was handed out";
      const auto& [which, request] = job->second;
      Result<std::vector<std::byte>> got = std::vector<std::byte>{};
      if (done[i].batches) {
        got->assign(done[i].batches->begin(), done[i].batches->end());
      } else {
        got = fail(done[i].batches.error());
      }
      if (got || !with_faults_) check(segments_[which], request, got);
      rig_.reader.release(done[i].job);
      jobs_.erase(job);
    }
  }
  // Rot in a header may hide a timestamp, but what is handed out is whole and good all the same.
  void check(const KnownSegment& segment, const Reader::Request& request,
             const Result<std::vector<std::byte>>& got) {
    if (!with_faults_ || request.offset >= 0) {
      ASSERT_TRUE(keeps_promise(segment, request, got));
    } else {
      for (Bytes rest = *got; !rest.empty();) {
        const auto batch = record::parse_batch(rest);
        ASSERT_TRUE(batch);
        ASSERT_TRUE(record::crc_matches(batch->bytes));
        ASSERT_LT(batch->header.last_offset(), request.offset_end);
        rest = rest.subspan(batch->bytes.size());
      }
    }
    ++good_count_;
  }

  Prng prng_;
  bool with_faults_;
  Rig rig_;
  std::vector<KnownSegment> segments_;
  std::map<std::uint32_t, Open> jobs_;
  int good_count_ = 0;
};

TEST(Reader, random_reads_without_faults) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomReads(seed, false).run();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Reader, random_reads_with_faults) {
  set_log_sink([](LogLevel, std::string_view, std::string_view) {});
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomReads(seed, true).run();
    if (testing::Test::HasFailure()) break;
  }
  set_log_sink(nullptr);
}

}  // namespace
}  // namespace tailrace::log
