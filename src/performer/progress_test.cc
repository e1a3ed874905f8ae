#include "performer/progress.h"

#include <gtest/gtest.h>

namespace understudy::performer {
namespace {

TEST(Progress, NeverGoesBackAndAddsPasses) {
  Progress progress;
  Job job;
  job.id = Uuid::random();
  progress.report(job.id, 1, 50, 100);
  progress.report(job.id, 1, 40, 100);  // resumed a little earlier
  progress.fill(job);
  EXPECT_EQ(job.bytes_done, 50u);
  EXPECT_EQ(job.percent(), 50);
  progress.report(job.id, 1, 100, 100);
  progress.report(job.id, 2, 10, 60);
  progress.fill(job);
  EXPECT_EQ(job.bytes_done, 110u);
  EXPECT_EQ(job.bytes_total, 160u);
  EXPECT_EQ(job.percent(), 99);  // it was that much when the first pass ended
}

TEST(Progress, GoesOnWhereItWasAfterARestart) {
  Progress before;
  Job job;
  job.id = Uuid::random();
  before.report(job.id, 1, 100, 100);
  before.report(job.id, 2, 10, 300);
  job.progress = before.shown(job.id, false);  // what the engine stores
  EXPECT_EQ(job.progress, (JobProgress{100, 99}));
  EXPECT_EQ(job.percent(), 99);

  Progress after;
  EXPECT_FALSE(after.shown(job.id, true));
  after.resume(job);
  after.report(job.id, 2, 20, 300);
  after.fill(job);
  EXPECT_EQ(job.bytes_done, 120u);
  EXPECT_EQ(job.bytes_total, 400u);
  EXPECT_EQ(job.percent(), 99);
  EXPECT_EQ(after.shown(job.id, true)->complete, 120u);
}

}  // namespace
}  // namespace understudy::performer
