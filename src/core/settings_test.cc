// ModifyReplicationSettings: when it is taken, when it is refused, and how the replica learns of it.
#include <gtest/gtest.h>

#include "core/engine_driver_test.h"

namespace understudy::core {
namespace {
using namespace testing_driver;

ModifyCall change(const Driver& d, uint32_t interval, uint32_t history = 0) {
  ModifyCall call{30, running_vm(), d.state().settings, d.state().settings};
  call.settings.replication_interval = interval;
  call.settings.recovery_history = history;
  return call;
}
bool taken(const Driver& d) {
  return find<Reply>(d.last)->job.has_value();
}
ErrorCode refused(const Driver& d) {
  EXPECT_FALSE(taken(d));
  return find<Reply>(d.last)->job.error().code();
}

TEST(Settings, AreTakenFromTheNextCycleOn) {
  Driver d = replicating_primary();
  const Monotonic started{d.now.monotonic.us - Duration::seconds(1).us};
  d.tell(change(d, 900, 5));
  EXPECT_TRUE(taken(d));
  EXPECT_FALSE(find<Reply>(d.last)->job->has_value()) << "no job is needed";
  EXPECT_LT(position<Persist>(d.last), position<Reply>(d.last));
  EXPECT_EQ(find<Arm>(d.last)->due.us, (started + Duration::seconds(900)).us);
  d.pass(Duration::seconds(60));
  d.tell(change(d, 30));
  EXPECT_EQ(find<Arm>(d.last)->due.us, d.now.monotonic.us) << "overdue by the new interval";
  const std::string stored = find<Persist>(d.last)->state;
  d.restart(stored);
  EXPECT_EQ(d.state().settings.replication_interval, 30U);

  // In the middle of a cycle: it ends as it was begun, the next one comes by the new interval.
  d.tell(TimerDue{});
  d.tell(change(d, 300));
  EXPECT_TRUE(taken(d));
  EXPECT_EQ(find<Arm>(d.last), nullptr);
  EXPECT_EQ(d.state().phase, Phase::inventory);
}

TEST(Settings, OfARelationshipThatWaitsAreTakenAtOnce) {
  Driver d = replicating_primary();
  d.tell(StateCall{8, running_vm(), 7});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  d.tell(change(d, 900));
  EXPECT_TRUE(taken(d));
  EXPECT_EQ(find<Arm>(d.last), nullptr) << "it is paused";
  Driver ready = ready_primary();
  ready.tell(change(ready, 300));
  EXPECT_TRUE(taken(ready));
  EXPECT_EQ(ready.state().settings.replication_interval, 300U);
}

TEST(Settings, OnlyOfAPrimaryAndOnlyFromWhatTheyAre) {
  Driver none;
  none.tell(change(none, 300));
  EXPECT_EQ(refused(none), ErrorCode::invalid_state);
  Driver replica = standby_replica();
  replica.tell(change(replica, 300));
  EXPECT_EQ(refused(replica), ErrorCode::invalid_state);
  EXPECT_NE(find<Reply>(replica.last)->job.error().hint().find("hosta"), std::string::npos);

  Driver d = replicating_primary();
  ModifyCall first = change(d, 300);
  ModifyCall second = change(d, 900);
  d.tell(first);
  d.tell(second);
  EXPECT_EQ(refused(d), ErrorCode::in_use);
  EXPECT_EQ(d.state().settings.replication_interval, 300U);
  second = change(d, 900);
  second.facts.hypervisor = Error(ErrorCode::not_available, "libvirt does not answer");
  d.tell(second);
  EXPECT_EQ(refused(d), ErrorCode::not_available);
}

TEST(Settings, AreNotChangedWhileBothSidesAreCompared) {
  Driver d = replicating_primary();
  d.tell(StateCall{8, running_vm(), 7});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  d.tell(ResyncCall{9, running_vm(), {}});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  d.tell(TimerDue{});
  ASSERT_TRUE(d.state().resync && d.state().resync->running);
  d.tell(change(d, 900));
  EXPECT_EQ(refused(d), ErrorCode::invalid_state);
}

TEST(Settings, AReplicaTakesThoseOfItsPrimary) {
  Driver d = standby_replica();
  ReplicationSettings settings = d.state().settings;
  settings.recovery_history = 7;
  d.tell(QueryAsk{5, "hosta", {}, {}, settings});
  EXPECT_TRUE(find<QueryReply>(d.last)->holdings);
  EXPECT_LT(position<Persist>(d.last), position<QueryReply>(d.last));
  EXPECT_EQ(d.state().settings.recovery_history, 7U);
  d.tell(QueryAsk{6, "hosta", {}, {}, settings});
  EXPECT_EQ(find<Persist>(d.last), nullptr) << "nothing is new";
  settings.recovery_history = 9;
  d.tell(QueryAsk{7, "hostx", {}, {}, settings});
  EXPECT_FALSE(find<QueryReply>(d.last)->holdings);
  d.tell(QueryAsk{8, "hosta", {}, {}});
  EXPECT_EQ(d.state().settings.recovery_history, 7U) << "a primary of before says nothing of them";
}

}  // namespace
}  // namespace understudy::core
