#include "daemon/vm_finder.h"

#include <gtest/gtest.h>

#include <latch>

namespace understudy::daemon {
namespace {

TEST(VmFinder, AnswersInTimeWhateverTheHypervisorDoes) {
  std::latch answers(1);
  std::atomic<int> asked = 0;
  const Uuid hangs = Uuid::random(), there = Uuid::random();
  VmFinder finder(
      [&](const Uuid& vm) -> Result<core::VmSummary> {
        ++asked;
        if (vm == hangs) answers.wait();
        core::VmSummary found;
        found.id = vm;
        return found;
      },
      Duration::millis(100));
  EXPECT_EQ(finder.find(there)->id, there);
  EXPECT_EQ(finder.find(hangs).error().code(), ErrorCode::not_available);
  const auto waiting = finder.find(there);  // behind the one that hangs
  ASSERT_FALSE(waiting);
  EXPECT_NE(waiting.error().hint().find("libvirtd"), std::string::npos);
  answers.count_down();
  Result<core::VmSummary> found = finder.find(there);
  while (!found) found = finder.find(there);
  EXPECT_EQ(found->id, there);
}

}  // namespace
}  // namespace understudy::daemon
