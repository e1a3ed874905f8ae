// The commands against the real providers, in one process: only the wire is left out.
#include "cli/commands.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "cim/embedded.h"
#include "providers/providers_test.h"

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

// Time passes only when somebody waits; `on_wait` is what happens meanwhile.
class FakeWaiter final : public Waiter {
 public:
  Monotonic now() override { return now_; }
  Status wait(Duration time) override {
    now_ = now_ + time;
    if (++waits > 1000) return fail(ErrorCode::timeout, "waited for ever");
    return on_wait ? on_wait() : Status();
  }
  std::function<Status()> on_wait;
  int waits = 0;

 private:
  Monotonic now_{1};
};

class InProcess final : public Management {
 public:
  explicit InProcess(cim::Dispatcher& dispatcher) : dispatcher_(dispatcher) { caller_.name = "root"; }
  std::string server() const override { return "this host"; }
  Result<std::vector<cim::Instance>> enumerate(const std::string& query) override {
    cim::EnumerateRequest request;
    request.class_name = query;
    if (query.find(' ') != std::string::npos) {
      request.class_name = "*";
      request.filter.kind = cim::Filter::Kind::wql;
      request.filter.wql = query;
    }
    US_TRY(const cim::Response response, ask(request));
    std::vector<cim::Instance> instances;
    for (const cim::Item& item : response.items) instances.push_back(item.instance);
    return instances;
  }
  Result<cim::InvokeResult> invoke(const cim::ObjectPath& path, const std::string& method,
                                   const cim::Instance& parameters) override {
    US_TRY(const cim::Response response, ask(cim::InvokeRequest{path, method, parameters}));
    if (!response.invoked) return fail(ErrorCode::protocol, "no result");
    return *response.invoked;
  }

 private:
  Result<cim::Response> ask(const cim::Request& request) {
    auto outcome = dispatcher_.handle(caller_, request);
    if (!outcome) return fail(outcome.error().error);
    return *outcome;
  }
  cim::Dispatcher& dispatcher_;
  cim::Caller caller_;
};

class Commands : public providers::ProvidersTest {
 protected:
  int understudy(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    Console console{out_, err_, interactive_, false, nullptr, nullptr};
    console.ask = console.ask_password = [this](const std::string& prompt) -> Result<std::string> {
      err_ << prompt;
      return answer_;
    };
    return run(words, console, waiter_,
               [this](const Arguments&, const Console&) -> Result<std::unique_ptr<Management>> {
                 return std::make_unique<InProcess>(manager_);
               });
  }
  Job& job(const Uuid& id) {
    for (auto& view : host_.views)
      for (Job& one : view.state.jobs)
        if (one.id == id) return one;
    ADD_FAILURE() << "no such job";
    return host_.views[1].state.jobs.front();
  }
  void end_job_after(int waits) {
    waiter_.on_wait = [this, waits]() -> Status {
      if (waiter_.waits == waits) job(kJob).state = JobState::completed;
      return {};
    };
  }

  std::ostringstream out_, err_;
  bool interactive_ = false;
  std::string answer_;
  FakeWaiter waiter_;
};

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
  EXPECT_EQ(host_.created.auto_resynchronize_end, 86399U);
  EXPECT_THAT(out_.str(), HasSubstr("Next: understudy start alone"));
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
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--no-wait"}), 0);
  EXPECT_EQ(host_.last_call, "power off " + kRunning.lower());
  EXPECT_EQ(out_.str(), "Started: understudy job show " + kJob.lower() + "\n");
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--no-wait", "--json"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr(R"("InstanceID":")" + kJob.upper()));
  EXPECT_EQ(waiter_.waits, 0);
  EXPECT_EQ(understudy({"vm", "stop", "alone", "--no-wait", "--wait"}), 2);
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

TEST_F(Commands, FailoverStatesTheLossAndAsks) {
  host_.verdict.job.reset();
  EXPECT_EQ(understudy({"failover", "web"}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("The latest point is 14 s old"));
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

TEST_F(Commands, FailoverTakesAPointByItsBeginning) {
  host_.verdict.job.reset();
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", kOldPoint.lower()}), 0);
  EXPECT_EQ(host_.last_call, "failover " + kReplica.lower() + " to " + kOldPoint.lower());
  EXPECT_THAT(err_.str(), HasSubstr("The point is 1 h old"));
  EXPECT_THAT(err_.str(), HasSubstr("A newer one is 14 s old"));
  host_.last_call = "";
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", "bbbbbbbb"}), 4);
  EXPECT_THAT(err_.str(), HasSubstr("more than one"));
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", "nope"}), 4);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Commands, FailoverStartsOnlyOnTheReplica) {
  EXPECT_EQ(understudy({"failover", "db", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("on hostb.example: understudy failover db"));
  EXPECT_EQ(understudy({"failover", "alone", "--yes"}), 3);
  host_.views[2].points.clear();
  EXPECT_EQ(understudy({"failover", "web", "--yes"}), 3);
  EXPECT_THAT(err_.str(), HasSubstr("no recovery point yet"));
  EXPECT_EQ(host_.last_call, "");
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
  EXPECT_EQ(understudy({"server", "show"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("receives replicas  yes\nport               8443\n"));
  EXPECT_EQ(understudy({"server", "show", "--json"}), 0);
  EXPECT_TRUE(JsonObject::parse(out_.str()));
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
