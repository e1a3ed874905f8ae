#include "daemon/vm_finder.h"

#include <gtest/gtest.h>

#include <latch>

namespace understudy::daemon {
namespace {

TEST(VmFinder, AnswersInTimeWhateverTheHypervisorDoes) {
  std::latch answers(1);
  std::atomic<int> asked = 0;
  const Uuid hangs = Uuid::random(), there = Uuid::random();
  VmFinder finder([&](const Uuid& vm) -> Result<core::VmSummary> {
    ++asked;
    if (vm == hangs) answers.wait();
    core::VmSummary found;
    found.id = vm;
    return found;
  });
  const Duration soon = Duration::millis(100), late = Duration::seconds(60);
  EXPECT_EQ(finder.find(there, late)->id, there);
  EXPECT_EQ(finder.find(hangs, soon).error().code(), ErrorCode::not_available);
  EXPECT_EQ(finder.find(there, late)->id, there);  // one that hangs delays nobody who asks for another
  const auto waiting = finder.find(hangs, soon);
  ASSERT_FALSE(waiting);
  EXPECT_NE(waiting.error().hint().find("libvirtd"), std::string::npos);
  answers.count_down();
  EXPECT_EQ(finder.find(hangs, late)->id, hangs);
}

}  // namespace
}  // namespace understudy::daemon
