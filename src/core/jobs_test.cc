// Jobs: cancelled while that is possible, shown long enough, and with progress that never goes back.
#include "core/engine_driver_test.h"

namespace understudy::core {
namespace {

using namespace testing_driver;

std::vector<RecoveryPoint> points_of(const Driver& d) {
  return {received_point(d, 1)};
}
ErrorCode refusal(const Driver& d) {
  return find<Reply>(d.last)->job.error().code();
}
std::optional<ErrorCode> cancel(Driver& d, const Uuid& job) {
  d.tell(CancelCall{40, job});
  const auto& answer = find<Reply>(d.last)->job;
  return answer ? std::nullopt : std::optional(answer.error().code());
}
const Job& last_job(const Driver& d) {
  return d.state().jobs.back();
}

// A replica that is asked to fail over while a point is being published.
Driver stopping_replica(ActionId& publishing) {
  Driver d = standby_replica();
  const TransferKey key{{d.state().lineage.set, 1, 2}, 1, TransferKind::delta};
  d.tell(BeginAsk{4, "hosta", key, 65536});
  d.tell(StagingOpened{find<OpenStaging>(d.last)->id, Cursor{}});
  d.tell(FinishAsk{5, "hosta", key, {}, PointType::standard, PointKeep::no, {}, 10});
  publishing = find<Publish>(d.last)->id;
  d.tell(FailoverCall{9, stopped_vm(), {}, points_of(d), 0, {}});
  EXPECT_EQ(d.state().phase, Phase::stopping);
  return d;
}

TEST(Cancel, AFailoverIsCancelledAsLongAsSomethingStandsInItsWay) {
  ActionId publishing = 0;
  Driver d = stopping_replica(publishing);
  const Uuid job = last_job(d).id;
  EXPECT_TRUE(cancellable(d.state(), last_job(d)));
  EXPECT_EQ(cancel(d, job), std::nullopt);
  EXPECT_LT(position<Persist>(d.last), position<Reply>(d.last));
  EXPECT_EQ(d.state().phase, Phase::standby);
  EXPECT_FALSE(d.state().failover);
  EXPECT_EQ(last_job(d).state, JobState::terminated);
  EXPECT_EQ(last_job(d).error->code(), ErrorCode::cancelled);
  EXPECT_EQ(cancel(d, job), ErrorCode::invalid_state);
  d.tell(
      Published{publishing, received_point(d, 2), false});  // what stood in its way is a point all the same
  EXPECT_EQ(d.state().lineage.sequence, 2u);
  EXPECT_EQ(find<StopReceiving>(d.last), nullptr);
}

TEST(Cancel, AFailoverIsNotCancelledOnceTheReplicaIsStopped) {
  Driver d = standby_replica();
  d.tell(FailoverCall{9, stopped_vm(), {}, points_of(d), 0, {}});
  const ActionId stopping = find<StopReceiving>(d.last)->id;
  const Uuid job = last_job(d).id;
  EXPECT_EQ(cancel(d, job), ErrorCode::not_supported);
  d.tell(Stopped{stopping, points_of(d)});
  EXPECT_FALSE(cancellable(d.state(), last_job(d)));
  EXPECT_EQ(cancel(d, job), ErrorCode::not_supported);
  EXPECT_EQ(d.state().phase, Phase::failing_over);
}

TEST(Cancel, OfTwoPointsTheOneThatIsNamed) {
  Driver d = replicating_primary();
  d.tell(PointCall{30, running_vm(), false});
  const Uuid first = last_job(d).id;
  d.tell(PointCall{31, running_vm(), false});
  const Uuid second = last_job(d).id;
  EXPECT_EQ(cancel(d, second), std::nullopt);
  EXPECT_EQ(find_job(d.state(), second)->state, JobState::terminated);
  EXPECT_FALSE(find_job(d.state(), first)->finished());
}

TEST(Cancel, APointIsNotWantedAnyMoreUntilItsCutIsMade) {
  Driver d = replicating_primary();
  d.tell(PointCall{30, running_vm(), false});
  const Uuid job = last_job(d).id;
  EXPECT_TRUE(cancellable(d.state(), last_job(d)));
  EXPECT_EQ(cancel(d, job), std::nullopt);
  EXPECT_EQ(last_job(d).state, JobState::terminated);
  d.tell(PointCall{31, running_vm(), false});
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  EXPECT_FALSE(cancellable(d.state(), last_job(d)));
  EXPECT_EQ(cancel(d, last_job(d).id), ErrorCode::not_supported);
}

TEST(Cancel, AComparisonIsCancelledAsByItsOwnMethod) {
  Driver d = replicating_primary();
  d.tell(StateCall{21, running_vm(), 7});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  d.tell(ResyncCall{22, running_vm(), {}});
  const Uuid job = last_job(d).id;
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  to_inventory(d);
  EXPECT_EQ(cancel(d, job), std::nullopt);
  EXPECT_EQ(find_job(d.state(), job)->state, JobState::terminated);
  EXPECT_EQ(published_state(d.state()), ReplicationState::waiting_for_resync);
}

TEST(Cancel, NothingElseIs) {
  Driver d = replicating_primary();
  EXPECT_EQ(cancel(d, *Uuid::parse("00000000-2222-4333-8444-555555555555")), ErrorCode::invalid_state);
  Driver b = failed_over_replica();
  b.tell(RevertCall{10, stopped_vm()});
  EXPECT_FALSE(cancellable(b.state(), last_job(b)));
  EXPECT_EQ(cancel(b, last_job(b).id), ErrorCode::not_supported);
}

TEST(Jobs, AreShownForFiveMinutesAlsoWhenTheClockIsSetBack) {
  Driver d = failed_over_replica();
  d.now.wall = d.now.wall + Duration::seconds(-3600);
  d.tell(TimerDue{});
  ASSERT_EQ(d.state().jobs.size(), 1u);
  d.now.wall = d.now.wall + limits::kJobKept + Duration::seconds(1);
  d.tell(TimerDue{});
  EXPECT_TRUE(d.state().jobs.empty());
}

TEST(Jobs, OfARelationshipThatIsGoneSurviveARestartAndGoInTheirTime) {
  Driver d = ready_primary();
  d.tell(RemoveCall{20, running_vm()});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  ASSERT_EQ(d.state().phase, Phase::none);
  const std::string kept = find<Persist>(d.last)->state;
  ASSERT_FALSE(kept.empty());
  d.restart(kept);
  EXPECT_EQ(last_job(d).type, JobType::remove_relationship);
  EXPECT_EQ(last_job(d).state, JobState::completed);
  d.pass(limits::kJobKept + Duration::seconds(1));
  d.tell(TimerDue{});
  EXPECT_TRUE(d.state().jobs.empty());
  EXPECT_TRUE(find<Persist>(d.last)->state.empty());
}

TEST(Jobs, ProgressIsStoredWhenATransferEnds) {
  Driver d = ready_primary();
  d.tell(StartCall{8, running_vm()});
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  d.tell(JobOpened{find<OpenJob>(d.last)->id, opened(d), 1 << 30});
  Sent sent{find<Send>(d.last)->id, fail(ErrorCode::not_available, "gone"), 5, {}};
  sent.progress = JobProgress{0, 42};
  d.tell(sent);
  d.restart(find<Persist>(d.last)->state);
  EXPECT_EQ(last_job(d).type, JobType::send_initial);
  EXPECT_EQ(last_job(d).percent(), 42);
}

TEST(Failover, IsRefusedWithoutItsFilesAndWithARunningVm) {
  Driver d = standby_replica();
  FailoverCall call{9, stopped_vm(), {}, points_of(d), 0, {}};
  call.files = Error(ErrorCode::not_found, "vda is missing");
  d.tell(call);
  EXPECT_EQ(refusal(d), ErrorCode::not_found);
  call.facts = running_vm();
  d.tell(call);
  EXPECT_EQ(refusal(d), ErrorCode::invalid_state);
  EXPECT_EQ(d.state().phase, Phase::standby);

  Driver over = failed_over_replica();
  over.tell(RevertCall{10, stopped_vm(), Error(ErrorCode::status_unknown, "no manifest")});
  EXPECT_EQ(refusal(over), ErrorCode::status_unknown);
  EXPECT_EQ(over.state().phase, Phase::failed_over);
}

TEST(Failover, OfAVmThatIsNotReplicatedIsRefusedByItsName) {
  Driver d;
  d.tell(FailoverCall{9, running_vm(), {}, {}, 0, {}});
  EXPECT_THAT(find<Reply>(d.last)->job.error().message(), testing::HasSubstr("VM 'vm1'"));
}

TEST(Failover, OfAPointThatIsDelistedMeanwhile) {
  Driver d = standby_replica();
  d.tell(FailoverCall{9, stopped_vm(), points_of(d).front().id, points_of(d), 0, {}});
  d.tell(Stopped{find<StopReceiving>(d.last)->id, {}});
  EXPECT_EQ(d.state().phase, Phase::standby);
  EXPECT_EQ(last_job(d).state, JobState::exception);
  EXPECT_EQ(last_job(d).error->code(), ErrorCode::invalid_parameter);
}

}  // namespace
}  // namespace understudy::core
