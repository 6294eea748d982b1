// Verdicts: the promises that were found broken in a run. The first is the one to look at.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

namespace tailrace::sim {

struct Verdict {
  std::string promise;  // the checker's name
  std::string what;
};

class Verdicts {
 public:
  template <class... Args>
  void broken(const char* promise, fmt::format_string<Args...> format, Args&&... args) {
    if (verdicts_.size() >= most) return;
    verdicts_.push_back({promise, fmt::format(format, std::forward<Args>(args)...)});
  }
  bool all_kept() const { return verdicts_.empty(); }
  const std::vector<Verdict>& list() const { return verdicts_; }
  bool names(const std::string& promise) const {
    for (const Verdict& verdict : verdicts_) {
      if (verdict.promise == promise) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t most = 20;
  std::vector<Verdict> verdicts_;
};

}  // namespace tailrace::sim
