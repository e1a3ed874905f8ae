#include "core/engine_driver_test.h"
#include "core/health.h"

namespace understudy::core {
namespace {

using namespace testing_driver;

Driver with_history(uint32_t history, uint32_t consistent_hours) {
  Driver d = replicating_primary();
  State with = d.state();
  with.settings.recovery_history = history;
  with.settings.application_consistent_interval = consistent_hours;
  d.restart(encode_state(with));
  return d;
}

struct Made {
  Freeze freeze = Freeze::no;
  PointType type = PointType::standard;
  PointKeep keep = PointKeep::no;
};
// One cycle; what was asked of the hypervisor, and what the replica is told.
Made made_by_cycle(Driver& d, OpenedJob job = {}) {
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  Made made;
  made.freeze = find<OpenJob>(d.last)->request.freeze;
  job.cut = d.now.wall;
  d.tell(JobOpened{find<OpenJob>(d.last)->id, job, 1});
  const Send send = *find<Send>(d.last);
  made.type = send.type;
  made.keep = send.keep;
  RecoveryPoint point = point_of(d);
  point.type = send.type;
  point.keep = send.keep;
  d.tell(Sent{send.id, std::optional<RecoveryPoint>(point), 1, {}});
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  EXPECT_EQ(d.state().phase, Phase::idle);
  return made;
}
OpenedJob frozen() {
  OpenedJob job;
  job.consistent = true;
  return job;
}
OpenedJob not_frozen() {
  OpenedJob job;
  job.freeze_error = Error(ErrorCode::timeout, "the guest agent does not answer");
  return job;
}

TEST(Points, OneAnHourStays) {
  Driver d = with_history(3, 0);
  EXPECT_EQ(made_by_cycle(d).keep, PointKeep::hourly);
  for (int minutes = 0; minutes < 59; ++minutes) {
    d.pass(Duration::seconds(60));
    EXPECT_EQ(made_by_cycle(d).keep, PointKeep::no) << minutes;
  }
  d.pass(Duration::seconds(60));
  EXPECT_EQ(made_by_cycle(d).keep, PointKeep::hourly);
}

TEST(Points, NoHistoryKeepsNone) {
  Driver d = with_history(0, 0);
  EXPECT_EQ(made_by_cycle(d).keep, PointKeep::no);
}

TEST(Points, AClockThatWasSetBackKeepsNoPointAway) {
  Driver d = with_history(3, 1);
  EXPECT_EQ(made_by_cycle(d, frozen()).freeze, Freeze::attempt);
  d.now.wall = d.now.wall + Duration::seconds(-86400);
  const Made made = made_by_cycle(d, frozen());
  EXPECT_EQ(made.keep, PointKeep::hourly);
  EXPECT_EQ(made.freeze, Freeze::attempt);
  EXPECT_EQ(made_by_cycle(d).keep, PointKeep::no);
}

TEST(Points, ApplicationConsistentOnesAtTheirInterval) {
  Driver d = with_history(24, 4);
  const Made first = made_by_cycle(d, frozen());
  EXPECT_EQ(first.freeze, Freeze::attempt);
  EXPECT_EQ(first.type, PointType::application_consistent);
  EXPECT_EQ(first.keep, PointKeep::hourly);
  for (int hour = 1; hour < 4; ++hour) {
    d.pass(Duration::seconds(3600));
    const Made made = made_by_cycle(d);
    EXPECT_EQ(made.freeze, Freeze::no);
    EXPECT_EQ(made.keep, PointKeep::hourly);
  }
  d.pass(Duration::seconds(3600));
  EXPECT_EQ(made_by_cycle(d, frozen()).freeze, Freeze::attempt);
}

TEST(Points, AFailedFreezeMakesAStandardPointAndIsTriedAgainInAnHour) {
  Driver d = with_history(24, 4);
  const Made made = made_by_cycle(d, not_frozen());
  EXPECT_EQ(made.type, PointType::standard);
  EXPECT_EQ(d.state().statistics.freeze_failures, 1u);
  EXPECT_EQ(health_of(d.state(), d.now.wall).level, ReplicationHealth::ok);
  EXPECT_EQ(made_by_cycle(d).freeze, Freeze::no);
  d.pass(Duration::seconds(3600));
  EXPECT_EQ(made_by_cycle(d, not_frozen()).freeze, Freeze::attempt);
  const Health health = health_of(d.state(), d.now.wall);
  EXPECT_EQ(health.level, ReplicationHealth::warning);
  EXPECT_THAT(health.cause, testing::HasSubstr("does not answer"));
  d.pass(Duration::seconds(3600));
  made_by_cycle(d, frozen());
  EXPECT_EQ(health_of(d.state(), d.now.wall).level, ReplicationHealth::ok);
}

TEST(Points, OnDemandComesWithTheNextCycleAndEndsItsJob) {
  Driver d = with_history(0, 0);
  d.tell(PointCall{30, running_vm(), false});
  const Uuid job = **find<Reply>(d.last)->job;
  EXPECT_EQ(find<Arm>(d.last)->due, d.now.monotonic);
  const Made made = made_by_cycle(d);
  EXPECT_EQ(made.keep, PointKeep::on_demand);
  EXPECT_EQ(made.freeze, Freeze::no);
  EXPECT_EQ(find_job(d.state(), job)->state, JobState::completed);
  EXPECT_EQ(made_by_cycle(d).keep, PointKeep::no);
}

TEST(Points, OnDemandWithAFreezeThatFailsIsAnError) {
  Driver d = with_history(0, 0);
  d.tell(PointCall{30, running_vm(), true});
  const Uuid job = **find<Reply>(d.last)->job;
  to_inventory(d);
  to_cutting(d, healthy(d), replica_of(d));
  EXPECT_EQ(find<OpenJob>(d.last)->request.freeze, Freeze::require);
  d.tell(
      JobOpened{find<OpenJob>(d.last)->id, fail(ErrorCode::timeout, "the guest agent does not answer"), 0});
  EXPECT_EQ(find_job(d.state(), job)->state, JobState::exception);
  EXPECT_THAT(find_job(d.state(), job)->error->message(), testing::HasSubstr("agent"));
  d.tell(Settled{find<Settle>(d.last)->id, {}});
  EXPECT_EQ(made_by_cycle(d).keep, PointKeep::no);  // replication itself goes on
}

TEST(Points, OnDemandIsRefusedWhereItCannotBe) {
  Driver d = with_history(0, 0);
  d.tell(PointCall{30, stopped_vm(), false});
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::invalid_state);
  Driver replica = standby_replica();
  replica.tell(PointCall{31, stopped_vm(), false});
  EXPECT_THAT(find<Reply>(replica.last)->job.error().hint(), testing::HasSubstr("hosta"));
}

}  // namespace
}  // namespace understudy::core
