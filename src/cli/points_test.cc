// Points and what is done with them: listing, choosing, failover, revert, points on demand, and the commands
// that control a running replication.
#include "cli/points.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <time.h>

#include "cli/commands_test.h"

namespace understudy::cli {
namespace {

using providers::ago;
using providers::kJob;
using providers::kNewPoint;
using providers::kNow;
using providers::kOldPoint;
using providers::kPrimary;
using providers::kReplica;
using testing::HasSubstr;
using testing::Not;

const Uuid kMiddlePoint = *Uuid::parse("bbbb1111-0000-4000-8000-000000000003");

class Points : public Commands {
 protected:
  Points() {
    host_.verdict.job.reset();
    auto& points = host_.views[2].points;
    points[0].keep = PointKeep::hourly;
    points.insert(points.begin() + 1, {kMiddlePoint,
                                       {kReplica, 3, 16},
                                       PointType::application_consistent,
                                       ago(600),
                                       ago(599),
                                       3 << 20,
                                       PointKeep::on_demand});
  }
  void fail_over(const Uuid& point) {
    host_.views[2].state.phase = core::Phase::failed_over;
    host_.views[2].state.failover = core::Failover{point, PointType::standard, ago(3600), 4, false};
  }
  std::string failed_over_to(std::vector<std::string> words) {
    host_.last_call = "";
    words.insert(words.begin(), {"failover", "web", "--yes"});
    EXPECT_EQ(understudy(words), 0) << err_.str();
    return host_.last_call;
  }
  static std::string call_to(const Uuid& point) {
    return "failover " + kReplica.lower() + " to " + point.lower();
  }
};

// A time zone for the length of a test.
class Zone {
 public:
  explicit Zone(const char* name) {
    setenv("TZ", name, 1);
    tzset();
  }
  ~Zone() {
    unsetenv("TZ");
    tzset();
  }
};

TEST_F(Points, AreListedNewestFirst) {
  EXPECT_EQ(understudy({"point", "list", "web"}), 0);
  EXPECT_EQ(
      out_.str(),
      "RECOVERY POINT                        CUT                      AGE     TYPE                    KEPT "
      "AS    SIZE\n"
      "bbbbbbbb-0000-4000-8000-000000000002  2025-12-17 09:55:08 UTC  14 s    planned failover        "
      "newest     6 B\n"
      "bbbb1111-0000-4000-8000-000000000003  2025-12-17 09:45:22 UTC  10 min  application consistent  on "
      "demand  3.0 MiB\n"
      "bbbbbbbb-0000-4000-8000-000000000001  2025-12-17 08:55:22 UTC  1 h     standard                "
      "hourly     5 B\n");
  EXPECT_EQ(understudy({"point", "list", "web", "--json"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(R"("AgeSeconds":600)"));
  const auto parsed = JsonObject::parse(out_.str());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->objects("points")->size(), 3U);

  fail_over(kOldPoint);
  EXPECT_EQ(understudy({"point", "list", "web"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("failed over to, hourly"));
}

TEST_F(Points, AreOnTheReplicaHost) {
  EXPECT_EQ(understudy({"point", "list", "db"}), 0);
  EXPECT_EQ(out_.str(),
            "The recovery points of 'db' are on hostb.example. There: understudy point list db\n");
  EXPECT_EQ(understudy({"point", "list", "alone"}), 0);
  EXPECT_EQ(out_.str(), "'alone' is not replicated here.\n");
  host_.views[2].points.clear();
  EXPECT_EQ(understudy({"point", "list", "web"}), 0);
  EXPECT_EQ(out_.str(), "'web' has no recovery point yet.\n");
  EXPECT_EQ(understudy({"point", "list", "web", "--json"}), 0);
  EXPECT_EQ(out_.str(), "{\"points\":[]}\n");
}

TEST_F(Points, AreMadeOnThePrimary) {
  EXPECT_EQ(understudy({"point", "create", "db"}), 0);
  EXPECT_EQ(host_.last_call, "point of " + kPrimary.lower());
  EXPECT_EQ(out_.str(), "'db' has a new recovery point on hostb.example. There: understudy point list db\n");
  EXPECT_EQ(understudy({"point", "create", "db", "--application-consistent"}), 0);
  EXPECT_EQ(host_.last_call, "consistent point of " + kPrimary.lower());
  EXPECT_THAT(out_.str(), HasSubstr("application-consistent recovery point"));

  host_.last_call = "";
  EXPECT_EQ(understudy({"point", "create", "web"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("this host keeps the replica of VM 'web'"));
  EXPECT_THAT(err_.str(), HasSubstr("on hostc.example: understudy point create web"));
  EXPECT_EQ(understudy({"point", "create", "alone"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("next: understudy list"));
  EXPECT_EQ(host_.last_call, "");
  host_.verdict.job = kJob;
  EXPECT_EQ(understudy({"point", "create", "db", "--no-wait"}), 0);
  EXPECT_EQ(out_.str(), "Started: understudy job show " + kJob.lower() + "\n");
}

TEST_F(Points, FailoverStatesTheLossAndAsks) {
  EXPECT_EQ(understudy({"failover", "web"}), 2);
  EXPECT_THAT(err_.str(),
              HasSubstr("The latest point is 14 s old (" + kNewPoint.lower() +
                        ", planned failover, cut 2025-12-17 09:55:08 UTC). What 'web' wrote after"));
  EXPECT_THAT(err_.str(), HasSubstr("add --yes"));
  EXPECT_EQ(host_.last_call, "");

  interactive_ = true;
  answer_ = "n";
  EXPECT_EQ(understudy({"failover", "web"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("Fail over 'web'? [y/N]"));
  EXPECT_EQ(host_.last_call, "");
  answer_ = "y";
  EXPECT_EQ(understudy({"failover", "web"}), 0);
  EXPECT_EQ(host_.last_call, "failover " + kReplica.lower() + " to the latest");
  EXPECT_THAT(out_.str(), HasSubstr("Next: understudy vm start web"));
}

TEST_F(Points, FailoverTakesAPointByItsBeginning) {
  EXPECT_EQ(failed_over_to({"--point", kOldPoint.lower()}), call_to(kOldPoint));
  EXPECT_THAT(err_.str(),
              HasSubstr("The point is 1 h old (" + kOldPoint.lower() + ", standard, hourly, cut"));
  EXPECT_THAT(err_.str(), HasSubstr("2 newer ones are not used; the newest is 14 s old."));
  EXPECT_EQ(failed_over_to({"--point", "BBBB1"}), call_to(kMiddlePoint));
  EXPECT_THAT(err_.str(), HasSubstr("A newer one is not used; it is 14 s old."));
  EXPECT_EQ(failed_over_to({"--point", kNewPoint.lower()}), call_to(kNewPoint));
  EXPECT_THAT(err_.str(), Not(HasSubstr("not used")));

  host_.last_call = "";
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", "bbbb"}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("more than one"));
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", "bbb"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("at least four characters"));
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", "nope"}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("next: understudy point list web"));
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Points, FailoverTakesTheNewestPointNotLaterThanATime) {
  EXPECT_EQ(failed_over_to({"--at", "10m"}), call_to(kMiddlePoint));
  EXPECT_EQ(failed_over_to({"--at", "14s"}), call_to(kNewPoint));
  EXPECT_EQ(failed_over_to({"--at", "15s"}), call_to(kMiddlePoint));
  EXPECT_EQ(failed_over_to({"--at", "1h"}), call_to(kOldPoint));
  EXPECT_EQ(failed_over_to({"--at", "2025-12-17T09:45:22Z"}), call_to(kMiddlePoint));
  EXPECT_EQ(failed_over_to({"--at", "2025-12-17T09:45:21Z"}), call_to(kOldPoint));
  EXPECT_EQ(failed_over_to({"--at", "2025-12-17 09:55:08 UTC"}), call_to(kNewPoint));  // as it is listed
  EXPECT_EQ(failed_over_to({"--at", "2099-01-01T00:00Z"}), call_to(kNewPoint));
  const Zone zone("Europe/Vienna");
  EXPECT_EQ(failed_over_to({"--at", "2025-12-17T10:46"}), call_to(kMiddlePoint));

  host_.last_call = "";
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--at", "61m"}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("the oldest is 1 h old"));
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--at", "yesterday"}), 2);
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--at", "10m", "--point", "bbbb1"}), 2);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Points, FailoverBesideALivingPrimaryIsRefused) {
  host_.views[2].primary = {Duration::seconds(14), true};
  EXPECT_EQ(understudy({"failover", "web", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("The latest point is 14 s old"));
  EXPECT_THAT(err_.str(), HasSubstr("hostc.example was heard 14 s ago and may still run this VM\n"));
  EXPECT_THAT(err_.str(),
              HasSubstr("understudy: VM 'web' may still run on hostc.example, which was heard 14 s "
                        "ago: two copies of it would run\n"));
  EXPECT_THAT(err_.str(), HasSubstr("next: on hostc.example: virsh shutdown web; "));
  EXPECT_THAT(err_.str(), HasSubstr("here: understudy failover web --yes --primary-is-running\n"));
  EXPECT_EQ(understudy({"failover", "web"}), 3);  // with nobody to ask
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--at", "10m"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("understudy failover web --at '10m' --yes --primary-is-running\n"));
  EXPECT_EQ(host_.last_call, "");

  EXPECT_EQ(failed_over_to({"--primary-is-running"}), "failover " + kReplica.lower() + " to the latest");
  host_.last_call = "";
  host_.views[2].primary.alive = false;
  EXPECT_EQ(failed_over_to({}), "failover " + kReplica.lower() + " to the latest");
  EXPECT_THAT(err_.str(), Not(HasSubstr("may still run")));
}

TEST_F(Points, FailoverBesideALivingPrimaryAsksForTheName) {
  host_.views[2].primary = {Duration::seconds(14), true};
  interactive_ = true;
  for (const char* answer : {"y", "yes", "", "WEB"}) {
    answer_ = answer;
    EXPECT_EQ(understudy({"failover", "web"}), 1) << answer;
    EXPECT_THAT(err_.str(), HasSubstr("type the name of the VM: "));
    EXPECT_THAT(err_.str(), HasSubstr("nothing was done"));
  }
  EXPECT_EQ(understudy({"failover", "web", "--yes"}), 3);
  EXPECT_EQ(host_.last_call, "");
  answer_ = "web";
  EXPECT_EQ(understudy({"failover", "web"}), 0);
  EXPECT_EQ(host_.last_call, "failover " + kReplica.lower() + " to the latest");
}

TEST_F(Points, ShowSaysWhenThePrimaryWasHeard) {
  EXPECT_EQ(understudy({"show", "web"}), 0);
  EXPECT_THAT(out_.str(), Not(HasSubstr("heard")));
  host_.views[2].primary = {Duration::seconds(14), true};
  EXPECT_EQ(understudy({"show", "web"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\nprimary heard  14 s ago\n"));
}

TEST_F(Points, FailoverStartsOnlyOnTheReplica) {
  EXPECT_EQ(understudy({"failover", "db", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("on hostb.example: understudy failover db"));
  EXPECT_EQ(understudy({"failover", "alone", "--yes"}), 3);
  host_.views[2].points.clear();
  EXPECT_EQ(understudy({"failover", "web", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("no recovery point yet"));
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Points, RevertSaysWhatIsSetAsideAndAsks) {
  EXPECT_EQ(understudy({"revert", "web", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("VM 'web' is not failed over (replicating)"));
  EXPECT_EQ(understudy({"revert", "db", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("on hostb.example: understudy revert db"));

  fail_over(kOldPoint);
  EXPECT_EQ(understudy({"revert", "web"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("What 'web' wrote here since its failover (to the point " +
                                    kOldPoint.lower() + ", standard, hourly, cut 2025-12-17 08:55:22 UTC)"));
  EXPECT_THAT(err_.str(), HasSubstr("set aside"));
  interactive_ = true;
  EXPECT_EQ(understudy({"revert", "web"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("Revert the failover of 'web'? [y/N]"));
  EXPECT_EQ(host_.last_call, "");

  host_.views[2].set_aside = {{3, ago(9000), 1}, {4, ago(1), 5 << 20}};
  answer_ = "yes";
  EXPECT_EQ(understudy({"revert", "web"}), 0);
  EXPECT_EQ(host_.last_call, "revert " + kReplica.lower());
  EXPECT_EQ(out_.str(),
            "'web' is a replica again. Next, on hostc.example: understudy resume web\n"
            "Set aside: 5.0 MiB of generation 4, since 2025-12-17 09:55:21 UTC.\n");
  EXPECT_EQ(understudy({"show", "web"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("set aside     1 B of generation 3, since 2025-12-17 07:25:22 UTC\n"));
  EXPECT_EQ(understudy({"revert", "web", "--yes", "--json"}), 0);
  EXPECT_TRUE(JsonObject::parse(out_.str())) << out_.str();
}

TEST_F(Points, ReplicationIsPausedAndResumed) {
  EXPECT_EQ(understudy({"pause", "db"}), 0);
  EXPECT_EQ(host_.last_call, "state 7 of " + kPrimary.lower());
  EXPECT_THAT(out_.str(), HasSubstr("Next: understudy resume db"));
  EXPECT_EQ(understudy({"resume", "db"}), 0);
  EXPECT_EQ(host_.last_call, "state 3 of " + kPrimary.lower());
  EXPECT_EQ(understudy({"pause", "web"}), 0);  // a replica may be paused too
  host_.verdict.error = Error(ErrorCode::invalid_state, "it is paused already", "understudy resume db");
  EXPECT_EQ(understudy({"pause", "db"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("next: understudy resume db"));
  EXPECT_EQ(understudy({"pause", "nope"}), 4);
}

TEST_F(Points, ResyncFollowsTheWorkToItsEnd) {
  job(kJob).type = JobType::resynchronize;
  end_job_after(10);
  EXPECT_EQ(understudy({"resync", "db"}), 0);
  EXPECT_EQ(host_.last_call, "resynchronize " + kPrimary.lower() + " now");
  EXPECT_EQ(waiter_.waits, 10);
  EXPECT_EQ(out_.str(),
            "The resynchronization of 'db' runs; Ctrl-C only ends this command.\n"
            "The resynchronization of 'db' is complete.\n");
  EXPECT_EQ(understudy({"resync", "db", "--cancel"}), 0);
  EXPECT_EQ(host_.last_call, "state 9 of " + kPrimary.lower());
  EXPECT_EQ(understudy({"resync", "web"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("on hostc.example: understudy resync web"));
}

TEST(Moments, AreAgesOrInstants) {
  const auto seconds_ago = [](const char* text) {
    const auto moment = parse_moment(text);
    return moment && moment->ago ? moment->ago->whole_seconds() : -1;
  };
  EXPECT_EQ(seconds_ago("90s"), 90);
  EXPECT_EQ(seconds_ago("10m"), 600);
  EXPECT_EQ(seconds_ago("2h"), 7200);
  EXPECT_EQ(seconds_ago("1d"), 86400);
  EXPECT_EQ(seconds_ago("999999d"), 999999LL * 86400);
  const auto instant = [](const char* text) {
    const auto moment = parse_moment(text);
    return moment && !moment->ago ? iso_time(moment->at) : std::string("none");
  };
  const Zone zone("America/New_York");
  EXPECT_EQ(instant("2026-11-22T18:19:08Z"), "2026-11-22T18:19:08.000000Z");
  EXPECT_EQ(instant("2026-11-22T18:19:08.5+01:00"), "2026-11-22T17:19:08.500000Z");
  EXPECT_EQ(instant("2026-11-22T18:19-05:00"), "2026-11-22T23:19:00.000000Z");
  EXPECT_EQ(instant("2026-11-22T18:19"), "2026-11-22T23:19:00.000000Z");
  EXPECT_EQ(instant("2026-07-22 18:19:08.25"), "2026-07-22T22:19:08.250000Z");  // daylight saving time
  EXPECT_EQ(instant("2026-11-22 18:19:08 UTC"), "2026-11-22T18:19:08.000000Z");
  for (const char* bad : {"", "10", "m", "-10m", "1000000d", "10w", "1.5h", "2026-11-22", "2026-02-30T10:00",
                          "2026-11-22T25:00", "2026-11-22T18:19:08+0100", "2026-11-22T18:19:08+01:00x",
                          "2026-11-22T18:19:08ZZ", "2026-11-22T18:19 "})
    EXPECT_FALSE(parse_moment(bad)) << bad;
}

}  // namespace
}  // namespace understudy::cli
