#include "model/job.h"

#include <algorithm>

namespace understudy {
uint16_t Job::percent() const {
  if (state == JobState::completed) return 100;
  const uint16_t least = progress ? progress->least_percent : 0;
  if (bytes_total == 0) return least;
  const long double share =
      static_cast<long double>(bytes_done) * 100 / static_cast<long double>(bytes_total);
  return std::max(least, static_cast<uint16_t>(std::clamp(static_cast<int>(share), 0, 99)));
}
}  // namespace understudy
