#include <span>

#include "core/engine_driver_test.h"
#include "core/health.h"

namespace understudy::core {
namespace {

using namespace testing_driver;

// Tells the inventory that is awaited what the hypervisor has, everything else being well.
void inventory(Driver& d, const VmFacts& vm) {
  to_inventory(d);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, vm, replica_of(d)});
}
void settle(Driver& d) {
  ASSERT_EQ(d.state().phase, Phase::settling);
  d.tell(Settled{find<Settle>(d.last)->id, {}});
}
ErrorCode refusal(const Driver& d) {
  return find<Reply>(d.last)->job.error().code();
}

Driver unsynced_primary(bool automatic = false) {
  Driver d = replicating_primary();
  State with = d.state();
  with.settings.auto_resynchronize_enabled = automatic;
  with.settings.auto_resynchronize_start = with.settings.auto_resynchronize_end = 0;
  d.restart(encode_state(with));
  VmFacts vm = healthy(d);
  vm.broken_checkpoints = {d.state().base_checkpoint};
  inventory(d, vm);
  settle(d);
  EXPECT_EQ(d.state().phase, Phase::unsynced);
  return d;
}

void resync(Driver& d) {
  d.tell(ResyncCall{20, running_vm(), {}});
  ASSERT_TRUE(find<Reply>(d.last)->job.has_value());
  settle(d);
}

TEST(Resync, ABrokenBitmapStopsCyclesAndSaysWhy) {
  Driver d = unsynced_primary();
  EXPECT_EQ(published_state(d.state()), ReplicationState::critical);
  EXPECT_THAT(d.state().cause->message(), testing::HasSubstr("did not end cleanly"));
  EXPECT_EQ(health_of(d.state(), d.now.wall).level, ReplicationHealth::critical);
  d.tell(TimerDue{});
  EXPECT_EQ(d.state().phase, Phase::unsynced);
}

TEST(Resync, ADiskWrittenWhileTheVmWasOffStopsCycles) {
  Driver d = replicating_primary();
  VmFacts vm = healthy(d);
  vm.changed_while_off = {"vdb"};
  inventory(d, vm);
  EXPECT_THAT(d.state().cause->message(), testing::HasSubstr("vdb"));
  const std::string base = d.state().base_checkpoint;
  EXPECT_TRUE(base.empty());
}

TEST(Resync, AnotherSequenceOnTheReplicaGetsNoDelta) {
  Driver d = replicating_primary();
  to_inventory(d);
  Holdings held = replica_of(d);
  held.lineage.sequence += 5;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  EXPECT_EQ(find<RequestSlot>(d.last), nullptr);
  settle(d);
  EXPECT_EQ(d.state().phase, Phase::unsynced);
  resync(d);
  // What it has now is what this host compares with, and no later cut repeats a number.
  to_inventory(d);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  settle(d);
  EXPECT_EQ(d.state().base_sequence, held.lineage.sequence);
  EXPECT_GE(d.state().lineage.sequence, held.lineage.sequence);
}

// Another certificate name, of the same trust group: what this host recorded need not continue it.
TEST(Resync, WhatAnotherHostSentGetsNoDelta) {
  Driver d = replicating_primary();
  to_inventory(d);
  Holdings held = replica_of(d);
  held.sender = OtherSender{"hostz"};
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  EXPECT_EQ(find<RequestSlot>(d.last), nullptr);
  settle(d);
  EXPECT_EQ(d.state().phase, Phase::unsynced);
  EXPECT_THAT(d.state().cause->message(), testing::HasSubstr("was sent by 'hostz'"));
}

TEST(Resync, ACutIsNotAcknowledgedByTheNumberOfAnotherHost) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 100});
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::not_available, "cut"), 0, {}});
  const uint64_t cut = d.state().cut->sequence;
  const uint64_t base = d.state().base_sequence;
  to_inventory(d);
  Holdings held = replica_of(d);
  held.lineage.sequence = cut;
  held.sender = OtherSender{"hostz"};
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  EXPECT_EQ(d.state().base_sequence, base);
  settle(d);
  EXPECT_EQ(d.state().phase, Phase::unsynced);
}

TEST(Resync, ComparesFirstAndThenClosesWithAnIncrementFromNothing) {
  Driver d = unsynced_primary();
  const uint64_t held = d.state().base_sequence;
  resync(d);
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
  inventory(d, healthy(d));
  d.tell(SlotGranted{});
  EXPECT_FALSE(find<OpenJob>(d.last)->request.from);
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1 << 20});
  const Send pass = *find<Send>(d.last);
  EXPECT_EQ(pass.key.kind, TransferKind::pass);
  ASSERT_TRUE(pass.compare_with);
  EXPECT_EQ(pass.compare_with->sequence, held);
  d.tell(Sent{pass.id, std::optional<RecoveryPoint>(), 1, {}});
  settle(d);
  inventory(d, healthy(d));
  d.tell(SlotGranted{});
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const Send closing = *find<Send>(d.last);
  EXPECT_EQ(closing.key.kind, TransferKind::delta);
  EXPECT_EQ(closing.key.from, 0u);
  EXPECT_FALSE(closing.compare_with);
  d.tell(Sent{closing.id, std::optional<RecoveryPoint>(point_of(d)), 1, {}});
  EXPECT_FALSE(d.state().resync);
  EXPECT_EQ(published_state(d.state()), ReplicationState::replicating);
  for (const Job& job : d.state().jobs)
    if (job.type == JobType::resynchronize) {
      EXPECT_EQ(job.state, JobState::completed);
    }
}

TEST(Resync, BeginsByItselfInItsWindowAndOnlyThere) {
  Driver d = unsynced_primary(true);
  EXPECT_EQ(published_state(d.state()), ReplicationState::waiting_for_resync);
  EXPECT_EQ(find<Arm>(d.last)->due, d.now.monotonic);
  d.tell(TimerDue{});
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);

  Driver outside = unsynced_primary(true);
  State with = outside.state();
  const uint32_t at = second_of_local_day(outside.now.wall);
  with.settings.auto_resynchronize_start = (at + 3600) % 86400;
  with.settings.auto_resynchronize_end = (at + 7200) % 86400;
  outside.restart(encode_state(with));
  outside.tell(TimerDue{});
  EXPECT_EQ(outside.state().phase, Phase::unsynced);
  outside.pass(Duration::seconds(3601));
  outside.tell(TimerDue{});
  EXPECT_EQ(published_state(outside.state()), ReplicationState::resynchronizing);
}

TEST(Resync, WaitsForTheTimeItWasAskedFor) {
  Driver d = unsynced_primary();
  d.tell(ResyncCall{20, running_vm(), d.now.wall + Duration::seconds(600)});
  settle(d);
  EXPECT_EQ(published_state(d.state()), ReplicationState::waiting_for_resync);
  d.tell(TimerDue{});
  EXPECT_EQ(d.state().phase, Phase::unsynced);
  d.pass(Duration::seconds(601));
  d.tell(TimerDue{});
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
}

TEST(Resync, IsPausedResumedAndCancelled) {
  Driver d = unsynced_primary(true);
  resync(d);
  d.tell(StateCall{21, running_vm(), 7});
  EXPECT_EQ(published_state(d.state()), ReplicationState::resync_suspended);
  settle(d);
  d.tell(TimerDue{});
  EXPECT_EQ(d.state().phase, Phase::idle);
  d.tell(StateCall{22, running_vm(), 3});
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
  d.tell(StateCall{23, running_vm(), 9});
  settle(d);
  EXPECT_EQ(published_state(d.state()), ReplicationState::waiting_for_resync);
  d.tell(TimerDue{});
  EXPECT_EQ(d.state().phase, Phase::unsynced);  // only a call begins it again
  resync(d);
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
}

TEST(Resync, AskedForWhileACancelledOneSettlesBeginsAfterIt) {
  Driver d = unsynced_primary();
  resync(d);
  d.tell(StateCall{23, running_vm(), 9});
  ASSERT_EQ(published_state(d.state()), ReplicationState::waiting_for_resync);
  const Settle settling = *find<Settle>(d.last);
  d.tell(ResyncCall{24, running_vm(), {}});
  ASSERT_TRUE(find<Reply>(d.last)->job.has_value());
  const Uuid job = **find<Reply>(d.last)->job;
  d.tell(ResyncCall{25, running_vm(), {}});
  EXPECT_EQ(**find<Reply>(d.last)->job, job) << "asked for twice, done once";
  d.tell(Settled{settling.id, {}});
  EXPECT_EQ(find<Arm>(d.last)->due, d.now.monotonic);
  d.tell(TimerDue{});
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
  EXPECT_EQ(find_job(d.state(), job)->state, JobState::running);
}

TEST(Resync, AHealthyRelationshipIsNotCompared) {
  Driver d = replicating_primary();
  d.tell(ResyncCall{20, running_vm(), {}});
  EXPECT_EQ(refusal(d), ErrorCode::invalid_state);
  d.tell(StateCall{21, running_vm(), 7});
  settle(d);
  resync(d);
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
}

TEST(Resync, OfAFirstCopyThatIsPausedIsRefusedWithWhatHelps) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  cycle(d, 1 << 30);
  d.tell(ResyncCall{20, running_vm(), {}});
  EXPECT_EQ(find<Reply>(d.last)->job.error().hint(), "understudy show vm1");
  d.tell(StateCall{21, running_vm(), 7});
  settle(d);
  d.tell(ResyncCall{22, running_vm(), {}});
  EXPECT_EQ(refusal(d), ErrorCode::invalid_state);
  EXPECT_EQ(find<Reply>(d.last)->job.error().hint(), "understudy resume vm1");
}

TEST(Resync, ARestartKeepsIt) {
  Driver d = unsynced_primary();
  resync(d);
  inventory(d, healthy(d));
  d.tell(SlotGranted{});
  const std::string stored = find<Persist>(d.last)->state;
  d.restart(stored);
  EXPECT_EQ(published_state(d.state()), ReplicationState::resynchronizing);
}

TEST(Pause, LeavesACycleInOrderAndGoesOn) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const ActionId sending = find<Send>(d.last)->id;
  d.tell(StateCall{21, running_vm(), 7});
  EXPECT_NE(find<StopSending>(d.last), nullptr);
  EXPECT_EQ(published_state(d.state()), ReplicationState::suspended);
  d.tell(Sent{sending, fail(ErrorCode::cancelled, "cancelled"), 0, {}});
  EXPECT_TRUE(find<Settle>(d.last)->obligations.end_job);
  settle(d);
  EXPECT_EQ(find<Arm>(d.last), nullptr);
  d.tell(StateCall{22, running_vm(), 7});
  EXPECT_EQ(refusal(d), ErrorCode::invalid_state);
  d.tell(StateCall{23, running_vm(), 3});
  EXPECT_NE(find<Arm>(d.last), nullptr);
  // The cut that nobody acknowledged is abandoned, and a new one continues the same base.
  inventory(d, healthy(d));
  settle(d);
  inventory(d, healthy(d));
  EXPECT_EQ(d.state().phase, Phase::queued);
}

TEST(Pause, AnAcknowledgementThatWasLostInItCounts) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const uint64_t sequence = d.state().cut->sequence;
  const ActionId sending = find<Send>(d.last)->id;
  d.tell(StateCall{21, running_vm(), 7});
  d.tell(Sent{sending, fail(ErrorCode::cancelled, "cancelled"), 0, {}});
  settle(d);
  d.tell(StateCall{23, running_vm(), 3});
  to_inventory(d);
  Holdings held = replica_of(d);
  held.lineage.sequence = sequence;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  EXPECT_EQ(d.state().base_sequence, sequence);
}

TEST(Pause, OfTheReplicaIsToldByThePrimary) {
  Driver b = standby_replica();
  b.tell(StateCall{21, stopped_vm(), 7});
  EXPECT_EQ(published_state(b.state()), ReplicationState::suspended);
  b.tell(BeginAsk{22, "hosta", {}, 65536});
  EXPECT_THAT(find<BeginReply>(b.last)->cursor.error().message(), testing::HasSubstr("paused"));

  Driver a = replicating_primary();
  to_inventory(a);
  Holdings held = replica_of(a);
  held.state = ReplicationState::suspended;
  a.tell(Inventoried{find<TakeInventory>(a.last)->id, healthy(a), held});
  EXPECT_EQ(a.state().phase, Phase::idle);
  EXPECT_EQ(health_of(a.state(), a.now.wall).level, ReplicationHealth::critical);

  b.tell(StateCall{23, stopped_vm(), 3});
  EXPECT_EQ(published_state(b.state()), ReplicationState::replicating);
}

TEST(Resume, AfterARevertLiftsTheHoldOnlyWhenTheReplicaSaysSo) {
  Driver d = replicating_primary();
  to_inventory(d);
  Holdings failed_over = replica_of(d);
  failed_over.lineage.generation = 2;
  failed_over.state = ReplicationState::recovered;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), failed_over});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  ASSERT_EQ(d.state().phase, Phase::halted);
  d.tell(StateCall{21, running_vm(), 3});
  EXPECT_EQ(d.state().phase, Phase::idle);
  d.tell(PowerCall{22, stopped_vm(), true});
  EXPECT_EQ(refusal(d), ErrorCode::invalid_state);  // still held
  to_inventory(d);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), failed_over});
  EXPECT_EQ(d.state().phase, Phase::halted);  // nothing has changed there
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  d.tell(StateCall{23, running_vm(), 3});
  inventory(d, healthy(d));
  EXPECT_TRUE(find<Settle>(d.last)->obligations.lift_hold);
  settle(d);
  inventory(d, healthy(d));
  EXPECT_EQ(d.state().phase, Phase::queued);
}

}  // namespace
}  // namespace understudy::core
