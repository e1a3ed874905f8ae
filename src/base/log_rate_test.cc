#include "base/log_rate.h"

#include <gtest/gtest.h>

namespace understudy {
namespace {

TEST(LogRate, AFloodIsAFewLinesASecondAndANumber) {
  LogRate rate;
  Monotonic now{5};
  for (uint32_t n = 0; n < LogRate::kMost; ++n) EXPECT_EQ(rate.pass(now), 0U);
  for (int n = 0; n < 1000; ++n) EXPECT_EQ(rate.pass(now), std::nullopt);
  now = now + Duration::seconds(1);
  EXPECT_EQ(rate.pass(now), 1000U);
  EXPECT_EQ(rate.pass(now), 0U);
}

}  // namespace
}  // namespace understudy
