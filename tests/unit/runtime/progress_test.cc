#include "runtime/progress.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

std::string written;
void remember(std::string_view text) { written += text; }

Instant at_ms(std::int64_t ms) { return {ms * 1'000'000}; }

TEST(Progress, ShortWorkSaysNothing) {
  written.clear();
  Progress progress(false, &remember);
  progress.show("recovery", 1, 2, at_ms(0));
  progress.show("recovery", 2, 2, at_ms(400));
  progress.end();
  EXPECT_EQ(written, "");
}

TEST(Progress, LongWorkSaysALineEveryFewSeconds) {
  written.clear();
  Progress progress(false, &remember);
  for (std::int64_t ms = 0; ms <= 4000; ms += 100) {
    progress.show("formatting", std::uint64_t{64} << 20, std::uint64_t{256} << 20, at_ms(ms));
  }
  progress.end();
  const std::string line = "tailrace: formatting: 64 of 256 MiB (25 %)\n";
  EXPECT_EQ(written, line + line);
}

TEST(Progress, OnATerminalTheLineIsWrittenOver) {
  written.clear();
  Progress progress(true, &remember);
  progress.show("recovery", 0, 0, at_ms(0));
  progress.show("recovery", 0, 0, at_ms(600));
  progress.end();
  EXPECT_TRUE(written.starts_with("\rtailrace: recovery"));
  EXPECT_TRUE(written.ends_with("\n"));
}

}  // namespace
}  // namespace tailrace::runtime
