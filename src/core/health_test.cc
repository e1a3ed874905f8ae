// What is told as health: the relationship, this host, the other one, and their clocks; it ends by itself.
#include "core/health.h"

#include <gtest/gtest.h>

#include "core/engine_driver_test.h"

namespace understudy::core {
namespace {
using namespace testing_driver;
using enum ReplicationHealth;

std::vector<Health> issues(const Driver& d) {
  return health_issues(d.state(), d.now.wall);
}
// A replica to which nothing is wrong by itself.
Driver fresh_replica() {
  Driver d = standby_replica();
  State state = d.state();
  state.times.last_replication = d.now.wall;
  return Driver(state);
}
Finding space(ReplicationHealth level, const char* cause) {
  return {level, "space", cause, "free space"};
}
// An inventory to which the replica answers so.
void inventory(Driver& d, std::optional<HostState> host, Duration ahead) {
  to_inventory(d);
  Holdings held = replica_of(d);
  held.host = std::move(host);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held, ahead});
}

TEST(Health, TellsWhatALookFoundUntilItIsNotFoundAgain) {
  Driver d = replicating_primary();
  EXPECT_TRUE(issues(d).empty());
  d.tell(Checked{{space(warning, "12 MiB are free")}, {}});
  const Wall found = d.now.wall;
  d.pass(Duration::seconds(300));
  d.tell(Checked{{space(critical, "1 MiB is free"), {warning, "definition", "a network is gone", ""}}, {}});
  ASSERT_EQ(issues(d).size(), 2U);
  EXPECT_EQ(issues(d)[0].cause, "1 MiB is free");
  EXPECT_EQ(issues(d)[0].since, found) << "it is as old as it was";
  EXPECT_EQ(issues(d)[1].since, d.now.wall);
  EXPECT_EQ(health_of(d.state(), d.now.wall).level, critical);
  d.tell(Checked{});
  EXPECT_EQ(health_of(d.state(), d.now.wall).level, ok);
  Driver none;
  none.tell(Checked{{space(critical, "of nobody")}, {}});
  EXPECT_TRUE(issues(none).empty());
}

TEST(Health, TheWorstComesFirstWhateverItIs) {
  Driver d = replicating_primary();
  d.tell(StateCall{8, running_vm(), 7});
  d.tell(Checked{{space(critical, "full")}, {}});
  ASSERT_EQ(issues(d).size(), 2U);
  EXPECT_EQ(issues(d)[0].cause, "full");
  EXPECT_EQ(issues(d)[1].cause, "replication is paused");
}

TEST(Health, TellsWhatTheOtherHostSaysOfItself) {
  Driver d = replicating_primary();
  inventory(d, HostState{d.now.wall, {space(critical, "nothing is free")}}, {});
  ASSERT_EQ(issues(d).size(), 1U);
  EXPECT_EQ(issues(d)[0].cause, "on HOSTB: nothing is free");
  EXPECT_EQ(issues(d)[0].next, "there: free space");

  Driver replica = fresh_replica();
  replica.tell(
      QueryAsk{5, "hosta", {}, {}, {}, HostState{replica.now.wall, {space(warning, "little is free")}}});
  ASSERT_EQ(issues(replica).size(), 1U);
  EXPECT_EQ(issues(replica)[0].cause, "on hosta: little is free");
  replica.tell(QueryAsk{6, "hostx", {}, {}, {}, HostState{replica.now.wall, {space(critical, "a lie")}}});
  EXPECT_EQ(issues(replica)[0].cause, "on hosta: little is free");
  replica.tell(QueryAsk{7, "hosta", {}, {}, {}, HostState{replica.now.wall, {}}});
  EXPECT_TRUE(issues(replica).empty());
  // And answers with its own.
  replica.tell(Checked{{space(warning, "12 MiB are free")}, {}});
  replica.tell(QueryAsk{8, "hosta", {}, {}});
  const auto& host = find<QueryReply>(replica.last)->holdings->host;
  ASSERT_TRUE(host);
  EXPECT_EQ(host->clock, replica.now.wall);
  ASSERT_EQ(host->findings.size(), 1U);
  EXPECT_EQ(host->findings[0].check, "space");
}

TEST(Health, TellsClocksThatDiffer) {
  Driver d = replicating_primary();
  inventory(d, HostState{}, limits::kClockSkewMost);
  EXPECT_TRUE(issues(d).empty());
  Driver e = replicating_primary();
  inventory(e, HostState{}, Duration::seconds(7200));
  ASSERT_EQ(issues(e).size(), 1U);
  EXPECT_EQ(issues(e)[0].level, warning);
  EXPECT_NE(issues(e)[0].cause.find("HOSTB is 2 h ahead of"), std::string::npos) << issues(e)[0].cause;
  EXPECT_EQ(issues(e)[0].since, e.now.wall);

  Driver replica = fresh_replica();
  replica.tell(QueryAsk{5, "hosta", {}, {}, {}, HostState{replica.now.wall + Duration::seconds(-60), {}}});
  ASSERT_EQ(issues(replica).size(), 1U);
  EXPECT_NE(issues(replica)[0].cause.find("behind"), std::string::npos) << issues(replica)[0].cause;
  replica.tell(QueryAsk{6, "hosta", {}, {}, {}, HostState{replica.now.wall, {}}});
  EXPECT_TRUE(issues(replica).empty());
}

TEST(Health, TellsAnotherVersionUntilItIsThisOne) {
  Driver d = replicating_primary();
  to_inventory(d);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), replica_of(d), {}, "0.0.9"});
  ASSERT_EQ(issues(d).size(), 1U);
  EXPECT_EQ(issues(d)[0].level, warning);
  EXPECT_NE(issues(d)[0].cause.find("HOSTB runs version 0.0.9"), std::string::npos) << issues(d)[0].cause;

  Driver replica = fresh_replica();
  QueryAsk query{5, "hosta", {}, {}};
  query.version = "0.2.0";
  replica.tell(query);
  const Wall found = replica.now.wall;
  replica.pass(Duration::seconds(30));
  replica.tell(query);
  ASSERT_EQ(issues(replica).size(), 1U);
  EXPECT_EQ(issues(replica)[0].since, found);
  query.version = "";
  replica.tell(query);
  EXPECT_EQ(issues(replica).size(), 1U) << "nothing is known that is new";
  query.version = UNDERSTUDY_VERSION;
  replica.tell(query);
  EXPECT_TRUE(issues(replica).empty());
}

TEST(Health, SlowCyclesAreAWarning) {
  Driver d = replicating_primary();
  State state = d.state();
  state.statistics.successes = 2;
  state.statistics.latency_seconds = 602;
  EXPECT_EQ(health_of(state, d.now.wall).level, warning);
  state.statistics.latency_seconds = 600;
  EXPECT_EQ(health_of(state, d.now.wall).level, ok);
}

TEST(Statistics, BeginAnewWithTheirWindow) {
  Driver d = replicating_primary();
  ASSERT_EQ(d.state().statistics.successes, 1U);
  d.tell(Checked{{}, d.state().statistics.since});
  EXPECT_EQ(d.state().statistics.successes, 1U);
  d.pass(Duration::seconds(3600));
  const Wall window = d.now.wall + Duration::seconds(-10);
  d.tell(Checked{{}, window});
  EXPECT_EQ(d.state().statistics.successes, 0U);
  EXPECT_EQ(d.state().statistics.since, window);
  EXPECT_TRUE(find<Persist>(d.last));
}

}  // namespace
}  // namespace understudy::core
