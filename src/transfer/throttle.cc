#include "transfer/throttle.h"

#include <algorithm>

#include "base/waiting.h"

namespace understudy::transfer {

void Throttle::set_rate(uint64_t bytes_per_second) {
  const std::lock_guard lock(mutex_);
  rate_ = bytes_per_second;
}

bool Throttle::limited() const {
  const std::lock_guard lock(mutex_);
  return rate_ != 0;
}

Result<Monotonic> Throttle::reserve(uint64_t bytes, Monotonic now, Duration most) {
  const std::lock_guard lock(mutex_);
  if (rate_ == 0) return now;
  const Monotonic start = std::max(free_at_, now);
  if (start - now > most)
    return fail(ErrorCode::timeout, "the bandwidth limit leaves nothing for this transfer in time",
                "raise the limit, or replicate fewer VMs at once");
  free_at_ = std::max(free_at_, now + Duration{-kBurst.us}) +
             Duration{static_cast<int64_t>(bytes * 1'000'000 / rate_)};
  return start;
}

Status Throttle::take(uint64_t bytes, Duration most, const CancelToken& cancel) {
  US_TRY(const Monotonic start, reserve(bytes, waiting_now(), most));
  (void)CancelToken::wait({cancel}, start - waiting_now());
  return cancel.check();
}

}  // namespace understudy::transfer
