// One token bucket for everything this host sends: all transfers share it, in the order of their asking. Any
// thread; lives longer than every connection that uses it.
#pragma once

#include <mutex>

#include "base/cancel.h"
#include "base/result.h"
#include "base/time.h"

namespace understudy::transfer {

class Throttle {
 public:
  static constexpr Duration kBurst = Duration::millis(100);  // what time not used is worth, at most

  explicit Throttle(uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}
  void set_rate(
      uint64_t bytes_per_second);  // 0 = unlimited; who waits already goes on waiting as it was told
  bool limited() const;

  // Waits until `bytes` may be sent. ErrorCode::timeout, at once, when that is further away than `most`.
  Status take(uint64_t bytes, Duration most, const CancelToken& cancel);
  // The same without waiting: from when on the bytes, now granted, may be sent.
  Result<Monotonic> reserve(uint64_t bytes, Monotonic now, Duration most);

 private:
  mutable std::mutex mutex_;
  uint64_t rate_;
  Monotonic free_at_{INT64_MIN / 2};  // what was granted is sent by then
};

}  // namespace understudy::transfer
