// All packet scripts of tests/unit/net/scripts.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "script_runner.h"

namespace tailrace::net {
namespace {

std::vector<ScriptCase> all_cases() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(TR_NET_SCRIPTS)) {
    files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  std::vector<ScriptCase> cases;
  for (const std::string& file : files) {
    for (ScriptCase& one : read_cases(file)) cases.push_back(std::move(one));
  }
  return cases;
}

class Script : public testing::TestWithParam<ScriptCase> {};

TEST_P(Script, holds) { EXPECT_EQ(run_case(GetParam()), "") << GetParam().title; }

std::string name_of(const testing::TestParamInfo<ScriptCase>& info) {
  std::string name = info.param.file.substr(0, info.param.file.find('.'));
  name += "_" + std::to_string(info.param.line);
  return name;
}

INSTANTIATE_TEST_SUITE_P(net, Script, testing::ValuesIn(all_cases()), name_of);

TEST(scripts, are_many) { EXPECT_GE(all_cases().size(), 150U); }

// What does not hold is told.
TEST(scripts, can_fail) {
  EXPECT_NE(run_case({"x", "", 1, {{1, "reach established"}, {2, "out . 1:1 ack 1"}}}), "");
  EXPECT_NE(run_case({"x", "", 1, {{1, "reach established"}, {2, "state close_wait"}}}), "");
  EXPECT_NE(run_case({"x", "", 1, {{1, "reach established"}, {2, "event data 1"}}}), "");
  EXPECT_NE(run_case({"x", "", 1, {{1, "reach established"}, {2, "count accepted 2"}}}), "");
}

}  // namespace
}  // namespace tailrace::net
