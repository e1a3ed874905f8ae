// Arithmetic on granules.
#pragma once

#include <cstdint>

namespace understudy {
constexpr uint64_t align_down(uint64_t value, uint64_t granule) {
  return value - value % granule;
}
constexpr uint64_t align_up(uint64_t value, uint64_t granule) {
  return align_down(value + granule - 1, granule);
}
constexpr uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}
}  // namespace understudy
