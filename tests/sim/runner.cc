#include "runner.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/assert.h"
#include "core/transitions.h"
#include "world.h"

int understudy_planted = 0;  // the bug that is switched on, in a build that has them (plants/README.md)

namespace understudy::sim {
namespace {

constexpr unsigned kMostSeconds = 60;  // of one seed: it hangs then
constexpr size_t kMostShown = 10;      // violations

// Of one process, in memory that the parent sees.
struct Results {
  uint64_t current = 0;  // seed
  uint64_t seeds = 0;
  uint64_t steps = 0;
  uint64_t points = 0;
  uint64_t hash = 0;
  uint64_t violations = 0;
  uint64_t first_bad = UINT64_MAX;  // seed
  std::array<uint64_t, kFaults> faults{};
  std::array<uint64_t, kRares> rares{};
  std::bitset<kMostRows> rows;

  void add(const Results& other) {
    seeds += other.seeds;
    steps += other.steps;
    points += other.points;
    hash += other.hash;
    violations += other.violations;
    first_bad = std::min(first_bad, other.first_bad);
    for (size_t i = 0; i < kFaults; ++i) faults[i] += other.faults[i];
    for (size_t i = 0; i < kRares; ++i) rares[i] += other.rares[i];
    rows |= other.rows;
  }
};

unsigned long long wide(uint64_t n) {
  return n;
}

void repeat_with(uint64_t seed) {
  std::printf("  repeat it: ./test sim --seed %llu\n", wide(seed));
}

void one_seed(uint64_t seed, Results& results) {
  results.current = seed;
  alarm(kMostSeconds);
  World world(seed, false);
  const bool good = world.run();
  alarm(0);
  ++results.seeds;
  results.steps += world.steps;
  results.points += world.oracle.points_checked;
  results.hash += mix(world.trace.hash() ^ mix(seed));
  for (size_t i = 0; i < kFaults; ++i) results.faults[i] += world.faults.counts()[i];
  for (size_t i = 0; i < kRares; ++i) results.rares[i] += world.watch.counts()[i];
  results.rows |= world.watch.rows();
  if (good) return;
  results.first_bad = std::min(results.first_bad, seed);
  if (++results.violations > kMostShown) return;
  const Violation& broken = *world.oracle.violation();
  std::printf("seed %llu: not so: %s\n  %s\n", wide(seed), broken.check.c_str(), broken.found.c_str());
  repeat_with(seed);
  std::fflush(stdout);
}

void print_counts(const char* title, size_t count, const std::array<uint64_t, kFaults>& numbers) {
  std::printf("%s", title);
  for (size_t i = 0; i < count; ++i)
    std::printf("%s%.*s %llu", i == 0 ? "" : ", ", static_cast<int>(fault_name(static_cast<Fault>(i)).size()),
                fault_name(static_cast<Fault>(i)).data(), wide(numbers[i]));
  std::printf("\n");
}

int report(const Results& all) {
  print_counts("faults: ", kFaults, all.faults);
  size_t reached = 0;
  uint64_t faults = 0;
  for (const uint64_t n : all.faults) faults += n;
  std::printf("rare branches:");
  for (size_t i = 0; i < kRares; ++i) {
    const auto name = rare_name(static_cast<Rare>(i));
    std::printf("%s %.*s %llu", i == 0 ? "" : ",", static_cast<int>(name.size()), name.data(),
                wide(all.rares[i]));
    if (all.rares[i] > 0) ++reached;
  }
  std::printf("\n");
  for (size_t i = 0; i < kRares; ++i)
    if (all.rares[i] == 0)
      std::printf("not reached: %.*s\n", static_cast<int>(rare_name(static_cast<Rare>(i)).size()),
                  rare_name(static_cast<Rare>(i)).data());
  const auto table = core::transitions();
  for (size_t i = 0; i < table.size(); ++i)
    if (!all.rows[i])
      std::printf(
          "row not taken: %.*s, if %.*s: %.*s\n", static_cast<int>(core::event_name(table[i].event).size()),
          core::event_name(table[i].event).data(), static_cast<int>(table[i].guard_name.size()),
          table[i].guard_name.data(), static_cast<int>(table[i].rule_name.size()), table[i].rule_name.data());
  std::printf("rows of the engine's table: %zu of %zu\n", all.rows.count(), table.size());
  std::printf("trace %016llx\n", wide(all.hash));
  std::printf(
      "%llu seeds, %llu steps, %llu points checked, %llu faults, %zu of %zu rare branches, %llu violations\n",
      wide(all.seeds), wide(all.steps), wide(all.points), wide(faults), reached, kRares,
      wide(all.violations));
  const bool all_reached = reached == kRares || all.seeds < kSeedsThatReachAll;
  return all.violations == 0 && all_reached ? 0 : 1;
}

}  // namespace

int run(const Plan& plan) {
  const uint64_t jobs = plan.jobs != 0 ? plan.jobs : std::max(1U, std::thread::hardware_concurrency());
  void* shared =
      mmap(nullptr, sizeof(Results) * jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  US_ASSERT(shared != MAP_FAILED);
  auto* results = static_cast<Results*>(shared);
  std::vector<pid_t> children;
  for (uint64_t job = 0; job < jobs; ++job) {
    new (&results[job]) Results();
    std::fflush(stdout);
    const pid_t child = fork();
    US_ASSERT(child >= 0);
    if (child == 0) {
      for (uint64_t i = job; i < plan.seeds; i += jobs) {
        const auto ended = [&] {
          return std::any_of(results, results + jobs,
                             [&](const Results& each) { return each.first_bad < plan.first + i; });
        };
        if (plan.until_first && ended()) break;
        one_seed(plan.first + i, results[job]);
      }
      std::fflush(stdout);
      std::exit(0);
    }
    children.push_back(child);
  }
  Results all;
  for (uint64_t job = 0; job < jobs; ++job) {
    int status = 0;
    waitpid(children[job], &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      ++results[job].violations;
      results[job].first_bad = std::min(results[job].first_bad, results[job].current);
      std::printf("seed %llu: %s\n", wide(results[job].current),
                  WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hangs"
                  : WIFSIGNALED(status)                              ? strsignal(WTERMSIG(status))
                                                                     : "the process ends");
      repeat_with(results[job].current);
    }
    all.add(results[job]);
  }
  if (plan.until_first) return all.violations == 0 ? 0 : 1;
  return report(all);
}

int tell(uint64_t seed) {
  World world(seed, true);
  const bool good = world.run();
  std::printf("trace %016llx, %llu steps\n", wide(mix(world.trace.hash() ^ mix(seed))), wide(world.steps));
  if (good) return 0;
  const Violation& broken = *world.oracle.violation();
  std::printf("seed %llu: not so: %s\n  %s\n", wide(seed), broken.check.c_str(), broken.found.c_str());
  return 1;
}

}  // namespace understudy::sim
