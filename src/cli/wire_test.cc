// The command as it is, over TLS and WS-Management, against the real front and the real providers.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <sstream>

#include "authz/password_file.h"
#include "cli/commands.h"
#include "http/server.h"
#include "net/certificate.h"
#include "providers/providers_test.h"
#include "wsman/service.h"

namespace understudy::cli {
namespace {

using testing::HasSubstr;

class Wire : public providers::ProvidersTest {
 protected:
  Wire() : dir_(std::filesystem::temp_directory_path() / ("understudy-wire-" + Uuid::random().lower())) {
    std::filesystem::create_directories(dir_);
    EXPECT_TRUE(net::create_authority(path("ca"), "test-authority"));
    EXPECT_TRUE(net::issue_certificate(path("ca"), {"localhost", "127.0.0.1"}, path("host")));
    EXPECT_TRUE(authz::set_user(path("users"), "ann", authz::Role::administrator, "correct horse"));
    gate_ = std::make_unique<authz::Gate>(std::make_unique<authz::PasswordFile>(path("users")),
                                          authz::CertificateMap{});
    sessions_ = std::make_unique<session::LocalSessions>(*gate_, manager_);
    service_ = std::make_unique<wsman::WsmanService>(*sessions_, clock_, wsman::Product{});
    net::TlsOptions options;
    options.certificate_file = path("host/host.crt");
    options.key_file = path("host/host.key");
    options.peer = net::PeerCheck::none;
    tls_ = std::make_unique<net::TlsInUse>(net::TlsContext::server(options).value());
    http::Listener listener;
    listener.socket = net::listen_tcp("127.0.0.1", 0).value();
    listener.tls = tls_.get();
    port_ = net::bound_port(listener.socket).value();
    std::vector<http::Listener> listeners;
    listeners.push_back(std::move(listener));
    server_ = std::make_unique<http::HttpServer>(
        std::move(listeners), [this](const http::ConnectionInfo& info) { return service_->welcome(info); });
    setenv("UNDERSTUDY_PASSWORD", "correct horse", 1);
  }
  ~Wire() override {
    server_.reset();
    unsetenv("UNDERSTUDY_PASSWORD");
    std::filesystem::remove_all(dir_);
  }
  std::string path(const char* name) const { return (dir_ / name).string(); }

  int understudy(std::vector<std::string> words, bool trusted = true) {
    out_.str("");
    err_.str("");
    Console console{out_, err_, false, false, nullptr, nullptr, false};
    words.insert(words.end(), {"--host", "127.0.0.1:" + std::to_string(port_), "--user", "ann"});
    if (trusted) words.insert(words.end(), {"--ca", path("ca/authority.crt")});
    SignalWaiter waiter;
    return run(words, console, waiter, open_management);
  }

  std::filesystem::path dir_;
  SystemClock clock_;
  std::unique_ptr<authz::Gate> gate_;
  std::unique_ptr<session::LocalSessions> sessions_;
  std::unique_ptr<wsman::WsmanService> service_;
  std::unique_ptr<net::TlsInUse> tls_;
  std::unique_ptr<http::HttpServer> server_;
  uint16_t port_ = 0;
  std::ostringstream out_, err_;
};

TEST_F(Wire, ReadsWhatTheProvidersShow) {
  EXPECT_EQ(understudy({"list"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("web    replica  replicating      ok       14 s"));
  EXPECT_EQ(understudy({"show", "db"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("disks        vda"));
  EXPECT_THAT(out_.str(), HasSubstr("First copy of db"));
  EXPECT_EQ(understudy({"show", "web", "--json"}), 0) << err_.str();
  EXPECT_TRUE(JsonObject::parse(out_.str()));
  EXPECT_EQ(understudy({"server", "show"}), 0) << err_.str();
  EXPECT_EQ(understudy({"job", "list"}), 0) << err_.str();
}

TEST_F(Wire, CallsMethodsWithEmbeddedInstancesAndReferences) {
  host_.verdict.job.reset();
  EXPECT_EQ(understudy({"authorize", "*.example", "--storage", "/srv/a & b"}), 0) << err_.str();
  ASSERT_EQ(host_.entries.size(), 1U);
  EXPECT_EQ(host_.entries[0].replica_storage_location, "/srv/a & b");
  EXPECT_EQ(understudy({"server", "enable", "--certificate", "ab"}), 0) << err_.str();
  EXPECT_EQ(understudy({"enable", "alone", "--to", "hostb", "--disks", "vdb"}), 0) << err_.str();
  EXPECT_EQ(host_.created.included_disks, std::vector<std::string>{"vdb"});
  EXPECT_EQ(understudy({"failover", "web", "--yes", "--point", providers::kOldPoint.lower()}), 0)
      << err_.str();
  EXPECT_EQ(host_.last_call,
            "failover " + providers::kReplica.lower() + " to " + providers::kOldPoint.lower());
  EXPECT_EQ(understudy({"point", "create", "db", "--application-consistent"}), 0) << err_.str();
  EXPECT_EQ(host_.last_call, "consistent point of " + providers::kPrimary.lower());
  EXPECT_EQ(understudy({"pause", "db"}), 0) << err_.str();
  EXPECT_EQ(host_.last_call, "state 7 of " + providers::kPrimary.lower());
  EXPECT_EQ(understudy({"point", "list", "web"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr(providers::kOldPoint.lower()));
  host_.verdict.job = providers::kFailedJob;
  EXPECT_EQ(understudy({"vm", "start", "web"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("hostb.example has no space for db\n  next: free 10 GiB there"));
}

TEST_F(Wire, ARefusalKeepsItsExitCode) {
  host_.verdict.error = Error(ErrorCode::in_use, "VM 'web' is in use", "understudy show web");
  EXPECT_EQ(understudy({"vm", "start", "web"}), 3);
}

TEST_F(Wire, WhoIsNotKnownIsDenied) {
  setenv("UNDERSTUDY_PASSWORD", "wrong", 1);
  EXPECT_EQ(understudy({"list"}), 5);
  EXPECT_NE(err_.str(), "");
}

TEST_F(Wire, AHostThatCannotProveItselfIsNotTrusted) {
  EXPECT_NE(understudy({"list"}, false), 0);
  EXPECT_THAT(err_.str(), HasSubstr("certificate"));
}

TEST_F(Wire, NobodyThereIsUnreachable) {
  server_.reset();
  EXPECT_EQ(understudy({"list"}), 6);
}

}  // namespace
}  // namespace understudy::cli
