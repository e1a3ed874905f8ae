#include "core/recovered.h"

#include <gtest/gtest.h>

#include "model/codec.h"

namespace understudy::core {
namespace {

FoundReplica found() {
  FoundReplica replica;
  replica.vm = *Uuid::parse("11111111-2222-4333-8444-555555555555");
  replica.name = "vm1";
  replica.directory = "/srv/replicas/vm1";
  replica.primary = "hosta";
  ReplicationSettings settings;
  settings.recovery_history = 7;
  replica.settings = encode(settings);
  replica.disks = {{"vda", 1 << 20}};
  replica.newest = {*Uuid::parse("99999999-2222-4333-8444-555555555555"), 3, 12};
  RecoveryPoint point;
  point.id = *Uuid::parse("77777777-2222-4333-8444-555555555555");
  point.lineage = replica.newest;
  point.cut = {1'700'000'000'000'000};
  replica.points = {point};
  return replica;
}

TEST(RecoveredState, GoesOnReceiving) {
  const auto state = recovered_state(found(), {1});
  ASSERT_TRUE(state);
  EXPECT_EQ(published_state(*state), ReplicationState::replicating);
  EXPECT_EQ(state->settings.recovery_history, 7u);
  EXPECT_EQ(state->primary_name, "hosta");
  EXPECT_EQ(state->times.last_cut.us, 1'700'000'000'000'000);
  EXPECT_EQ(encode_state(*decode_state(encode_state(*state))), encode_state(*state));
}

TEST(RecoveredState, WithoutAPointItWaitsForTheFirstCopy) {
  FoundReplica replica = found();
  replica.points.clear();
  EXPECT_EQ(recovered_state(replica, {1})->phase, Phase::waiting);
}

TEST(RecoveredState, AFailoverGoesOnWhereTheStoreStands) {
  FoundReplica replica = found();
  replica.failover = {replica.points[0].id, 4, false};
  const auto begun = recovered_state(replica, {1});
  EXPECT_EQ(begun->phase, Phase::failing_over);
  EXPECT_EQ(begun->failover->generation, 4u);
  replica.failover->complete = true;
  const auto complete = recovered_state(replica, {1});
  EXPECT_EQ(complete->phase, Phase::releasing);
  EXPECT_EQ(complete->lineage.generation, 4u);
}

TEST(RecoveredState, AnEngineThatIsKeptForItsJobsKnowsNothing) {
  State forgotten;
  forgotten.vm = found().vm;
  forgotten.jobs.emplace_back();
  EXPECT_FALSE(knows_relationship(encode_state(forgotten)));
  EXPECT_TRUE(knows_relationship(encode_state(*recovered_state(found(), {1}))));
  EXPECT_TRUE(knows_relationship("cannot be read"));
}

TEST(RecoveredState, SettingsThatCannotBeReadAreAnError) {
  FoundReplica replica = found();
  replica.settings = "{";
  EXPECT_FALSE(recovered_state(replica, {1}));
}

}  // namespace
}  // namespace understudy::core
