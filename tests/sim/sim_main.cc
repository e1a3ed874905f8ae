// sim [--seeds N] [--first S] [--seed S]: many seeds on all cores, or one with its trace.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "world.h"

using namespace understudy;

int main(int argc, char** argv) {
  set_log(static_cast<LogLevel>(4), false);
  setenv("TZ", "UTC", 1);
  uint64_t first = 1, seeds = 10;
  bool print = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--seeds")) seeds = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--first")) first = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--seed")) first = std::strtoull(argv[i + 1], nullptr, 10), seeds = 1, print = true;
  }
  uint64_t steps = 0, points = 0, bad = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    sim::World world(seed, print);
    if (!world.run()) {
      ++bad;
      std::printf("seed %llu: %s: %s\n", (unsigned long long)seed, world.oracle.violation()->check.c_str(), world.oracle.violation()->found.c_str());
    }
    steps += world.steps;
    points += world.oracle.points_checked;
  }
  std::printf("%llu seeds, %llu steps, %llu points checked, %llu violations\n", (unsigned long long)seeds, (unsigned long long)steps, (unsigned long long)points, (unsigned long long)bad);
  return bad ? 1 : 0;
}
