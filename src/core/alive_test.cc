#include "core/alive.h"

#include <gtest/gtest.h>

#include "core/engine_driver_test.h"

namespace understudy::core {
namespace {

using namespace testing_driver;

State replica_with(uint32_t interval, std::optional<Monotonic> heard) {
  State state;
  state.phase = Phase::standby;
  state.primary_name = "hosta";
  state.settings.replication_interval = interval;
  state.heard = heard;
  return state;
}
Monotonic after(int64_t seconds) {
  return Monotonic{} + Duration::seconds(seconds);
}

TEST(PrimarySeen, IsAliveForTwoIntervalsAndThirtySeconds) {
  for (const uint32_t interval : {30U, 300U, 900U}) {
    const State state = replica_with(interval, after(100));
    const Monotonic last = after(100) + Duration::seconds(interval) * 2 + Duration::seconds(30);
    EXPECT_TRUE(primary_seen(state, {}, after(100)).alive);
    EXPECT_TRUE(primary_seen(state, {}, last).alive);
    EXPECT_FALSE(primary_seen(state, {}, last + Duration{1}).alive);
    EXPECT_EQ(primary_seen(state, {}, after(114)).heard, Duration::seconds(14));
  }
}

TEST(PrimarySeen, NeverHeardIsNotAlive) {
  const PrimarySeen seen = primary_seen(replica_with(30, {}), {}, after(5));
  EXPECT_FALSE(seen.heard);
  EXPECT_FALSE(seen.alive);
}

TEST(PrimarySeen, DataOfALongTransferCount) {
  const State state = replica_with(30, after(100));
  const PrimarySeen seen = primary_seen(state, after(990), after(1000));
  EXPECT_TRUE(seen.alive);
  EXPECT_EQ(seen.heard, Duration::seconds(10));
  EXPECT_EQ(primary_seen(state, after(50), after(101)).heard, Duration::seconds(1));
}

TEST(PrimarySeen, OnlyAReplicaHasAPrimary) {
  State state = replica_with(30, after(100));
  state.phase = Phase::idle;
  EXPECT_FALSE(primary_seen(state, after(100), after(100)).heard);
}

TEST(PrimarySeen, EveryQuestionOfTheRightHostIsHeard) {
  Driver d = standby_replica();
  const TransferKey key{{d.state().lineage.set, 1, 2}, 0, TransferKind::delta};
  const auto heard_now = [&d](const Event& event) {
    d.pass(Duration::seconds(40));
    d.tell(event);
    return d.state().heard == d.now.monotonic;
  };
  EXPECT_TRUE(heard_now(QueryAsk{11, "hosta", {}, {}}));
  EXPECT_TRUE(heard_now(BeginAsk{12, "hosta", key, 65536}));
  d.tell(StagingOpened{find<OpenStaging>(d.last)->id, Cursor{}});
  EXPECT_TRUE(heard_now(FinishAsk{13, "hosta", key, {}, PointType::standard, PointKeep::no, {}, 10}));
  EXPECT_FALSE(heard_now(QueryAsk{14, "hostx", {}, {}}));
  EXPECT_FALSE(heard_now(BeginAsk{15, "hostx", key, 65536}));
  EXPECT_FALSE(heard_now(TimerDue{}));
}

TEST(PrimarySeen, IsNotStored) {
  Driver d = standby_replica();
  ASSERT_TRUE(d.state().heard);
  d.restart(encode_state(d.state()));
  EXPECT_FALSE(d.state().heard);
}

TEST(PrimarySeen, AFailoverBesideALivingPrimarySaysSo) {
  for (const std::optional<bool> running :
       {std::optional(true), std::optional(false), std::optional<bool>()}) {
    Driver d = standby_replica();
    FailoverCall call;
    call.call = 20;
    call.facts = stopped_vm();
    call.points = {received_point(d, 1)};
    call.primary_running = running;
    d.tell(call);
    ASSERT_EQ(d.state().phase, Phase::stopping);
    EXPECT_EQ(d.state().failover->primary_running, running.value_or(false));
    EXPECT_EQ(d.state().jobs.back().title,
              "Failover of vm1" + std::string(running.value_or(false)
                                                  ? " while the primary is alive and may still run this VM"
                                                  : ""));
  }
}

}  // namespace
}  // namespace understudy::core
