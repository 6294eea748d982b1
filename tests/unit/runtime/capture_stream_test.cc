#include "runtime/capture_stream.h"

#include <gtest/gtest.h>

#include <map>

#include "runtime/capture_command.h"

namespace tailrace::runtime {
namespace {

struct FakeClock final : io::Clock {
  Now now() override { return time; }
  Now time{.instant = {seconds(100).ns}, .wall_ms = 1'700'000'000'000};
};

void receive(io::CapturePoint& point, std::string_view bytes) {
  const RxFrame frame{.bytes = as_bytes(bytes)};
  point.received({&frame, 1});
}

struct Capture {
  explicit Capture(const CaptureRequest& request = {})
      : stream(std::make_unique<CaptureStream>(
            std::vector<CaptureSource>{{"one", &points[0]}, {"two", &points[1]}}, request,
            clock)) {}
  // What there is, in reads of `size`.
  void read(std::size_t size = 100'000) {
    std::string buffer(size, '\0');
    while (const std::size_t count = stream->read(buffer)) {
      file.append(buffer, 0, count);
      tally.add({buffer.data(), count});
    }
  }
  FakeClock clock;
  std::array<io::CapturePoint, 2> points;
  std::unique_ptr<CaptureStream> stream;
  std::string file;
  CaptureTally tally;
};

TEST(CaptureStream, HasTheFramesOfAllCoresUntilItIsFinished) {
  Capture capture;
  capture.read();
  EXPECT_NE(capture.file.find("one"), std::string::npos);
  receive(capture.points[1], "first frame");
  receive(capture.points[0], "second frame");
  capture.read();
  EXPECT_LT(capture.file.find("first frame"), capture.file.find("second frame"));
  EXPECT_FALSE(capture.tally.is_whole());
  receive(capture.points[0], "third frame");
  capture.stream->finish();
  EXPECT_FALSE(capture.points[0].is_on());
  receive(capture.points[0], "late frame");
  EXPECT_FALSE(capture.stream->has_ended());
  capture.read();
  EXPECT_TRUE(capture.stream->has_ended());
  EXPECT_NE(capture.file.find("third frame"), std::string::npos);
  EXPECT_EQ(capture.file.find("late frame"), std::string::npos);
  EXPECT_EQ(capture.tally.packets(), 3u);
  EXPECT_TRUE(capture.tally.is_whole());
}

TEST(CaptureStream, EndsWhenTheTimeIsOver) {
  Capture capture({.seconds = 3});
  receive(capture.points[0], "frame");
  capture.clock.time.instant = capture.clock.time.instant + milliseconds(2999);
  capture.read();
  EXPECT_TRUE(capture.points[0].is_on());
  capture.clock.time.instant = capture.clock.time.instant + milliseconds(1);
  capture.read();
  EXPECT_TRUE(capture.stream->has_ended());
  EXPECT_EQ(capture.tally.packets(), 1u);
}

TEST(CaptureStream, EndsAfterSoManyPackets) {
  Capture capture({.packets_max = 2});
  for (int i = 0; i < 5; ++i) receive(capture.points[i % 2], "frame");
  capture.read();
  EXPECT_TRUE(capture.stream->has_ended());
  EXPECT_EQ(capture.tally.packets(), 2u);
  EXPECT_TRUE(capture.tally.is_whole());
}

TEST(CaptureStream, IsTheSameInSmallReads) {
  Capture capture({.snap_bytes = 128});
  const std::string frame(500, 'f');
  for (int i = 0; i < 20; ++i) receive(capture.points[0], frame);
  capture.read(7);
  capture.stream->finish();
  capture.read(7);
  EXPECT_TRUE(capture.stream->has_ended());
  EXPECT_EQ(capture.tally.packets(), 20u);
  EXPECT_TRUE(capture.tally.is_whole());
  EXPECT_LT(capture.file.size(), 20 * 200u) << "128 bytes of each";
}

TEST(CaptureStream, TellsWhatCameTooFast) {
  Capture capture;
  const std::string frame(60'000, 'f');
  for (int i = 0; i < 100; ++i) receive(capture.points[0], frame);
  capture.stream->finish();
  capture.read();
  EXPECT_EQ(capture.tally.packets() + capture.tally.dropped(), 100u);
  EXPECT_GT(capture.tally.packets(), 60u);
  EXPECT_GT(capture.tally.dropped(), 20u);
}

TEST(CaptureStream, ListensNoLongerWhenItIsGone) {
  Capture capture;
  EXPECT_TRUE(capture.points[0].is_on());
  capture.stream.reset();
  EXPECT_FALSE(capture.points[0].is_on());
}

TEST(CaptureStream, ARequestIsReadFromTheQuery) {
  std::map<std::string, const char*> words = {{"seconds", "5"}, {"snap", "128"}};
  const AdminQuery query = [&](const char* name) {
    const auto found = words.find(name);
    return found == words.end() ? nullptr : found->second;
  };
  CaptureRequest request;
  std::string why;
  ASSERT_TRUE(read_capture_request(query, request, why)) << why;
  EXPECT_EQ(request.seconds, 5);
  EXPECT_EQ(request.packets_max, 0);
  EXPECT_EQ(request.snap_bytes, 128);
  for (const char* bad : {"127", "x", "", "262145", "1e3", "99999999999999999999"}) {
    words["snap"] = bad;
    EXPECT_FALSE(read_capture_request(query, request, why)) << bad;
    EXPECT_EQ(why, "snap: found \"" + std::string(bad) + "\", allowed: 128 to 262144\n");
  }
}

}  // namespace
}  // namespace tailrace::runtime
