#include "model/job.h"

#include <algorithm>

namespace understudy {
uint16_t Job::percent() const {
  if (state == JobState::completed) return 100;
  if (bytes_total == 0) return 0;
  const long double share =
      static_cast<long double>(bytes_done) * 100 / static_cast<long double>(bytes_total);
  return static_cast<uint16_t>(std::clamp(static_cast<int>(share), 0, 99));
}
}  // namespace understudy
