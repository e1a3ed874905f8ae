// Runs seeds: each process its share, nothing shared but a table of results.
#pragma once

#include <cstdint>

namespace understudy::sim {

struct Plan {
  uint64_t first = 1;
  uint64_t seeds = 10'000;
  uint64_t jobs = 0;         // 0: as many as there are processors
  bool until_first = false;  // a violation ends it
};

int run(const Plan& plan);  // exit status
int tell(uint64_t seed);    // with its trace
inline constexpr uint64_t kSeedsThatReachAll = 10'000;

}  // namespace understudy::sim
