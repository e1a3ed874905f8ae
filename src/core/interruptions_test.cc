// What the simulator found: one thing interrupts another, and the engine must not lose its way.
#include "core/engine_driver_test.h"

namespace understudy::core {
namespace {

using namespace testing_driver;

VmFacts vm_off(const Driver& d) {
  VmFacts facts = healthy(d);
  facts.power = VmPower::off;
  return facts;
}
void inventory(Driver& d, const VmFacts& vm, const Holdings& replica) {
  to_inventory(d);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, vm, replica});
}
// A primary whose delta is under way.
Driver sending_primary() {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  EXPECT_EQ(d.state().phase, Phase::sending);
  return d;
}
// One that has seen a failover, holds its copy, and was told to go on.
Driver held_primary() {
  Driver d = replicating_primary();
  Holdings replica = replica_of(d);
  replica.lineage.generation = 2;
  replica.state = ReplicationState::recovered;
  inventory(d, vm_off(d), replica);
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  d.tell(StateCall{30, stopped_vm(), 3});
  EXPECT_EQ(d.state().phase, Phase::idle);
  return d;
}

TEST(Interruptions, APreparedReplicaIsNotPreparedAgain) {
  Driver d = waiting_replica();
  d.tell(prepare_ask());
  EXPECT_EQ(d.state().phase, Phase::waiting);
  EXPECT_EQ(find<PrepareReplica>(d.last), nullptr);
  EXPECT_TRUE(find<PrepareReply>(d.last)->warnings);
}

TEST(Interruptions, WhatCouldNotBePreparedGoesAndWhatWasThereStays) {
  const tl::unexpected<Error> why = fail(ErrorCode::no_space, "no space left");
  Driver made = preparing_replica();
  made.tell(PreparedReplica{find<PrepareReplica>(made.last)->id, why});
  EXPECT_FALSE(find<PrepareReply>(made.last)->warnings);
  EXPECT_TRUE(find<Retire>(made.last)->unprepared);
  made.restart(find<Persist>(made.last)->state);
  made.tell(Started{});
  EXPECT_TRUE(find<Retire>(made.last)->unprepared) << "also after a restart";
  Driver there = preparing_replica();
  const std::string asked = find<Persist>(there.last)->state;
  there.tell(PreparedReplica{find<PrepareReplica>(there.last)->id, why, true});
  EXPECT_FALSE(find<PrepareReply>(there.last)->warnings);
  EXPECT_EQ(find<Retire>(there.last), nullptr);
  EXPECT_EQ(there.state().phase, Phase::none);
  there.restart(asked);
  there.tell(Started{});
  there.tell(PreparedReplica{find<PrepareReplica>(there.last)->id, why, true});
  EXPECT_TRUE(find<Retire>(there.last)) << "it may be what the try before the restart made";
}

TEST(Interruptions, ARefusedCutIsKeptUntilItIsKnownThatTheReplicaDoesNotHaveIt) {
  Driver d = sending_primary();
  const uint64_t sequence = d.state().cut->sequence;
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::invalid_state, "the replica already holds it"), 0, {}});
  EXPECT_TRUE(find<Settle>(d.last)->obligations.end_job);
  EXPECT_TRUE(find<Settle>(d.last)->obligations.delete_checkpoints.empty());
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  Holdings replica = replica_of(d);
  replica.lineage.sequence = sequence;
  inventory(d, healthy(d), replica);
  EXPECT_EQ(d.state().base_sequence, sequence);
}

TEST(Interruptions, ARefusedCutThatTheReplicaDoesNotHaveIsGivenUp) {
  Driver d = sending_primary();
  const std::string checkpoint = d.state().cut->checkpoint;
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::corrupt, "damaged"), 0, {}});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  inventory(d, healthy(d), replica_of(d));
  EXPECT_THAT(find<Settle>(d.last)->obligations.delete_checkpoints, testing::ElementsAre(checkpoint));
}

TEST(Interruptions, WhatIsDoneOfObligationsIsNotOwedAnyMore) {
  Driver d = sending_primary();
  d.tell(Sent{find<Send>(d.last)->id, std::optional<RecoveryPoint>(point_of(d)), 1, {}});
  Obligations left = find<Settle>(d.last)->obligations;
  left.end_job = false;
  d.tell(Settled{find<Settle>(d.last)->id, fail(ErrorCode::not_available, "libvirt is away"), left});
  EXPECT_FALSE(d.state().obligations.end_job);
  EXPECT_EQ(d.state().obligations.delete_checkpoints, left.delete_checkpoints);
}

TEST(Interruptions, TheCauseOfAWaitingResyncIsTheResyncWhateverWentWrongBeforeIt) {
  Driver d = replicating_primary();
  VmFacts broken = healthy(d);
  broken.broken_checkpoints = broken.checkpoints;
  inventory(d, broken, replica_of(d));
  d.tell(Settled{find<Settle>(d.last)->id, fail(ErrorCode::not_available, "libvirt is away")});
  d.tell(TimerDue{});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  EXPECT_EQ(d.state().phase, Phase::unsynced);
  EXPECT_THAT(d.state().cause->hint(), testing::HasSubstr("understudy resync"));
}

TEST(Interruptions, AHoldIsLiftedAlsoWhenTheVmIsOffAndOtherThingsAreOwed) {
  Driver d = held_primary();
  inventory(d, vm_off(d), replica_of(d));
  ASSERT_TRUE(find<Settle>(d.last)->obligations.lift_hold);
  d.tell(Settled{find<Settle>(d.last)->id, fail(ErrorCode::out_of_memory, "too much is queued")});
  inventory(d, vm_off(d), replica_of(d));
  ASSERT_NE(find<Settle>(d.last), nullptr) << "nobody can start it before";
  EXPECT_TRUE(find<Settle>(d.last)->obligations.lift_hold);
}

TEST(Interruptions, ASecondFailoverIsHeldThoughTheFirstHoldWasBeingLifted) {
  Driver d = held_primary();
  inventory(d, vm_off(d), replica_of(d));
  d.tell(Settled{find<Settle>(d.last)->id, fail(ErrorCode::not_available, "libvirt is away")});
  Holdings replica = replica_of(d);
  replica.lineage.generation = 3;
  replica.state = ReplicationState::recovered;
  inventory(d, vm_off(d), replica);
  EXPECT_FALSE(find<Settle>(d.last)->obligations.hold.empty());
  EXPECT_FALSE(find<Settle>(d.last)->obligations.lift_hold);
}

TEST(Interruptions, AnotherProgramsJobIsNotTakenForOurs) {
  Driver d = sending_primary();
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::not_available, "connection reset"), 0, {}});
  VmFacts vm = healthy(d);
  vm.job_open = vm.job_foreign = true;
  inventory(d, vm, replica_of(d));
  EXPECT_FALSE(d.state().cut) << "its own job is gone";
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  inventory(d, vm, replica_of(d));
  EXPECT_EQ(d.state().phase, Phase::idle);
  EXPECT_THAT(d.state().cause->hint(), testing::HasSubstr("domjobabort"));
}

TEST(Interruptions, PassesThatAreNotWholeAreCopiedAgain) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  cycle(d, 1 << 30);
  Holdings replica = replica_of(d);
  replica.staging->cursor = {0, 65536};
  inventory(d, healthy(d), replica);
  EXPECT_EQ(d.state().passes, 0u);
}

TEST(Interruptions, AFailoverThatCanNeitherBeCompletedNorUndoneIsTriedAgain) {
  Driver d = standby_replica();
  const std::vector<RecoveryPoint> points = {received_point(d, 1)};
  d.tell(FailoverCall{9, stopped_vm(), {}, points, 0, {}});
  d.tell(Stopped{find<StopReceiving>(d.last)->id, points});
  d.tell(FailedOver{find<FailOver>(d.last)->id, fail(ErrorCode::no_space, "no space left"), false});
  EXPECT_EQ(published_state(d.state()), ReplicationState::failover_in_progress);
  EXPECT_EQ(d.state().cause->code(), ErrorCode::no_space);
  d.tell(TimerDue{});
  EXPECT_EQ(find<FailOver>(d.last)->generation, 2u);
}

}  // namespace
}  // namespace understudy::core
