// The commands against the real providers, in one process: only the wire is left out.
#include "cli/commands_test.h"

#include <gmock/gmock.h>

#include <filesystem>

namespace understudy::cli {
namespace {

using providers::ago;
using providers::kFailedJob;
using providers::kJob;
using providers::kNewPoint;
using providers::kOldPoint;
using providers::kPrimary;
using providers::kReplica;
using providers::kRunning;
using testing::HasSubstr;
using testing::Not;

TEST_F(Commands, ListShowsEveryVmAndWhatIsWrong) {
  EXPECT_EQ(understudy({"list"}), 0);
  EXPECT_EQ(out_.str(),
            "VM     ROLE     STATE            HEALTH   NEWEST POINT  OTHER HOST\n"
            "alone  -        -                -        -             -\n"
            "db     primary  first copy 25 %  warning  -             hostb.example\n"
            "web    replica  replicating      ok       14 s          hostc.example\n"
            "\n"
            "db: warning: the first copy is not complete. Next: wait\n");
  EXPECT_EQ(understudy({"list", "--json"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(R"("RecoveryPointAgeSeconds":14)"));
  EXPECT_TRUE(JsonObject::parse(out_.str()));
}

TEST_F(Commands, ShowTakesANameOrAnId) {
  EXPECT_EQ(understudy({"show", "web"}), 0);
  const std::string by_name = out_.str();
  EXPECT_THAT(by_name, HasSubstr("newest point  14 s old, cut 2025-12-17 09:55:08 UTC"));
  EXPECT_THAT(by_name, HasSubstr(kOldPoint.lower() + "  2025-12-17 08:55:22 UTC  1 h   standard"));
  EXPECT_THAT(by_name, HasSubstr("planned failover"));
  EXPECT_EQ(understudy({"show", kReplica.lower()}), 0);
  EXPECT_EQ(out_.str(), by_name);
  EXPECT_EQ(understudy({"show", "db"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("warning      network 'lan' is mapped to 'default'"));
  EXPECT_THAT(out_.str(), HasSubstr("disks        vda"));
  EXPECT_THAT(out_.str(), HasSubstr("First copy of db"));
}

TEST_F(Commands, AnUnknownVmListsTheOnesThatAreThere) {
  EXPECT_EQ(understudy({"show", "nope"}), 4);
  EXPECT_EQ(err_.str(),
            "understudy: there is no VM 'nope' on this host\n  next: the VMs there are: alone, db, web\n");
  EXPECT_EQ(understudy({"show", "WEB"}), 4);
}

TEST_F(Commands, WithoutLibvirtItIsUnreachable) {
  host_.libvirt_is_down = true;
  EXPECT_EQ(understudy({"list"}), 6);
  EXPECT_EQ(understudy({"list", "--json"}), 6);
  EXPECT_THAT(out_.str(), HasSubstr(R"("code":"not_available")"));
}

TEST_F(Commands, EnableFillsTheSettings) {
  host_.service.certificate_thumbprint = "ab";
  host_.verdict.job.reset();
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb:8443", "--interval", "30", "--disks", "vdb",
                        "--history", "24"}),
            0);
  EXPECT_EQ(host_.last_call, "create " + kRunning.lower());
  EXPECT_EQ(host_.created.recovery_connection_point, "hostb");
  EXPECT_EQ(host_.created.recovery_server_port, 8443);
  EXPECT_EQ(host_.created.replication_interval, 30U);
  EXPECT_EQ(host_.created.recovery_history, 24U);
  EXPECT_EQ(host_.created.included_disks, std::vector<std::string>{"vdb"});
  EXPECT_TRUE(host_.created.auto_resynchronize_enabled);
  EXPECT_EQ(host_.created.auto_resynchronize_start, 0U);
  EXPECT_EQ(host_.created.auto_resynchronize_end, 0U);  // all day
  EXPECT_THAT(out_.str(), HasSubstr("Next: understudy start alone"));
}

TEST_F(Commands, EnableSetsHistoryAndHealing) {
  host_.service.certificate_thumbprint = "ab";
  host_.verdict.job.reset();
  const auto enable = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"enable", "alone", "--to", "hostb"});
    return understudy(more);
  };
  EXPECT_EQ(enable({}), 0);
  EXPECT_EQ(host_.created.recovery_history, 0U);
  EXPECT_EQ(host_.created.application_consistent_interval, 0U);
  EXPECT_EQ(enable({"--history", "12", "--app-consistent", "4", "--no-auto-resync"}), 0);
  EXPECT_EQ(host_.created.recovery_history, 12U);
  EXPECT_EQ(host_.created.application_consistent_interval, 4U);
  EXPECT_FALSE(host_.created.auto_resynchronize_enabled);

  host_.last_call = "";
  EXPECT_EQ(enable({"--app-consistent", "13", "--history", "24"}), 2);
  EXPECT_EQ(enable({"--history", "25"}), 2);
  EXPECT_EQ(enable({"--app-consistent", "4"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("next: add --history 4"));
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Commands, CheckSaysWhatWouldGoWrong) {
  using enum ReplicationHealth;
  host_.findings = {{"hosta.example", {ok, "definition", "the definition of 'db' can travel", {}}},
                    {"hostb.example", {ok, "host", "it finds nothing wrong", {}}}};
  EXPECT_EQ(understudy({"check", "db"}), 0);
  EXPECT_EQ(host_.last_call, "check " + kPrimary.lower());
  EXPECT_THAT(out_.str(), HasSubstr("  ok        hosta.example: the definition of 'db' can travel\n"));
  host_.findings[1].finding = {warning, "space", "12 MiB are free", "free space there: df /srv", Wall{1}};
  EXPECT_EQ(understudy({"check", "db"}), 7);
  EXPECT_THAT(out_.str(),
              HasSubstr("  warning   hostb.example: 12 MiB are free\n            next: free space"));
  host_.findings.push_back({"hostb.example", {critical, "location", "QEMU may not pass", "chmod o+x /srv"}});
  EXPECT_EQ(understudy({"check", "--json"}), 8);  // all that are replicated
  EXPECT_THAT(out_.str(), HasSubstr(R"("worst":"critical")"));
  EXPECT_THAT(out_.str(), HasSubstr(R"("vm":"db")"));
  EXPECT_THAT(out_.str(), HasSubstr(R"("vm":"web")"));
  EXPECT_THAT(out_.str(), Not(HasSubstr(R"("vm":"alone")")));
  EXPECT_THAT(out_.str(), HasSubstr(R"("Cause":"QEMU may not pass")"));
  host_.verdict.error = Error(ErrorCode::invalid_state, "the VM is not replicated on this host");
  EXPECT_EQ(understudy({"check", "alone"}), 3);
  EXPECT_EQ(understudy({"check", "db", "web"}), 2);
  host_.views.clear();
  EXPECT_EQ(understudy({"check"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("No VM is replicated on this host"));
}

TEST_F(Commands, ShowNamesEveryIssue) {
  host_.views[1].issues.push_back({ReplicationHealth::warning, "the clocks differ", "", ago(5)});
  EXPECT_EQ(understudy({"show", "db"}), 0);
  EXPECT_THAT(out_.str(), testing::ContainsRegex("  because +the first copy is not complete\n"));
  EXPECT_THAT(out_.str(), testing::ContainsRegex("  also +the clocks differ\n"));
}

TEST_F(Commands, SetChangesWhatIsNamed) {
  host_.service.certificate_thumbprint = "ab";
  host_.verdict.job.reset();
  ReplicationSettings& has = host_.views[1].state.settings;
  has.recovery_history = 3;
  EXPECT_EQ(understudy(
                {"set", "db", "--interval", "900", "--compression", "off", "--resync-window", "22:00-06:30"}),
            0);
  EXPECT_EQ(host_.created.replication_interval, 900U);
  EXPECT_EQ(host_.created.recovery_history, 3U);
  EXPECT_FALSE(host_.created.compression_enabled);
  EXPECT_TRUE(host_.created.auto_resynchronize_enabled);
  EXPECT_EQ(host_.created.auto_resynchronize_start, 22U * 3600);
  EXPECT_EQ(host_.created.auto_resynchronize_end, 6U * 3600 + 1800);
  EXPECT_THAT(out_.str(), HasSubstr("from the next cycle on"));
  EXPECT_EQ(understudy({"set", "db", "--to", "hostb2:9443", "--history", "2", "--app-consistent", "2",
                        "--no-auto-resync"}),
            0);
  EXPECT_EQ(host_.created.recovery_connection_point, "hostb2");
  EXPECT_EQ(host_.created.recovery_server_port, 9443);
  EXPECT_FALSE(host_.created.auto_resynchronize_enabled);
  host_.last_call = "";
  EXPECT_EQ(understudy({"set", "db"}), 2);
  for (const char* window : {"22:00", "22-23", "24:00-01:00", "22:60-01:00", "-", "a1:00-02:00"})
    EXPECT_EQ(understudy({"set", "db", "--resync-window", window}), 2) << window;
  EXPECT_EQ(understudy({"set", "db", "--compression", "much"}), 2);
  EXPECT_EQ(understudy({"set", "db", "--interval", "60"}), 2);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Commands, EnableRefusesWhatIsWrong) {
  EXPECT_EQ(understudy({"enable", "alone"}), 2);
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb:x"}), 2);
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb", "--interval", "5"}), 2);
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb", "--disks", "vdz"}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("its disks are: vda, vdb"));
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hosta.example"}), 2);  // what the provider says
  EXPECT_THAT(err_.str(), HasSubstr("this host itself"));
  EXPECT_EQ(host_.last_call, "");
  host_.service.certificate_thumbprint = "ab";
  host_.verdict.error = Error(ErrorCode::invalid_state, "it is replicated already");
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb"}), 3);
}

TEST_F(Commands, DisksThatAreNotListedAreTheHostsToJudge) {
  host_.views[0].state.definition.disks.clear();
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb", "--disks", "vdb", "--no-wait"}), 0);
  EXPECT_EQ(host_.created.included_disks, std::vector<std::string>{"vdb"});
}

TEST_F(Commands, StartFollowsTheFirstCopyToItsEnd) {
  host_.verdict.job.reset();
  end_job_after(100);
  EXPECT_EQ(understudy({"start", "db"}), 0);
  EXPECT_EQ(host_.last_call, "start " + kPrimary.lower());
  EXPECT_EQ(waiter_.waits, 100);
  EXPECT_THAT(err_.str(), HasSubstr("First copy of db: 25 %, 300 B of 1.1 KiB"));
  EXPECT_THAT(out_.str(), HasSubstr("The first copy of 'db' is complete."));
}

TEST_F(Commands, InterruptedItSaysThatTheJobGoesOn) {
  waiter_.on_wait = [] { return fail(ErrorCode::cancelled, "interrupted"); };
  EXPECT_EQ(understudy({"vm", "start", "alone"}), 1);
  EXPECT_EQ(
      err_.str(),
      "understudy: no longer waiting: the job goes on without this command\n  next: understudy job show " +
          kJob.lower() + "\n");
}

TEST_F(Commands, NoWaitReturnsAtOnce) {
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--yes", "--no-wait"}), 0);
  EXPECT_EQ(host_.last_call, "power off " + kRunning.lower());
  EXPECT_EQ(out_.str(), "Started: understudy job show " + kJob.lower() + "\n");
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--yes", "--no-wait", "--json"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(R"("InstanceID":")" + kJob.upper()));
  EXPECT_EQ(waiter_.waits, 0);
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--yes", "--no-wait", "--wait"}), 2);
}

TEST_F(Commands, AJobThatFailsIsTheError) {
  host_.verdict.job = kFailedJob;
  EXPECT_EQ(understudy({"vm", "start", "alone"}), 1);
  EXPECT_EQ(err_.str(), "understudy: hostb.example has no space for db\n  next: free 10 GiB there\n");
}

TEST_F(Commands, AWaitOutlivesARestartOfTheDaemon) {
  waiter_.on_wait = [this]() -> Status {
    host_.libvirt_is_down = waiter_.waits < 5;
    if (waiter_.waits == 6) job(kJob).state = JobState::completed;
    return {};
  };
  EXPECT_EQ(understudy({"vm", "start", "alone"}), 0);
  waiter_.waits = 0;
  job(kJob).state = JobState::running;
  waiter_.on_wait = [this]() -> Status {
    host_.libvirt_is_down = true;
    return {};
  };
  EXPECT_EQ(understudy({"vm", "start", "alone"}), 6);
  EXPECT_THAT(err_.str(), HasSubstr("understudy job show " + kJob.lower()));
}

TEST_F(Commands, ServerAndAuthorizations) {
  EXPECT_EQ(understudy({"server", "enable", "--port", "8443", "--certificate", "ab"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("understudy authorize"));
  EXPECT_TRUE(host_.service.recovery_server_enabled);
  EXPECT_EQ(host_.service.https_port, 8443U);
  EXPECT_EQ(understudy({"authorize", "hostb.example"}), 2);
  EXPECT_EQ(understudy({"authorize", "hostb.example", "--storage", "srv"}), 2);
  EXPECT_EQ(understudy({"authorize", "hostb.example", "--storage", "/srv", "--trust-group", "lab"}), 0);
  EXPECT_EQ(understudy({"authorizations"}), 0);
  EXPECT_EQ(out_.str(), "PRIMARY        STORAGE  TRUST GROUP\nhostb.example  /srv     lab\n");
  EXPECT_EQ(understudy({"authorize", "HOSTB.example", "--trust-group", "site"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("may send replicas to /srv."));
  EXPECT_EQ(host_.entries, (std::vector<AuthorizationEntry>{{"hostb.example", "/srv", "site"}}));
  EXPECT_EQ(understudy({"server", "show"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("receives replicas  yes\nport               8443\n"));
  EXPECT_EQ(understudy({"server", "show", "--json"}), 0);
  EXPECT_TRUE(JsonObject::parse(out_.str()));
}

TEST_F(Commands, UnauthorizeSaysWhatStays) {
  host_.views[2].state.directory = "/srv/replicas/web";
  host_.entries = {{"hostc.example", "/srv/replicas", ""}, {"*.example", "/any", ""}};
  EXPECT_EQ(understudy({"unauthorize", "hostc.example"}), 0);
  EXPECT_EQ(out_.str(),
            "The entry 'hostc.example' is removed, but '*.example' still admits that host.\n"
            "The replica of 'web' stays in /srv/replicas/web, with all its recovery points.\n");
  EXPECT_EQ(understudy({"unauthorize", "*.example"}), 0);
  EXPECT_EQ(out_.str(), "'*.example' is not authorized any more: nothing more is taken from it.\n");
  EXPECT_TRUE(host_.entries.empty());
  EXPECT_EQ(understudy({"unauthorize", "hostc.example"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("next: understudy authorizations"));
  EXPECT_EQ(understudy({"unauthorize"}), 2);
}

TEST_F(Commands, AConnectionIsTested) {
  host_.service.certificate_thumbprint = "ab";
  EXPECT_EQ(understudy({"connection", "test", "hostb:8443"}), 0);
  EXPECT_EQ(host_.last_call, "test hostb 8443");
  EXPECT_THAT(out_.str(), HasSubstr("Next: understudy enable VM --to hostb:8443"));
  EXPECT_EQ(understudy({"connection", "test", "hostb"}), 0);
  EXPECT_EQ(host_.last_call, "test hostb 443");
  host_.verdict.error = Error(ErrorCode::access_denied, "hostb does not authorize this host", "authorize it");
  EXPECT_EQ(understudy({"connection", "test", "hostb:8443"}), 5);
  EXPECT_THAT(err_.str(), HasSubstr("next: authorize it"));
  EXPECT_EQ(understudy({"connection", "test", "hosta.example"}), 2);
}

TEST_F(Commands, JobsAreListedAndShown) {
  EXPECT_EQ(understudy({"job", "list"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(kJob.lower() + "  db  running    25 %"));
  EXPECT_EQ(understudy({"job", "show", kFailedJob.lower()}), 0);
  EXPECT_THAT(out_.str(),
              HasSubstr("error    hostb.example has no space for db\nnext     free 10 GiB there\n"));
  EXPECT_EQ(understudy({"job", "show", "cccccccc"}), 4);
  EXPECT_EQ(understudy({"job", "show", kReplica.lower()}), 4);
  EXPECT_EQ(understudy({"job", "show", "cccccccc-0000-4000-8000-000000000001"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("300 B of 1.1 KiB"));
}

TEST_F(Commands, AJobThatCannotBeCancelledSaysWhatCanBeDone) {
  host_.verdict.error = Error(ErrorCode::not_supported, "the job cannot be cancelled");
  EXPECT_EQ(understudy({"job", "cancel", kJob.lower()}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("'First copy of db': the job cannot be cancelled\n"
                                    "  next: understudy pause db\n"));
  job(kJob).type = JobType::resynchronize;
  EXPECT_EQ(understudy({"job", "cancel", kJob.lower()}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("next: understudy resync db --cancel\n"));
  EXPECT_EQ(understudy({"job", "cancel", kFailedJob.lower()}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("next: understudy job show " + kFailedJob.lower()));
  EXPECT_EQ(understudy({"job", "cancel", "dddd"}), 4);
  host_.verdict = {};
  EXPECT_EQ(understudy({"job", "cancel", kJob.lower()}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("'First copy of db' is cancelled.\n"));
  EXPECT_EQ(host_.last_call, "cancel " + kJob.lower() + " of " + kPrimary.lower());
}

TEST_F(Commands, TurningOffStatesTheLossAndAsks) {
  EXPECT_EQ(understudy({"vm", "stop", "alone"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("What 'alone' has not written to its disks yet is lost."));
  EXPECT_THAT(err_.str(),
              HasSubstr("this has to be confirmed: Turn 'alone' off at once?\n  next: add --yes"));
  EXPECT_EQ(host_.last_call, "");
  host_.verdict.job.reset();
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--yes"}), 0);
  EXPECT_EQ(host_.last_call, "power off " + kRunning.lower());
}

TEST_F(Commands, RemoveSaysWhatStaysWhere) {
  host_.verdict.job.reset();
  host_.views[2].state.directory = "/srv/replicas/web";
  EXPECT_EQ(understudy({"remove", "alone", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("VM 'alone' is not replicated on this host\n  next: understudy list"));

  EXPECT_EQ(understudy({"remove", "db"}), 2);
  EXPECT_EQ(err_.str().substr(0, err_.str().find('\n')),
            "'db' is not replicated any more; the VM and its disks stay as they are, running or off. Its "
            "replica on hostb.example stays as well, until it is removed there.");
  EXPECT_THAT(err_.str(), HasSubstr("Remove the replication of 'db' on this host?\n  next: add --yes"));
  host_.views[1].state.phase = core::Phase::halted;
  EXPECT_EQ(understudy({"remove", "db"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("it may start again: two copies may run then."));

  EXPECT_EQ(understudy({"remove", "web"}), 2);
  EXPECT_EQ(err_.str().substr(0, err_.str().find('\n')),
            "'web' becomes an ordinary VM of this host, off, as of its newest recovery point (14 s old). Its "
            "disks stay in /srv/replicas/web; the other recovery points end, and hostc.example may not send "
            "any more.");
  host_.views[2].points.clear();
  EXPECT_EQ(understudy({"remove", "web"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("holds no recovery point: its VM here and its files in "
                                    "/srv/replicas/web are removed."));
  EXPECT_EQ(host_.last_call, "");

  interactive_ = true;
  answer_ = "n";
  EXPECT_EQ(understudy({"remove", "web"}), 1);
  EXPECT_EQ(host_.last_call, "");
  answer_ = "y";
  EXPECT_EQ(understudy({"remove", "web"}), 0);
  EXPECT_EQ(host_.last_call, "remove " + kReplica.lower());
  EXPECT_EQ(out_.str(), "The replication of 'web' is removed on this host.\n");
}

// With --json every command prints one document, whatever comes of it.
TEST_F(Commands, JsonIsOneDocument) {
  for (const Command& command : all_commands()) {
    std::vector<std::string> words;
    std::string text(command.words);
    for (std::stringstream in(text); in >> text;) words.push_back(text);
    if (command.local || command.words == "watch" || command.words == "report") continue;
    if (command.arguments == "ID") words.push_back(kJob.lower());
    if (command.arguments.find("VM") != std::string_view::npos) words.push_back("web");
    if (command.arguments == "PRIMARY" || command.arguments == "HOST:PORT") words.push_back("hostb");
    words.push_back("--json");
    host_.verdict.job.reset();
    understudy(words);
    EXPECT_TRUE(JsonObject::parse(out_.str())) << command.words << ": " << out_.str();
    host_.verdict.error = Error(ErrorCode::failed, "no luck");
    if (understudy(words) != 0) {
      EXPECT_TRUE(JsonObject::parse(out_.str())) << command.words << ": " << out_.str();
      EXPECT_THAT(err_.str(), HasSubstr("  next: ")) << command.words;
    }
    host_.verdict.error.reset();
  }
}

TEST_F(Commands, HelpAndVersionNeedNoDaemon) {
  EXPECT_EQ(understudy({"--version"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("understudy "));
  EXPECT_EQ(understudy({"failover", "--help"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("--point ID"));
  EXPECT_EQ(understudy({"frobnicate"}), 2);
}

class LocalCommands : public Commands {
 protected:
  LocalCommands()
      : dir_(std::filesystem::temp_directory_path() / ("understudy-cli-" + Uuid::random().lower())) {
    std::filesystem::create_directories(dir_);
  }
  ~LocalCommands() override { std::filesystem::remove_all(dir_); }
  std::string path(const char* name) const { return (dir_ / name).string(); }

  std::filesystem::path dir_;
};

TEST_F(LocalCommands, CertificatesOfAPrivateAuthority) {
  EXPECT_EQ(understudy({"certificate", "authority", path("ca")}), 0);
  EXPECT_EQ(understudy({"certificate", "host", "hostb.example,10.0.0.2", "--authority", path("ca"), "--out",
                        path("b")}),
            0);
  EXPECT_THAT(out_.str(), HasSubstr("10.0.0.2"));
  ASSERT_EQ(understudy({"certificate", "show", path("b/host.crt"), "--json"}), 0) << err_.str();
  const auto shown = JsonObject::parse(out_.str());
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->text("thumbprint")->size(), 64U);
  EXPECT_EQ(understudy({"certificate", "host", "hostb", "--authority", path("ca")}), 2);
  EXPECT_EQ(understudy({"certificate", "host", "a,,b", "--authority", path("ca"), "--out", path("x")}), 2);
  EXPECT_EQ(understudy({"certificate", "show", path("nothing")}), 4);
}

// What is wrong about an enrolment before anybody is asked.
TEST_F(LocalCommands, CertificatesByAToken) {
  const std::string token = "1000g40r40m30e209185gr38e1wpq25j2pwkb0h01c9yakyxc6btg3vfjqe";
  EXPECT_EQ(understudy({"certificate", "offer", "host-b"}), 2);
  EXPECT_EQ(understudy({"certificate", "offer", "host-b", "--authority", path("ca"), "--minutes", "61"}), 2);
  EXPECT_EQ(understudy({"certificate", "offer", "host-b", "--authority", path("ca"), "--listen", "here:x"}),
            2);
  EXPECT_EQ(understudy({"certificate", "offer", "host-b", "--authority", path("ca")}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("ca/authority.crt"));
  EXPECT_EQ(understudy({"certificate", "accept", "host-a", "--out", path("tls")}), 2);
  EXPECT_EQ(understudy({"certificate", "accept", "host-a", "--token", token}), 2);
  EXPECT_EQ(understudy({"certificate", "accept", "host-a", "--token", "x" + token, "--out", path("tls")}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("it has 60 characters, a token has 59"));
  answer_ = "2" + token.substr(1);
  EXPECT_EQ(understudy({"certificate", "accept", "host-a", "--token", "-", "--out", path("tls")}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("Token: "));
  EXPECT_THAT(err_.str(), HasSubstr("a character of it is wrong"));
  ASSERT_EQ(understudy({"certificate", "authority", path("ca")}), 0);
  ASSERT_EQ(understudy({"certificate", "host", "b", "--authority", path("ca"), "--out", path("tls")}), 0);
  EXPECT_EQ(understudy({"certificate", "accept", "host-a", "--token", token, "--out", path("tls")}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("never overwritten"));
}

TEST_F(LocalCommands, UsersWithAPassword) {
  answer_ = "correct horse";
  EXPECT_EQ(understudy({"user", "add", "ann", "--role", "operator", "--file", path("users")}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("'ann' may log in as operator"));
  EXPECT_THAT(err_.str(), Not(HasSubstr("Once more")));
  EXPECT_TRUE(std::filesystem::exists(path("users")));
  interactive_ = true;
  EXPECT_EQ(understudy({"user", "add", "bob", "--role", "reader", "--file", path("users")}), 0);
  EXPECT_THAT(err_.str(), HasSubstr("Once more"));
  EXPECT_EQ(understudy({"user", "add", "bob", "--file", path("users")}), 2);
  EXPECT_EQ(understudy({"user", "add", "bob", "--role", "king", "--file", path("users")}), 2);
}

}  // namespace
}  // namespace understudy::cli
