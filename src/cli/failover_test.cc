// Failover of everything that one primary has sent.
#include <gmock/gmock.h>

#include "cli/commands_test.h"

namespace understudy::cli {
namespace {

using providers::ago;
using providers::kJob;
using providers::kReplica;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Uuid kMail = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000004");
const Uuid kOver = *Uuid::parse("aaaaaaaa-0000-4000-8000-000000000005");

// Three replicas of hostc.example: web and mail can be failed over, old is failed over.
class FailoverAll : public Commands {
 protected:
  FailoverAll() {
    host_.verdict.job.reset();
    const auto copy = [&](const Uuid& id, const char* name) {
      providers::VmView view = host_.views[2];
      view.vm.id = view.state.vm = id;
      view.vm.name = view.state.name = name;
      for (auto& point : view.points) point.id = Uuid::random();
      return view;
    };
    host_.views.push_back(copy(kMail, "mail"));
    host_.views.push_back(copy(kOver, "old"));
    host_.views[4].state.phase = core::Phase::failed_over;
    host_.views[4].state.failover =
        core::Failover{host_.views[4].points[0].id, PointType::standard, ago(3600), 4, false};
  }
  int all(std::vector<std::string> more) {
    host_.calls.clear();
    more.insert(more.begin(), {"failover", "--from", "hostc.example", "--all"});
    return understudy(more);
  }
  static std::string over(const Uuid& vm) { return "failover " + vm.lower() + " to the latest"; }
  static std::string on(const Uuid& vm) { return "power on " + vm.lower(); }
};

TEST_F(FailoverAll, PrintsItsPlanAndAsks) {
  EXPECT_EQ(all({}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("VM    POINT     CUT                      LOSES THE LAST  NEWER POINTS  "
                                    "PRIMARY HEARD\n"));
  EXPECT_THAT(err_.str(),
              HasSubstr("web   bbbbbbbb  2025-12-17 09:55:08 UTC  14 s            -             -\n"));
  EXPECT_THAT(err_.str(), HasSubstr("\nold: is failed over already, skipped\n"));
  EXPECT_THAT(err_.str(), HasSubstr("is lost, and replication from hostc.example ends.\n"));
  EXPECT_THAT(err_.str(), HasSubstr("add --yes"));
  interactive_ = true;
  answer_ = "n";
  EXPECT_EQ(all({}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("Fail over 2 VMs? [y/N]"));
  EXPECT_THAT(host_.calls, IsEmpty());
  answer_ = "y";
  EXPECT_EQ(all({}), 0);
  EXPECT_THAT(host_.calls, ElementsAre(over(kMail), over(kReplica)));
  EXPECT_EQ(out_.str(),
            "VM    RESULT\n"
            "mail  failed over\n"
            "old   was failed over before, skipped\n"
            "web   failed over\n"
            "\nNext, for each: understudy vm start VM\n");
}

TEST_F(FailoverAll, GoesOnWhenOneFailsAndSaysSo) {
  host_.refused.emplace(over(kMail), Error(ErrorCode::not_available, "libvirt does not answer"));
  EXPECT_EQ(all({"--yes", "--start"}), 1);
  EXPECT_THAT(host_.calls, ElementsAre(over(kMail), over(kReplica), on(kOver), on(kReplica)));
  EXPECT_THAT(out_.str(), HasSubstr("mail  failed: libvirt does not answer\n"));
  EXPECT_THAT(out_.str(), HasSubstr("old   was failed over before, skipped, started\n"));
  EXPECT_THAT(out_.str(), HasSubstr("web   failed over, started\n"));
  EXPECT_THAT(err_.str(),
              HasSubstr("1 VM of 3 from hostc.example has a problem: mail\n  next: understudy show "
                        "mail; then run it again, it skips what is done: understudy failover "
                        "--from hostc.example --all --start\n"));
  host_.refused.clear();
  host_.refused.emplace(on(kMail), Error(ErrorCode::invalid_state, "no network 'lan'", "virsh net-list"));
  EXPECT_EQ(all({"--yes", "--start", "--json"}), 1);
  const auto said = JsonObject::parse(out_.str());
  ASSERT_TRUE(said) << out_.str();
  const auto vms = *said->objects("vms");
  ASSERT_EQ(vms.size(), 3U);
  EXPECT_EQ(*vms[0].text("result"), "failed over, but not started");
  EXPECT_EQ(*vms[0].object("error")->text("next"), "virsh net-list");
  EXPECT_EQ(*vms[1].flag("skipped"), true);
  EXPECT_EQ(*said->object("error")->text("code"), "failed");
}

TEST_F(FailoverAll, ChoosesByTimeForEach) {
  host_.views[3].points.erase(host_.views[3].points.begin());
  EXPECT_EQ(all({"--yes", "--at", "30m"}), 1);
  EXPECT_THAT(err_.str(),
              HasSubstr("mail: cannot be failed over: no recovery point of VM 'mail' is as old as "
                        "30m: the oldest is 14 s old. Next: understudy point list mail\n"));
  EXPECT_THAT(err_.str(), HasSubstr("1 h             1 not used"));
  EXPECT_THAT(host_.calls,
              ElementsAre("failover " + kReplica.lower() + " to " + providers::kOldPoint.lower()));
  EXPECT_THAT(err_.str(), HasSubstr("--all --at '30m'\n"));
  EXPECT_EQ(all({"--yes", "--at", "yesterday"}), 2);
  EXPECT_THAT(host_.calls, IsEmpty());
}

TEST_F(FailoverAll, BesideALivingPrimaryNothingIsDone) {
  host_.views[3].primary = {Duration::seconds(14), true};
  EXPECT_EQ(all({"--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("14 s ago, may still run it\n"));
  EXPECT_THAT(err_.str(), HasSubstr("hostc.example may still run mail: two copies of each would run"));
  EXPECT_THAT(err_.str(), HasSubstr("--from hostc.example --all --yes --primary-is-running\n"));
  interactive_ = true;
  answer_ = "y";
  EXPECT_EQ(all({}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("type the name of the primary host: "));
  EXPECT_THAT(host_.calls, IsEmpty());
  answer_ = "hostc.example";
  EXPECT_EQ(all({}), 0);
  EXPECT_THAT(host_.calls, ElementsAre(over(kMail), over(kReplica)));
  EXPECT_EQ(all({"--yes", "--primary-is-running"}), 0);
}

TEST_F(FailoverAll, CanBeRunAgain) {
  for (const size_t i : {2U, 3U}) {
    host_.views[i].state.phase = core::Phase::failed_over;
    host_.views[i].state.failover = core::Failover{kMail, PointType::standard, ago(3600), 4, false};
    host_.views[i].vm.power = core::VmPower::running;
  }
  EXPECT_EQ(all({}), 0);  // nothing to confirm
  EXPECT_THAT(host_.calls, IsEmpty());
  EXPECT_EQ(all({"--start"}), 0);
  EXPECT_THAT(host_.calls, ElementsAre(on(kOver)));
  EXPECT_THAT(out_.str(), HasSubstr("web   was failed over before, skipped; runs\n"));
}

TEST_F(FailoverAll, InterruptedTheJobsGoOn) {
  host_.verdict.job = kJob;
  waiter_.on_wait = [] { return fail(ErrorCode::cancelled, "interrupted"); };
  EXPECT_EQ(all({"--yes"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("the job goes on without this command"));
  EXPECT_THAT(host_.calls, ElementsAre(over(kMail), over(kReplica)));
  EXPECT_EQ(all({"--yes", "--no-wait"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("mail  the failover has begun\n"));
}

TEST_F(FailoverAll, RefusesWhatIsWrong) {
  EXPECT_EQ(understudy({"failover"}), 2);
  EXPECT_EQ(understudy({"failover", "--all"}), 2);
  EXPECT_EQ(understudy({"failover", "--from", "hostc.example"}), 2);
  EXPECT_EQ(all({"web"}), 2);
  EXPECT_EQ(all({"--point", "bbbb"}), 2);
  EXPECT_EQ(all({"--start", "--no-wait"}), 2);
  EXPECT_EQ(understudy({"failover", "--from", "hostx", "--all", "--yes"}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("no replica of 'hostx' is kept on this host; those here come from "
                                    "hostc.example\n  next: understudy list\n"));
}

TEST_F(FailoverAll, OneVmCanBeStartedAtOnceToo) {
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--start"}), 0);
  EXPECT_THAT(host_.calls, ElementsAre(over(kReplica), on(kReplica)));
  EXPECT_EQ(out_.str(), "'web' is failed over and started.\n");
  host_.refused.emplace(on(kReplica), Error(ErrorCode::invalid_state, "no network 'lan'"));
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--start"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("'web' is failed over, but is not started: no network 'lan'\n  next: "
                                    "understudy vm start web\n"));
}

}  // namespace
}  // namespace understudy::cli
