// RequestedText: what one thread owns and another asks to see. The asker waits, the owner answers
// at its next turn; while nobody asks, a turn pays one load.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

namespace tailrace::runtime {

class RequestedText {
 public:
  // From any thread, one at a time. `wake` makes the owner take a turn. False: it took none within
  // `patience`.
  template <class Wake>
  bool ask(std::string& text, std::chrono::milliseconds patience, Wake wake) {
    std::unique_lock lock(mutex_);
    is_answered_ = false;
    is_wanted_.store(true, std::memory_order_release);
    wake();
    if (!answered_.wait_for(lock, patience, [this] { return is_answered_; })) return false;
    text = std::move(text_);
    return true;
  }

  // On the owner's thread. Calls make() for the text if somebody waits for it.
  template <class Make>
  void serve(Make make) {
    if (!is_wanted_.load(std::memory_order_acquire)) return;
    is_wanted_.store(false, std::memory_order_relaxed);
    std::string text = make();
    {
      const std::lock_guard lock(mutex_);
      text_ = std::move(text);
      is_answered_ = true;
    }
    answered_.notify_one();
  }

 private:
  std::atomic<bool> is_wanted_{false};
  std::mutex mutex_;
  std::condition_variable answered_;
  bool is_answered_ = false;
  std::string text_;
};

}  // namespace tailrace::runtime
