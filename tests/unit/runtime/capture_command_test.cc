#include "runtime/capture_command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "io/capture/pcapng.h"
#include "runtime/admin.h"

namespace tailrace::runtime {
namespace {

std::string whole_file(int packets) {
  std::string file;
  io::append_section_header(file, "test");
  io::append_interface(file, "one", 256);
  for (int i = 0; i < packets; ++i) {
    io::append_packet(file, 0, {.time_ns = i, .original_bytes = 300}, as_bytes("frame"));
  }
  io::append_statistics(file, {.interface = 0, .received = 9, .dropped = 4});
  return file;
}

TEST(CaptureCommand, AsksOnlyForWhatWasNamed) {
  EXPECT_EQ(capture_query({}), "/capture");
  EXPECT_EQ(capture_query({.packets_max = 7}), "/capture?packets=7");
  EXPECT_EQ(capture_query({.seconds = 1, .packets_max = 2, .snap_bytes = 3}),
            "/capture?seconds=1&packets=2&snap=3");
}

TEST(CaptureTally, CountsInPiecesOfAnySize) {
  const std::string file = whole_file(3);
  for (const std::size_t size : {std::size_t{1}, std::size_t{13}, file.size()}) {
    CaptureTally tally;
    for (std::size_t at = 0; at < file.size(); at += size) {
      EXPECT_FALSE(tally.is_whole());
      tally.add(std::string_view(file).substr(at, size));
    }
    EXPECT_EQ(tally.packets(), 3u);
    EXPECT_EQ(tally.dropped(), 4u);
    EXPECT_TRUE(tally.is_whole());
  }
}

TEST(CaptureTally, AnyBytesAreCountedAlong) {
  CaptureTally tally;
  tally.add(std::string(1000, '\0'));
  tally.add(std::string(1000, '\xff'));
  EXPECT_FALSE(tally.is_whole());
  EXPECT_EQ(tally.packets(), 0u);
}

// A server with one stream, which has its text at the second look.
struct TextStream final : AdminStream {
  explicit TextStream(std::string what) : text(std::move(what)) {}
  std::size_t read(std::span<char> to) override {
    if (looks++ == 0) return 0;
    const std::size_t count = text.copy(to.data(), to.size());
    text.erase(0, count);
    return count;
  }
  bool has_ended() const override { return looks > 0 && text.empty(); }
  void finish() override {}
  std::string text;
  int looks = 0;
};

struct Place {
  Place() {
    char pattern[] = "/tmp/tailrace-capture-XXXXXX";
    folder = mkdtemp(pattern);
    path = folder + "/out.pcapng";
  }
  ~Place() {
    unlink(path.c_str());
    rmdir(folder.c_str());
  }
  std::string content() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string folder;
  std::string path;
};

int run(const Place& place, Admin::Pages pages) {
  std::string why;
  const auto admin = Admin::listen({"127.0.0.1", 0}, std::move(pages), why);
  EXPECT_NE(admin, nullptr) << why;
  return capture_frames({.admin = "127.0.0.1:" + std::to_string(admin->port()),
                         .path = place.path});
}

TEST(CaptureCommand, WritesWhatTheServerTells) {
  const Place place;
  const std::string file = whole_file(1000);
  EXPECT_EQ(run(place, {.capture = [&](const AdminQuery&, AdminRefusal&) {
                  return std::make_unique<TextStream>(file);
                }}), 0);
  EXPECT_TRUE(place.content() == file);
}

TEST(CaptureCommand, AFileThatBreaksOffIsAnError) {
  const Place place;
  const std::string file = whole_file(3);
  EXPECT_EQ(run(place, {.capture = [&](const AdminQuery&, AdminRefusal&) {
                  return std::make_unique<TextStream>(file.substr(0, file.size() - 5));
                }}), 1);
}

TEST(CaptureCommand, ARefusalLeavesTheFileAsItWas) {
  const Place place;
  std::ofstream(place.path) << "before";
  EXPECT_EQ(run(place, {.capture = [](const AdminQuery&, AdminRefusal& refusal) {
                  refusal = {.status = 409, .text = "not now\n"};
                  return nullptr;
                }}), 1);
  EXPECT_EQ(place.content(), "before");
}

// It tells the beginning, and then the network is silent.
struct SilentStream final : AdminStream {
  std::size_t read(std::span<char> to) override {
    const std::size_t count = text.copy(to.data(), to.size());
    text.erase(0, count);
    return count;
  }
  bool has_ended() const override { return is_over; }
  void finish() override { is_over = true; }
  std::string text = whole_file(1);
  bool is_over = false;
};

// Found by hand: `tailrace net capture - | head -c 1` stayed until the next frame came.
TEST(CaptureCommand, EndsWhenNobodyReadsThePipeAnyMore) {
  const Place place;
  ASSERT_EQ(mkfifo(place.path.c_str(), 0600), 0);
  std::thread reader([&] {
    const int pipe = open(place.path.c_str(), O_RDONLY | O_CLOEXEC);
    char byte;
    EXPECT_EQ(read(pipe, &byte, 1), 1);
    close(pipe);
  });
  EXPECT_EQ(run(place, {.capture = [](const AdminQuery&, AdminRefusal&) {
                  return std::make_unique<SilentStream>();
                }}), 0);
  reader.join();
}

TEST(CaptureCommand, NobodyThereIsAnError) {
  EXPECT_EQ(capture_frames({.admin = "127.0.0.1:1", .path = "/tmp/not-made"}), 1);
  EXPECT_NE(access("/tmp/not-made", F_OK), 0);
}

}  // namespace
}  // namespace tailrace::runtime
