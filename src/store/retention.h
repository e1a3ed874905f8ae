// Which points stay listed when a new one comes (docs/spec/store.md, "Retention"). Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "model/states.h"

namespace understudy::store {

struct Retention {
  uint32_t hourly = 0;  // points of keep hourly, at most limits::kMostHourly
  bool operator==(const Retention&) const = default;
};

// Why each point is kept, oldest first, the last one being new; the answer, in the same order: does it stay
// listed?
std::vector<bool> stay_listed(const std::vector<PointKeep>& points, const Retention& retention);

}  // namespace understudy::store
