#include <fstream>
#include <sstream>

#include "core/engine_driver_test.h"
#include "core/transitions.h"

namespace understudy::core {
namespace {

using namespace testing_driver;

TEST(Engine, PersistComesBeforeTheReplyAndTheReplyBeforeWhatIsVisible) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  EXPECT_LT(position<Persist>(d.last), position<Reply>(d.last));
  EXPECT_TRUE(find<Reply>(d.last)->job.has_value());
}

TEST(Engine, FirstCopyIsPassesAndAClosingIncrement) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  cycle(d, 8ULL << 30);
  EXPECT_EQ(d.state().passes, 1u);
  cycle(d, limits::kClosingMost + 1);  // too much changed meanwhile: another pass
  EXPECT_EQ(d.state().passes, 2u);
  EXPECT_FALSE(d.state().first_copy_done());
  cycle(d, limits::kClosingMost);
  EXPECT_TRUE(d.state().first_copy_done());
  EXPECT_EQ(d.state().base_sequence, 3u);
}

TEST(Engine, AReplicaThatLostThePassesNeverGetsTheClosingIncrement) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  cycle(d, 1 << 30);
  to_inventory(d);
  Holdings lost = replica_of(d);
  lost.staging.reset();
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), lost});
  EXPECT_EQ(d.state().phase, Phase::settling);
  EXPECT_EQ(d.state().passes, 0u);
  EXPECT_TRUE(d.state().base_checkpoint.empty());
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  EXPECT_FALSE(find<OpenJob>(d.last)->request.from);
}

TEST(Engine, FirstCopyClosesAfterTheLastPassWhateverIsLeft) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  for (uint32_t i = 0; i < limits::kMostFirstCopyPasses; ++i) cycle(d, 8ULL << 30);
  EXPECT_FALSE(d.state().first_copy_done());
  cycle(d, 8ULL << 30);
  EXPECT_TRUE(d.state().first_copy_done());
}

TEST(Engine, TheOldCheckpointIsDeletedOnlyAfterTheAcknowledgement) {
  Driver d = replicating_primary();
  const std::string base = d.state().base_checkpoint;
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  EXPECT_TRUE(d.state().obligations.empty());
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const Send send = *find<Send>(d.last);
  EXPECT_EQ(send.key.from, d.state().base_sequence);
  EXPECT_TRUE(d.state().obligations.empty());
  d.tell(Sent{send.id, std::optional<RecoveryPoint>(point_of(d)), 1, {}});
  const auto* settle = find<Settle>(d.last);
  EXPECT_THAT(settle->obligations.delete_checkpoints, testing::ElementsAre(base));
  EXPECT_LT(position<Persist>(d.last), position<Settle>(d.last));
}

TEST(Engine, TheIntentIsDurableBeforeTheHypervisorIsAsked) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  ASSERT_LT(position<Persist>(d.last), position<OpenJob>(d.last));
  // Killed right here: after the restart the checkpoint that may exist is deleted, and the next has a new
  // name.
  const std::string lost = d.state().cut->checkpoint;
  d.restart(find<Persist>(d.last)->state);
  to_inventory(d);
  VmFacts vm = healthy(d);
  vm.checkpoints.push_back(lost);
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, vm, replica_of(d)});
  EXPECT_THAT(find<Settle>(d.last)->obligations.delete_checkpoints, testing::ElementsAre(lost));
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  EXPECT_NE(*find<OpenJob>(d.last)->request.new_checkpoint, lost);
  EXPECT_EQ(find<OpenJob>(d.last)->request.from, d.state().base_checkpoint);
}

TEST(Engine, ALostReplyIsAnAcknowledgement) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const uint64_t sequence = d.state().cut->sequence;
  const std::string checkpoint = d.state().cut->checkpoint;
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::not_available, "connection reset"), 0, {}});
  EXPECT_EQ(d.state().phase, Phase::idle);
  to_inventory(d);
  Holdings held = replica_of(d);
  held.lineage.sequence = sequence;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  EXPECT_EQ(d.state().base_sequence, sequence);
  EXPECT_EQ(d.state().base_checkpoint, checkpoint);
}

TEST(Engine, ACutLinkGoesOnInTheSameJobWhileItIsOpen) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const TransferKey key = find<Send>(d.last)->key;
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::not_available, "connection reset"), 0, {}});
  to_inventory(d);
  VmFacts vm = healthy(d);
  vm.job_open = true;
  to_cutting(d, vm, replica_of(d));
  ASSERT_NE(find<Send>(d.last), nullptr);
  EXPECT_EQ(find<Send>(d.last)->key, key);
}

TEST(Engine, AnOpenJobIsEndedWhenTheReplicaStaysAway) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  d.tell(Sent{find<Send>(d.last)->id, fail(ErrorCode::not_available, "connection reset"), 0, {}});
  d.pass(limits::kJobOpenMost + Duration::seconds(1));
  to_inventory(d);
  VmFacts vm = healthy(d);
  vm.job_open = true;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, vm, fail(ErrorCode::not_available, "no route")});
  EXPECT_TRUE(find<Settle>(d.last)->obligations.end_job);
  EXPECT_TRUE(find<Settle>(d.last)->obligations.delete_checkpoints.empty());
}

TEST(Engine, AFailedOverReplicaHaltsAndHoldsThePrimary) {
  Driver d = replicating_primary();
  to_inventory(d);
  Holdings held = replica_of(d);
  held.lineage.generation = 2;
  held.state = ReplicationState::recovered;
  VmFacts off = healthy(d);
  off.power = VmPower::off;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, off, held});
  ASSERT_NE(find<Settle>(d.last), nullptr);
  EXPECT_THAT(find<Settle>(d.last)->obligations.hold, testing::HasSubstr("failed over"));
  CallFacts facts = running_vm();
  facts.vm.power = VmPower::off;
  d.tell(PowerCall{9, facts, true});
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::invalid_state);
}

TEST(Engine, AFailoverInProgressIsWaitedFor) {
  Driver d = replicating_primary();
  to_inventory(d);
  Holdings held = replica_of(d);
  held.lineage.generation = 2;
  held.state = ReplicationState::failover_in_progress;
  d.tell(Inventoried{find<TakeInventory>(d.last)->id, healthy(d), held});
  EXPECT_EQ(d.state().phase, Phase::idle);
  EXPECT_NE(find<Arm>(d.last), nullptr);
}

TEST(Engine, StatisticsBeginAnewOnlyForAReplicatedVm) {
  Driver d = standby_replica();
  ASSERT_GT(d.state().statistics.successes, 0u);
  d.tell(StatisticsCall{9});
  ASSERT_TRUE(find<Reply>(d.last)->job);
  EXPECT_FALSE(*find<Reply>(d.last)->job);  // done, no job
  EXPECT_LT(position<Persist>(d.last), position<Reply>(d.last));
  EXPECT_EQ(d.state().statistics.successes, 0u);
  EXPECT_EQ(d.state().statistics.bytes, 0u);
  EXPECT_FALSE(d.state().statistics.since.never());

  State initial;
  initial.vm = *Uuid::parse("11111111-2222-4333-8444-555555555555");
  Driver none(initial);
  none.tell(StatisticsCall{9});
  EXPECT_EQ(find<Reply>(none.last)->job.error().code(), ErrorCode::invalid_state);
}

TEST(Engine, AFullScratchBreaksTheCycleNotTheGuest) {
  Driver d = replicating_primary();
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1});
  const ActionId sending = find<Send>(d.last)->id;
  d.tell(HypervisorNews{VmEvent::scratch_full});
  EXPECT_NE(find<StopSending>(d.last), nullptr);
  d.tell(Sent{sending, fail(ErrorCode::cancelled, "cancelled"), 0, {}});
  EXPECT_TRUE(find<Settle>(d.last)->obligations.end_job);
}

TEST(Engine, ResultsNobodyWaitsForChangeNothing) {
  Driver d = replicating_primary();
  to_inventory(d);
  const std::string before = encode_state(d.state());
  d.tell(Inventoried{9999, healthy(d), replica_of(d)});
  EXPECT_EQ(encode_state(d.state()), before);
  EXPECT_TRUE(d.last.empty());
}

// --- replica ---

TEST(Replica, OnlyItsOwnPrimaryMaySend) {
  Driver d = waiting_replica();
  d.tell(BeginAsk{2, "mallory", {}, 65536});
  EXPECT_EQ(find<BeginReply>(d.last)->cursor.error().code(), ErrorCode::access_denied);
}

TransferKey pass_of(const Driver& d, uint64_t sequence, uint64_t pass) {
  return {{d.state().lineage.set, 1, sequence}, pass, TransferKind::pass};
}

TEST(Replica, AHostOfTheTrustGroupTakesItOverByAComparisonOnly) {
  Driver d = standby_replica();
  const auto query = [&](const char* peer, bool trusted) {
    QueryAsk ask;
    ask.peer = peer;
    ask.newest = d.state().lineage;
    ask.staging = Staging{pass_of(d, 2, 0), {}};
    ask.trusted = trusted;
    d.tell(ask);
    return find<QueryReply>(d.last)->holdings;
  };
  EXPECT_EQ(query("hostc", false).error().code(), ErrorCode::access_denied);
  EXPECT_THAT(query("hostc", false).error().hint(), testing::HasSubstr("--trust-group"));
  const auto held = query("hostc", true);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->sender, OtherSender{"hosta"});
  EXPECT_FALSE(held->staging) << "what hosta has sent so far is no beginning of hostc's";
  EXPECT_FALSE(query("hosta", true)->sender);
  EXPECT_TRUE(query("hosta", true)->staging);

  const TransferKey delta{{d.state().lineage.set, 1, 2}, 1, TransferKind::delta};
  for (const TransferKey& midway : {delta, pass_of(d, 2, 1)}) {
    d.tell(BeginAsk{4, "hostc", midway, 65536, true});
    EXPECT_EQ(find<BeginReply>(d.last)->cursor.error().code(), ErrorCode::invalid_state);
  }
  d.tell(BeginAsk{5, "hostc", pass_of(d, 2, 0), 65536, true});
  ASSERT_TRUE(find<OpenStaging>(d.last));
  EXPECT_EQ(find<OpenStaging>(d.last)->sender, "hostc");
  EXPECT_EQ(d.state().primary_name, "hosta") << "as long as the store has not taken it";
  d.tell(StagingOpened{find<OpenStaging>(d.last)->id, Cursor{}});
  EXPECT_EQ(d.state().primary_name, "hostc");
  EXPECT_LT(position<Persist>(d.last), position<BeginReply>(d.last));

  d.tell(FinishAsk{6, "hosta", delta, {}, PointType::standard, PointKeep::no, {}, 10});
  EXPECT_EQ(find<FinishReply>(d.last)->point.error().code(), ErrorCode::access_denied);
  d.tell(BeginAsk{7, "hosta", delta, 65536, true});
  EXPECT_EQ(find<BeginReply>(d.last)->cursor.error().code(), ErrorCode::invalid_state);
  d.tell(BeginAsk{8, "hostc", pass_of(d, 2, 1), 65536, true});
  EXPECT_TRUE(find<OpenStaging>(d.last));
}

TEST(Replica, StaysWithItsHostWhenTheStoreDoesNotTakeTheOther) {
  Driver d = standby_replica();
  d.tell(BeginAsk{5, "hostc", pass_of(d, 2, 0), 65536, true});
  d.tell(StagingOpened{find<OpenStaging>(d.last)->id, fail(ErrorCode::failed, "read-only")});
  EXPECT_EQ(d.state().primary_name, "hosta");
  d.tell(BeginAsk{6, "hosta", {{d.state().lineage.set, 1, 2}, 1, TransferKind::delta}, 65536, true});
  EXPECT_TRUE(find<OpenStaging>(d.last));
}

TEST(Replica, TheAcknowledgementFollowsThePersistedPoint) {
  Driver d = waiting_replica();
  TransferKey key{{d.state().lineage.set, 1, 1}, 0, TransferKind::delta};
  d.tell(FinishAsk{3, "hosta", key, {}, PointType::standard, PointKeep::no, {}, 10});
  d.tell(Published{find<Publish>(d.last)->id, received_point(d, 1), false});
  EXPECT_LT(position<Persist>(d.last), position<FinishReply>(d.last));
}

TEST(Replica, AReplicaDoesNotStart) {
  Driver d = standby_replica();
  d.tell(PowerCall{9, stopped_vm(), true});
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::invalid_state);
}

TEST(Engine, AStartWhoseEndIsNotKnownEndsWithTheReason) {
  State initial;
  initial.vm = *Uuid::parse("11111111-2222-4333-8444-555555555555");
  Driver d(initial);
  d.tell(PowerCall{9, stopped_vm(), true});
  d.restart(find<Persist>(d.last)->state);
  EXPECT_EQ(d.state().jobs.back().state, JobState::exception);
  EXPECT_FALSE(has_foreground_job(d.state()));
}

TEST(Replica, NoFailoverWithoutAPoint) {
  Driver d = waiting_replica();
  d.tell(FailoverCall{9, stopped_vm(), {}, {}, 0, {}});
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::invalid_state);
}

TEST(Replica, FailoverRaisesTheGenerationBeforeTheHoldIsLifted) {
  Driver d = standby_replica();
  const std::vector<RecoveryPoint> points = {received_point(d, 1)};
  d.tell(FailoverCall{9, stopped_vm(), {}, points, 0, {}});
  EXPECT_EQ(published_state(d.state()), ReplicationState::failover_in_progress);
  ASSERT_NE(find<StopReceiving>(d.last), nullptr);
  d.tell(Stopped{find<StopReceiving>(d.last)->id, points});
  const auto* fail_over = find<FailOver>(d.last);
  ASSERT_NE(fail_over, nullptr);
  EXPECT_EQ(fail_over->generation, 2u);
  EXPECT_EQ(find<Release>(d.last), nullptr);
  d.tell(FailedOver{fail_over->id, {}});
  EXPECT_EQ(d.state().lineage.generation, 2u);
  EXPECT_LT(position<Persist>(d.last), position<Release>(d.last));
  d.tell(Released{find<Release>(d.last)->id, {}});
  EXPECT_EQ(published_state(d.state()), ReplicationState::recovered);
  d.tell(PowerCall{10, stopped_vm(), true});
  EXPECT_TRUE(find<Reply>(d.last)->job);
}

TEST(Replica, TellsHowLongTheVmRanSinceItsFailover) {
  Driver d = failed_over_replica();
  const auto ran = [&] { return ran_seconds(*d.state().failover, d.now.wall); };
  d.tell(HypervisorNews{VmEvent::defined});
  d.tell(HypervisorNews{VmEvent::stopped});
  d.pass(Duration::seconds(100));
  EXPECT_EQ(ran(), 0u) << "it has not run";
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_TRUE(find<Persist>(d.last));
  d.pass(Duration::seconds(60));
  EXPECT_EQ(ran(), 60u);
  d.tell(HypervisorNews{VmEvent::crashed});
  d.pass(Duration::seconds(100));
  d.tell(HypervisorNews{VmEvent::started});
  d.pass(Duration::seconds(7));
  EXPECT_EQ(ran(), 67u);
  d.tell(HypervisorNews{VmEvent::stopped});
  EXPECT_EQ(ran(), 67u);
}

TEST(Replica, ATransferThatCannotBeginLetsMergesTryAgain) {
  Driver d = standby_replica();
  d.tell(BeginAsk{4, "hosta", {{d.state().lineage.set, 1, 2}, 1, TransferKind::delta}, 65536});
  d.tell(StagingOpened{find<OpenStaging>(d.last)->id, fail(ErrorCode::in_use, "the chain is long")});
  EXPECT_FALSE(find<BeginReply>(d.last)->cursor);
  const Merge* merge = find<Merge>(d.last);
  ASSERT_TRUE(merge) << "nothing else would begin one";
  d.tell(Merged{merge->id, uint64_t{1}});
}

TEST(Replica, AFailoverWaitsForTheMergeAndForThePointBeingPublished) {
  Driver d = standby_replica();
  TransferKey key{{d.state().lineage.set, 1, 2}, 1, TransferKind::delta};
  d.tell(FinishAsk{4, "hosta", key, {}, PointType::standard, PointKeep::no, {}, 10});
  const ActionId publishing = find<Publish>(d.last)->id;
  d.tell(FailoverCall{9, stopped_vm(), {}, {received_point(d, 1)}, 0, {}});
  EXPECT_EQ(find<StopReceiving>(d.last), nullptr);
  d.tell(FinishAsk{5, "hosta", key, {}, PointType::standard, PointKeep::no, {}, 10});
  EXPECT_FALSE(find<FinishReply>(d.last)->point);
  d.tell(Published{publishing, received_point(d, 2), true});
  EXPECT_TRUE(find<FinishReply>(d.last)->point);
  EXPECT_NE(find<StopReceiving>(d.last), nullptr);
  EXPECT_EQ(find<Merge>(d.last), nullptr);
}

TEST(Replica, AFailoverInterruptedByARestartGoesOn) {
  Driver d = standby_replica();
  const std::vector<RecoveryPoint> points = {received_point(d, 1)};
  d.tell(FailoverCall{9, stopped_vm(), {}, points, 0, {}});
  std::string stored = find<Persist>(d.last)->state;
  d.restart(stored);
  d.tell(Stopped{find<StopReceiving>(d.last)->id, points});
  stored = find<Persist>(d.last)->state;
  d.restart(stored);
  EXPECT_EQ(find<FailOver>(d.last)->generation, 2u);
  d.tell(FailedOver{find<FailOver>(d.last)->id, {}});
  stored = find<Persist>(d.last)->state;
  d.restart(stored);
  d.tell(Released{find<Release>(d.last)->id, {}});
  EXPECT_EQ(published_state(d.state()), ReplicationState::recovered);
  EXPECT_EQ(d.state().jobs.back().state, JobState::completed);
}

TEST(Replica, NothingIsTakenOnceAFailoverWasAskedFor) {
  Driver d = standby_replica();
  d.tell(FailoverCall{9, stopped_vm(), {}, {received_point(d, 1)}, 0, {}});
  d.tell(BeginAsk{12, "hosta", {}, 65536});
  EXPECT_EQ(find<BeginReply>(d.last)->cursor.error().code(), ErrorCode::invalid_state);
  d.tell(QueryAsk{13, "hosta", d.state().lineage, {}});
  EXPECT_EQ(find<QueryReply>(d.last)->holdings->lineage.generation, 2u);
}

TEST(Replica, AFailedFailoverLeavesTheReplicaAsItWas) {
  Driver d = standby_replica();
  const std::vector<RecoveryPoint> points = {received_point(d, 1)};
  d.tell(FailoverCall{9, stopped_vm(), {}, points, 0, {}});
  d.tell(Stopped{find<StopReceiving>(d.last)->id, points});
  d.tell(FailedOver{find<FailOver>(d.last)->id, fail(ErrorCode::no_space, "no space left")});
  EXPECT_EQ(published_state(d.state()), ReplicationState::replicating);
  EXPECT_EQ(d.state().jobs.back().state, JobState::exception);
  EXPECT_EQ(d.state().lineage.generation, 1u);
}

TEST(Revert, GivesTheGenerationUpAndNeverUsesItAgain) {
  Driver d = failed_over_replica();
  d.tell(RevertCall{10, stopped_vm()});
  EXPECT_LT(position<Persist>(d.last), position<Revert>(d.last));
  d.tell(Reverted{find<Revert>(d.last)->id, {}, {}, received_point(d, 1).lineage});
  EXPECT_EQ(published_state(d.state()), ReplicationState::replicating);
  EXPECT_FALSE(d.state().failover);
  EXPECT_EQ(d.state().jobs.back().state, JobState::completed);
  d.tell(Merged{find<Merge>(d.last)->id, 0});
  const std::vector<RecoveryPoint> points = {received_point(d, 1)};
  d.tell(FailoverCall{11, stopped_vm(), {}, points, 2, {}});
  d.tell(Stopped{find<StopReceiving>(d.last)->id, points});
  EXPECT_EQ(find<FailOver>(d.last)->generation, 3u);
}

TEST(Revert, OfARunningVmIsRefusedWithTheWayOut) {
  Driver d = failed_over_replica();
  d.tell(RevertCall{10, running_vm()});
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::invalid_state);
  EXPECT_THAT(find<Reply>(d.last)->job.error().hint(), testing::HasSubstr("virsh shutdown"));
  EXPECT_EQ(d.state().phase, Phase::failed_over);
}

TEST(Revert, ThatFailsLeavesTheVmStartableOnlyWhenTheFailoverStands) {
  Driver stands = failed_over_replica();
  stands.tell(RevertCall{10, stopped_vm()});
  stands.tell(Reverted{find<Revert>(stands.last)->id, fail(ErrorCode::failed, "disk error"), true, {}});
  EXPECT_NE(find<Release>(stands.last), nullptr);
  EXPECT_EQ(stands.state().jobs.back().state, JobState::exception);

  Driver unknown = failed_over_replica();
  unknown.tell(RevertCall{10, stopped_vm()});
  unknown.tell(Reverted{find<Revert>(unknown.last)->id, fail(ErrorCode::failed, "disk error"), {}, {}});
  EXPECT_EQ(find<Release>(unknown.last), nullptr);
  unknown.tell(TimerDue{});
  EXPECT_NE(find<Revert>(unknown.last), nullptr);
}

TEST(Revert, InterruptedByARestartGoesOn) {
  Driver d = failed_over_replica();
  d.tell(RevertCall{10, stopped_vm()});
  d.restart(find<Persist>(d.last)->state);
  ASSERT_NE(find<Revert>(d.last), nullptr);
  d.tell(PowerCall{11, stopped_vm(), true});
  EXPECT_FALSE(find<Reply>(d.last)->job);  // never startable while it is being taken back
}

TEST(Transitions, EveryMethodHasAnAnswerInEveryPhase) {
  for (int phase = 0; phase <= static_cast<int>(Phase::reverting); ++phase) {
    State state;
    state.phase = static_cast<Phase>(phase);
    const auto answered = [&](const Event& event) {
      Driver d(state);
      const Actions actions = d.tell(event);
      return find<Reply>(actions) || find<PrepareReply>(actions) || find<QueryReply>(actions) ||
             find<BeginReply>(actions) || find<FinishReply>(actions) || find<PrepareReplica>(actions) ||
             find<OpenStaging>(actions) || find<Publish>(actions);
    };
    EXPECT_TRUE(answered(CreateCall{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(StartCall{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(FailoverCall{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(PowerCall{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(RevertCall{})) << phase_name(state.phase);
    for (const uint16_t requested : std::initializer_list<uint16_t>{1, 2, 3, 4, 7, 9})
      EXPECT_TRUE(answered(StateCall{0, {}, requested})) << phase_name(state.phase) << requested;
    EXPECT_TRUE(answered(ResyncCall{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(PointCall{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(PrepareAsk{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(QueryAsk{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(BeginAsk{})) << phase_name(state.phase);
    EXPECT_TRUE(answered(FinishAsk{})) << phase_name(state.phase);
  }
}

TEST(Transitions, TheReferencePageIsTheTable) {
  std::ifstream file(UNDERSTUDY_SOURCE "/docs/reference/transitions.md");
  std::stringstream page;
  page << file.rdbuf();
  // After a change of the table: run this test, and replace the page's table by what it prints.
  EXPECT_THAT(page.str(), testing::HasSubstr(transitions_as_markdown()));
}

}  // namespace
}  // namespace understudy::core
