#include "store/retention.h"

#include <algorithm>

#include "base/limits.h"

namespace understudy::store {

std::vector<bool> stay_listed(const std::vector<PointKeep>& points, const Retention& retention) {
  std::vector<bool> stays(points.size());
  size_t hourly = std::min(retention.hourly, limits::kMostHourly);
  size_t on_demand = limits::kMostOnDemand;
  for (size_t i = points.size(); i-- > 0;) {  // the newest of each kind have the first claim
    size_t* left = points[i] == PointKeep::hourly      ? &hourly
                   : points[i] == PointKeep::on_demand ? &on_demand
                                                       : nullptr;
    stays[i] = i + 1 == points.size() || (left && *left > 0);
    if (left && *left > 0) --*left;
  }
  return stays;
}

}  // namespace understudy::store
