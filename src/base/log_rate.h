// For lines that strangers can cause at will: a few a second are written, and the next one says how many were
// not. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/time.h"

namespace understudy {

class LogRate {
 public:
  static constexpr uint32_t kMost = 5;  // in a second
  // None: leave the line out. Else how many were left out before it.
  std::optional<uint64_t> pass(Monotonic now) {
    const std::lock_guard lock(mutex_);
    if (now - second_ >= Duration::seconds(1)) {
      second_ = now;
      written_ = 0;
    }
    if (written_ == kMost) {
      ++left_out_;
      return std::nullopt;
    }
    ++written_;
    const uint64_t before = left_out_;
    left_out_ = 0;
    return before;
  }

 private:
  std::mutex mutex_;
  Monotonic second_{-Duration::seconds(1).us};
  uint32_t written_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace understudy
