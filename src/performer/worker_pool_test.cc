#include "performer/worker_pool.h"

#include <gtest/gtest.h>

#include <latch>

namespace understudy::performer {
namespace {

TEST(WorkerPool, RunsInOrderAndRefusesWhatIsTooMuch) {
  WorkerPool pool("test", 1, 2);
  std::latch started(1);
  std::latch go(1);
  std::latch done(2);
  std::string order;
  ASSERT_TRUE(pool.submit([&] {
    started.count_down();
    go.wait();
  }));
  started.wait();
  ASSERT_TRUE(pool.submit([&] { order += "a", done.count_down(); }));
  ASSERT_TRUE(pool.submit([&] { order += "b", done.count_down(); }));
  const Status full = pool.submit([] {});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::out_of_memory);
  go.count_down();
  done.wait();
  EXPECT_EQ(order, "ab");
  pool.stop();
  EXPECT_EQ(pool.submit([] {}).error().code(), ErrorCode::cancelled);
}

}  // namespace
}  // namespace understudy::performer
