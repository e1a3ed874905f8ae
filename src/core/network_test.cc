// The network settings of a VM: kept on both sides, given to the guest once after a failover.
#include <gtest/gtest.h>

#include "core/engine_driver_test.h"
#include "core/health.h"

namespace understudy::core {
namespace {
using namespace testing_driver;

constexpr char kMac[] = "52:54:00:ab:cd:ef";
constexpr char kOther[] = "52:54:00:ab:cd:00";

NicSettings static_card(const char* mac = kMac, const char* address = "192.0.2.7/24") {
  NicSettings settings;
  settings.mac = mac;
  if (*address != '\0') settings.addresses = {*IpPrefix::parse(address)};
  return settings;
}
NetworkCall set(std::vector<NicSettings> cards, const CallFacts& facts = stopped_vm()) {
  return {30, facts, std::move(cards), {kMac, kOther}};
}
const Job* network_job(const Driver& d) {
  const Job* found = nullptr;
  for (const Job& job : d.state().jobs)
    if (job.type == JobType::give_network) found = &job;
  return found;
}
// Failed over with settings, and its VM has just been started.
Driver started() {
  Driver d = failed_over_replica();
  d.tell(set({static_card()}));
  EXPECT_FALSE(find<GiveNetwork>(d.last)) << "the VM is off";
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_TRUE(find<GiveNetwork>(d.last));
  EXPECT_EQ(network_job(d)->state, JobState::running);
  return d;
}
void end(Driver& d, Status status) {
  d.tell(NetworkGiven{find<GiveNetwork>(d.last)->id, std::move(status)});
}
std::string persisted(const Driver& d) {
  return encode_state(d.state());
}

TEST(NetworkSettings, AreKeptForEachCardOnEitherSide) {
  for (Driver d : {replicating_primary(), standby_replica(), waiting_replica()}) {
    d.tell(set({static_card()}));
    ASSERT_TRUE(find<Reply>(d.last)->job);
    EXPECT_EQ(*find<Reply>(d.last)->job, std::nullopt) << "done, without a job";
    EXPECT_LT(position<Persist>(d.last), position<Reply>(d.last));
    d.tell(set({static_card(kOther, "2001:db8::7/64")}));
    ASSERT_EQ(d.state().network.size(), 2U);
    EXPECT_EQ(decode_state(persisted(d))->network, d.state().network);
    d.tell(set({static_card(kMac, "")}));
    ASSERT_EQ(d.state().network.size(), 1U) << "taken back";
    EXPECT_EQ(d.state().network[0].mac, kOther);
    NetworkCall less = set({});
    less.known = {kMac};
    d.tell(less);
    EXPECT_TRUE(d.state().network.empty()) << "of a card that is gone";
    EXPECT_EQ(network_job(d), nullptr);
  }
}

TEST(NetworkSettings, AreRefusedInTheDocumentedOrder) {
  State none;
  Driver d(none);
  NetworkCall call = set({static_card()});
  d.tell(call);
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::invalid_state);
  EXPECT_NE(find<Reply>(d.last)->job.error().message().find("vm1"), std::string::npos);
  call.facts.hypervisor = Error(ErrorCode::not_available, "libvirt does not answer");
  d.tell(call);
  EXPECT_EQ(find<Reply>(d.last)->job.error().code(), ErrorCode::not_available);

  Driver over = standby_replica();
  over.tell(FailoverCall{9, stopped_vm(), {}, {received_point(over, 1)}, 0, {}});
  over.tell(set({static_card()}));
  EXPECT_EQ(find<Reply>(over.last)->job.error().code(), ErrorCode::in_use) << "state 12";
}

TEST(NetworkSettings, AreGivenOnceAfterAFailover) {
  Driver d = started();
  end(d, {});
  EXPECT_EQ(network_job(d)->state, JobState::completed);
  EXPECT_EQ(health_of(d.state(), d.now.wall).cause.find("network"), std::string::npos);
  d.tell(HypervisorNews{VmEvent::stopped});
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_FALSE(find<GiveNetwork>(d.last)) << "at another start";
  d.restart(persisted(d));
  EXPECT_FALSE(find<GiveNetwork>(d.last)) << "after a restart of the daemon";
  d.tell(TimerDue{});
  EXPECT_FALSE(find<GiveNetwork>(d.last));
}

TEST(NetworkSettings, AreGivenAgainAfterAnotherFailover) {
  Driver d = started();
  end(d, {});
  d.tell(HypervisorNews{VmEvent::stopped});
  d.tell(RevertCall{31, stopped_vm()});
  d.tell(Reverted{find<Revert>(d.last)->id, {}, {}, d.state().lineage});
  d.tell(Merged{find<Merge>(d.last)->id, 0});
  ASSERT_EQ(d.state().phase, Phase::standby);
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_FALSE(find<GiveNetwork>(d.last)) << "no failover, no settings";
  d.tell(FailoverCall{9, stopped_vm(), {}, {received_point(d, 1)}, 0, {}});
  d.tell(Stopped{find<StopReceiving>(d.last)->id, {received_point(d, 1)}});
  d.tell(FailedOver{find<FailOver>(d.last)->id, {}});
  const ActionId release = find<Release>(d.last)->id;
  d.tell(HypervisorNews{VmEvent::started});  // by somebody quick, before the end of the release is known
  EXPECT_FALSE(find<GiveNetwork>(d.last));
  d.tell(Released{release, {}});
  EXPECT_TRUE(find<GiveNetwork>(d.last));
}

TEST(NetworkSettings, ThereIsNothingToGiveWithoutThem) {
  Driver d = failed_over_replica();
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_FALSE(find<GiveNetwork>(d.last));
  EXPECT_EQ(network_job(d), nullptr);
}

TEST(NetworkSettings, WaitForAnAgentSayThatItIsMissingAndStillAsk) {
  Driver d = started();
  const Error silent(ErrorCode::not_available, "no guest agent runs in VM vm1", "install qemu-guest-agent");
  const auto ask_again = [&] {
    end(d, fail(silent));
    const Duration wait = find<Arm>(d.last)->due - d.now.monotonic;
    d.pass(wait);
    d.tell(TimerDue{});
    EXPECT_TRUE(find<GiveNetwork>(d.last));
    return wait;
  };
  const Monotonic begun = d.now.monotonic;
  for (Duration wait = ask_again(); wait != limits::kRetryMost; wait = ask_again()) {
    EXPECT_EQ(wait, limits::kAgentAsked);
    ASSERT_LT(d.now.monotonic - begun, limits::kAgentAppears + limits::kAgentAsked);
  }
  EXPECT_GE(d.now.monotonic - begun, limits::kAgentAppears);
  EXPECT_EQ(network_job(d)->state, JobState::exception);
  EXPECT_EQ(network_job(d)->error->code(), ErrorCode::not_available);
  EXPECT_NE(find<GiveNetwork>(d.last), nullptr);
  const Health health = health_of(d.state(), d.now.wall);
  EXPECT_EQ(health.level, ReplicationHealth::warning);
  EXPECT_NE(health.cause.find("no guest agent runs"), std::string::npos) << health.cause;
  EXPECT_EQ(health.next, silent.hint());
  EXPECT_EQ(d.state().phase, Phase::failed_over) << "the failover stands";
  const size_t jobs = d.state().jobs.size();
  EXPECT_EQ(ask_again(), limits::kRetryMost) << "it may come yet";
  EXPECT_EQ(d.state().jobs.size(), jobs) << "one job fails once";
  end(d, {});
  EXPECT_EQ(health_of(d.state(), d.now.wall).cause.find("network"), std::string::npos);
}

TEST(NetworkSettings, ARefusalStandsUntilSomebodyActs) {
  Driver d = started();
  end(d, fail(ErrorCode::failed, "guest-exec has been disabled", "allow it"));
  EXPECT_FALSE(find<Arm>(d.last));
  EXPECT_EQ(network_job(d)->state, JobState::exception);
  EXPECT_EQ(network_job(d)->error->message(), "guest-exec has been disabled");
  EXPECT_NE(health_of(d.state(), d.now.wall).cause.find("guest-exec"), std::string::npos);
  d.tell(set({static_card()}, running_vm()));
  EXPECT_TRUE(find<GiveNetwork>(d.last)) << "given again";
  end(d, fail(ErrorCode::failed, "guest-exec has been disabled", "allow it"));
  d.tell(HypervisorNews{VmEvent::stopped});
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_TRUE(find<GiveNetwork>(d.last)) << "another start";
}

TEST(NetworkSettings, OtherOnesAreDueAnewEqualOnesAreNot) {
  Driver d = started();
  end(d, {});
  d.tell(set({static_card()}, running_vm()));
  EXPECT_FALSE(find<GiveNetwork>(d.last));
  d.tell(set({static_card(kMac, "192.0.2.8/24")}, running_vm()));
  ASSERT_TRUE(find<GiveNetwork>(d.last));
  const ActionId first = find<GiveNetwork>(d.last)->id;
  d.tell(set({static_card(kMac, "192.0.2.9/24")}, running_vm()));
  const ActionId second = find<GiveNetwork>(d.last)->id;
  d.tell(NetworkGiven{first, {}});
  EXPECT_EQ(network_job(d)->state, JobState::running) << "those have been replaced meanwhile";
  d.tell(NetworkGiven{second, {}});
  EXPECT_EQ(network_job(d)->state, JobState::completed);
}

TEST(NetworkSettings, NoJobIsLeftOpen) {
  Driver taken_back = started();
  taken_back.tell(set({static_card(kMac, "")}, running_vm()));
  EXPECT_EQ(network_job(taken_back)->state, JobState::exception);

  Driver off = started();
  const ActionId asked = find<GiveNetwork>(off.last)->id;
  off.tell(HypervisorNews{VmEvent::stopped});
  EXPECT_EQ(network_job(off)->error->code(), ErrorCode::cancelled);
  off.tell(NetworkGiven{asked, fail(ErrorCode::not_available, "late")});
  EXPECT_FALSE(find<Arm>(off.last));

  Driver unseen = started();  // libvirt's word of its end was lost
  end(unseen, fail(ErrorCode::invalid_state, "VM vm1 is off"));
  EXPECT_EQ(network_job(unseen)->error->code(), ErrorCode::cancelled);

  Driver restarted = started();
  restarted.restart(persisted(restarted));
  EXPECT_TRUE(find<GiveNetwork>(restarted.last)) << "it goes on";
  EXPECT_EQ(network_job(restarted)->state, JobState::running);

  Driver removed = started();
  removed.tell(RemoveCall{32, running_vm()});
  EXPECT_EQ(network_job(removed)->error->code(), ErrorCode::cancelled);
  removed.tell(Retired{find<Retire>(removed.last)->id, {}});
  EXPECT_TRUE(removed.state().network.empty());
}

// Libvirt tells only a daemon that listens that a VM was started or stopped.
TEST(NetworkSettings, AreGivenToAVmThatWasStartedWhileTheDaemonWasAway) {
  Driver d = failed_over_replica();
  d.tell(set({static_card()}));
  d.restart(persisted(d));
  ASSERT_TRUE(find<GiveNetwork>(d.last));
  EXPECT_EQ(network_job(d), nullptr) << "perhaps it is off";
  end(d, fail(ErrorCode::not_available, "no guest agent runs in VM vm1"));
  d.tell(TimerDue{});
  end(d, {});
  EXPECT_TRUE(d.state().failover->network->given);
  EXPECT_FALSE(d.state().failover->running_since.never());
}

TEST(NetworkSettings, AreGivenAtAStartAfterAStopThatTheDaemonDidNotSee) {
  Driver d = started();
  d.restart(persisted(d));
  end(d, fail(ErrorCode::invalid_state, "VM vm1 is off"));
  EXPECT_TRUE(d.state().failover->running_since.never());
  EXPECT_FALSE(find<Arm>(d.last));
  d.tell(HypervisorNews{VmEvent::started});
  EXPECT_TRUE(find<GiveNetwork>(d.last));
}

TEST(NetworkSettings, ThatAreSetForAVmThatRunsAreGivenAtOnce) {
  Driver d = failed_over_replica();  // started while the daemon was away
  d.tell(set({static_card()}, running_vm()));
  EXPECT_TRUE(find<GiveNetwork>(d.last));
}

TEST(NetworkSettings, DoNotStandInTheWayOfOtherCalls) {
  Driver d = started();
  d.tell(PowerCall{33, running_vm(), false});
  EXPECT_TRUE(find<Reply>(d.last)->job) << "its job is one in the background";
}

TEST(NetworkSettings, AStateFromBeforeHasNone) {
  Driver d = failed_over_replica();
  std::string text = persisted(d);
  EXPECT_EQ(text.find("\"network\""), std::string::npos);
  ASSERT_TRUE(decode_state(text));
  EXPECT_TRUE(decode_state(text)->network.empty());
  EXPECT_FALSE(decode_state(text)->failover->network);
}

}  // namespace
}  // namespace understudy::core
