// sim [--seeds N] [--first S] [--jobs J]: many seeds, spread over processes.
// sim --seed S: one of them, with its trace.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/log.h"
#include "runner.h"

extern int understudy_planted;

namespace {

int usage() {
  std::fputs("usage: sim [--seeds N] [--first SEED] [--jobs N] | sim --seed SEED\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace understudy;
  setenv("TZ", "UTC", 1);
  set_log(static_cast<LogLevel>(static_cast<int>(LogLevel::error) + 1),
          false);  // what it would say is expected here
  sim::Plan plan;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (i + 1 == argc) return usage();
    const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (option == "--seeds")
      plan.seeds = value;
    else if (option == "--first")
      plan.first = value;
    else if (option == "--jobs")
      plan.jobs = value;
    else if (option == "--plant")
      understudy_planted = static_cast<int>(value), plan.until_first = true;
    else if (option == "--seed")
      return sim::tell(value);
    else
      return usage();
  }
  return sim::run(plan);
}
