// RemoveReplicationRelationship, on each side and in the middle of what it interrupts.
#include <gtest/gtest.h>

#include "core/engine_driver_test.h"

namespace understudy::core {
namespace {
using namespace testing_driver;

RemoveCall remove_call() {
  return {20, running_vm()};
}

void expect_removed(const Driver& d) {
  EXPECT_EQ(d.state().phase, Phase::none);
  EXPECT_EQ(mode_of(d.state()), ReplicationMode::none);
  ASSERT_FALSE(d.state().jobs.empty());
  EXPECT_EQ(d.state().jobs.back().type, JobType::remove_relationship);
  EXPECT_EQ(d.state().jobs.back().state, JobState::completed);
  const Persist* persist = find<Persist>(d.last);
  ASSERT_TRUE(persist);
  const State kept = *decode_state(persist->state);  // its row goes with the last job
  EXPECT_EQ(kept.phase, Phase::none);
  EXPECT_EQ(kept.jobs.size(), d.state().jobs.size());
  EXPECT_TRUE(kept.settings.recovery_connection_point.empty() && kept.directory.empty());
  EXPECT_TRUE(find<Arm>(d.last));
  EXPECT_TRUE(d.state().obligations.empty());
}

// What is stored before anybody is told goes on after a crash.
TEST(Removal, IsDecidedByTheFirstThingThatIsStored) {
  Driver d = replicating_primary();
  d.tell(remove_call());
  const Persist* first = find<Persist>(d.last);
  EXPECT_LT(position<Persist>(d.last), position<Reply>(d.last));
  d.restart(first->state);
  d.tell(Started{});
  EXPECT_TRUE(find<Settle>(d.last));
  EXPECT_EQ(d.state().phase, Phase::ending);
}

TEST(Removal, LeavesAPrimaryAsIfItHadNeverBeenReplicated) {
  Driver d = replicating_primary();
  const std::string checkpoint = d.state().base_checkpoint;
  d.tell(remove_call());
  EXPECT_TRUE(find<Reply>(d.last)->job);
  EXPECT_EQ(d.state().phase, Phase::ending);
  EXPECT_LT(position<Persist>(d.last), position<Settle>(d.last));
  const Obligations owed = find<Settle>(d.last)->obligations;
  EXPECT_TRUE(owed.end_job && owed.lift_hold && owed.unwatch);
  EXPECT_EQ(owed.delete_checkpoints, std::vector<std::string>{checkpoint});
  d.tell(StateCall{21, running_vm(), 7});
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::in_use);
  // libvirt does not answer: what is left is tried again, also after a restart.
  Obligations left;
  left.lift_hold = true;
  d.tell(Settled{0, {}, {}});
  EXPECT_EQ(d.state().phase, Phase::ending) << "of another action";
  d.tell(TimerDue{});
  d.tell(Settled{find<Settle>(d.last)->id, fail(ErrorCode::not_available, "libvirt does not answer"), left});
  EXPECT_TRUE(find<Arm>(d.last));
  d.restart(find<Persist>(d.last)->state);
  EXPECT_TRUE(find<Settle>(d.last)->obligations.lift_hold);
  EXPECT_FALSE(find<Settle>(d.last)->obligations.unwatch) << "done already";
  d.tell(Settled{find<Settle>(d.last)->id, {}, {}});
  expect_removed(d);
}

TEST(Removal, WaitsForTheEndOfWhatIsUnderWay) {
  Driver d = replicating_primary();
  d.tell(TimerDue{});
  ASSERT_EQ(d.state().phase, Phase::inventory);
  const ActionId inventory = find<TakeInventory>(d.last)->id;
  d.tell(remove_call());
  EXPECT_TRUE(find<Reply>(d.last)->job);
  EXPECT_EQ(d.state().phase, Phase::inventory);
  const std::string persisted = find<Persist>(d.last)->state;
  d.tell(Inventoried{inventory, healthy(d), replica_of(d)});
  EXPECT_EQ(d.state().phase, Phase::ending);
  d.tell(Settled{find<Settle>(d.last)->id, {}, {}});
  expect_removed(d);

  Driver restarted = replicating_primary();
  restarted.restart(persisted);
  restarted.tell(TimerDue{});
  EXPECT_EQ(restarted.state().phase, Phase::ending) << "it is not forgotten";
}

TEST(Removal, EndsAReplicaWhateverItHolds) {
  for (const auto make : {waiting_replica, standby_replica, failed_over_replica}) {
    Driver d = make();
    SCOPED_TRACE(phase_name(d.state().phase));
    d.tell(remove_call());
    EXPECT_EQ(d.state().phase, Phase::retiring);
    EXPECT_LT(position<Persist>(d.last), position<Retire>(d.last));
    d.tell(BeginAsk{22, "hosta", {{d.state().lineage.set, 1, 2}, 1, TransferKind::delta}, 65536});
    EXPECT_FALSE(find<BeginReply>(d.last)->cursor) << "nothing is taken any more";
    d.tell(TimerDue{});
    d.tell(Retired{find<Retire>(d.last)->id, fail(ErrorCode::not_available, "libvirt does not answer")});
    EXPECT_TRUE(find<Arm>(d.last));
    d.restart(find<Persist>(d.last)->state);
    d.tell(Retired{find<Retire>(d.last)->id, {}});
    expect_removed(d);
  }
}

TEST(Removal, IsRefusedWhereThereIsNothingAndWhileAPointArrives) {
  Driver nothing;
  nothing.tell(remove_call());
  EXPECT_EQ(find<Reply>(nothing.last)->job.error().code(), ErrorCode::invalid_state);
  Driver d = standby_replica();
  d.tell(BeginAsk{22, "hosta", {{d.state().lineage.set, 1, 2}, 1, TransferKind::delta}, 65536});
  d.tell(remove_call());
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::in_use);
  EXPECT_EQ(d.state().phase, Phase::standby);
}

}  // namespace
}  // namespace understudy::core
