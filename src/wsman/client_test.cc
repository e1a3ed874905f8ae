#include "wsman/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "http/server.h"
#include "net/stream.h"
#include "wsman/service.h"

namespace understudy::wsman {
namespace {

using cim::Instance;

// A small world: 250 systems to enumerate, one method that gives back its parameters.
class World final : public cim::Dispatcher {
 public:
  cim::Outcome<cim::Response> handle(const cim::Caller& caller, const cim::Request& request) override {
    if (const auto* get = std::get_if<cim::GetRequest>(&request)) {
      if (get->path.keys.count("Name") == 0)
        return tl::unexpected(make_fault(Error(ErrorCode::invalid_state, "not now", "wait a little"), ""));
      return cim::Response{{system(get->path.keys.at("Name"))}, {}};
    }
    if (const auto* enumerate = std::get_if<cim::EnumerateRequest>(&request)) {
      cim::Response response;
      for (int i = 0; i < 250; ++i)
        response.items.push_back(
            system(enumerate->class_name + asked(enumerate->filter) + std::to_string(i)));
      return response;
    }
    const auto& invoke = std::get<cim::InvokeRequest>(request);
    cim::InvokeResult result;
    result.return_value = 4096;
    result.out.set(
        "Job", cim::ObjectPath{"Msvm_ConcreteJob",
                               {{"InstanceID",
                                 invoke.parameters.get("ReplicationSettingData").text().value_or("none")}}});
    if (invoke.method == "CommitFailover") {
      result.return_value = 32774;
      result.error = Error(ErrorCode::in_use, "a test <replica> exists", "remove it");
    }
    called = invoke;
    who = caller;
    return cim::Response{{}, result};
  }
  static std::string asked(const cim::Filter& filter) {
    if (filter.kind != cim::Filter::Kind::wql) return {};
    const auto& select = std::get<cim::wql::Select>(*filter.query);
    return " FROM " + select.class_name + " WHERE " + select.where->left.property;
  }
  static cim::Item system(const std::string& name) {
    Instance s("Msvm_ComputerSystem");
    s.set("Name", name).set("EnabledState", 2u);
    return {{"Msvm_ComputerSystem", {{"Name", name}}}, s, {}};
  }
  cim::InvokeRequest called;
  cim::Caller who;
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    char name[] = "/tmp/understudy-wsman-XXXXXX";
    dir_ = mkdtemp(name);
    std::vector<http::Listener> listeners;
    listeners.push_back({std::move(*net::listen_unix(dir_ + "/socket", 0600))});
    server_.emplace(std::move(listeners), [this](http::ConnectionInfo info) {
      info.unix_uid = uid_;
      return service_.welcome(info);
    });
  }
  ~ClientTest() override {
    server_.reset();
    std::filesystem::remove_all(dir_);
  }
  WsmanClient client() {
    return WsmanClient(http::HttpClient(
        [this]() -> Result<std::unique_ptr<net::Stream>> {
          US_TRY(auto connection, net::connect_unix(dir_ + "/socket"));
          return std::make_unique<net::PlainStream>(std::move(connection), CancelToken());
        },
        "localhost"));
  }

  std::string dir_;
  uint32_t uid_ = 0;
  World world_;
  SystemClock clock_;
  authz::Gate gate_{nullptr, {}};
  session::LocalSessions sessions_{gate_, world_};
  WsmanService service_{sessions_, clock_, {.version = "0.1.0"}};
  std::optional<http::HttpServer> server_;
};

TEST_F(ClientTest, IdentifyAndGet) {
  WsmanClient c = client();
  EXPECT_EQ(c.identify()->vendor, "Understudy");
  const auto system = c.get({"Msvm_ComputerSystem", {{"Name", "G & <1>"}}});
  ASSERT_TRUE(system) << system.error().text();
  EXPECT_EQ(system->get("Name").text(), "G & <1>");
  EXPECT_EQ(system->get("EnabledState").number(), 2u);
}

TEST_F(ClientTest, EnumerationIsPulledToItsEnd) {
  const auto by_class = client().enumerate("Msvm_ComputerSystem");
  ASSERT_TRUE(by_class) << by_class.error().text();
  ASSERT_EQ(by_class->size(), 250u);
  EXPECT_EQ(by_class->back().get("Name").text(), "Msvm_ComputerSystem249");
  const auto by_query = client().enumerate("SELECT * FROM Msvm_ComputerSystem WHERE EnabledState < 3");
  ASSERT_TRUE(by_query) << by_query.error().text();
  EXPECT_EQ(by_query->front().get("Name").text(), "* FROM Msvm_ComputerSystem WHERE EnabledState0");
}

TEST_F(ClientTest, InvokeCarriesReferencesAndEmbeddedInstances) {
  Instance settings("Msvm_ReplicationSettingData");
  settings.set("RecoveryConnectionPoint", "b<&>");
  const cim::ObjectPath vm{"Msvm_ComputerSystem", {{"Name", "G"}}};
  Instance parameters;
  parameters.set("ComputerSystem", vm)
      .set("ReplicationSettingData", std::make_shared<const Instance>(settings))
      .set("Number", 7u);
  const auto result = client().invoke({"Msvm_ReplicationService", {{"Name", "replicasvc"}}},
                                      "CreateReplicationRelationship", parameters);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->return_value, 4096u);
  EXPECT_THAT(result->out.get("Job").path()->keys.at("InstanceID"),
              testing::HasSubstr("<VALUE>b&lt;&amp;&gt;</VALUE>"));
  EXPECT_TRUE(world_.called.parameters.get("ComputerSystem").path()->same(vm));
  EXPECT_EQ(world_.called.parameters.get("Number").text(), "7");
  EXPECT_EQ(world_.called.path.keys.at("Name"), "replicasvc");
  EXPECT_EQ(world_.who.role, "administrator");
}

TEST_F(ClientTest, RefusalOfAMethodSaysWhyBesideItsNumber) {
  const auto result = client().invoke({"Msvm_ReplicationService", {}}, "CommitFailover", Instance());
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->return_value, 32774u);
  EXPECT_EQ(result->error, Error(ErrorCode::in_use, "a test <replica> exists", "remove it"));
}

TEST_F(ClientTest, FaultsKeepCodeMessageAndHint) {
  const auto refused = client().get({"Msvm_ComputerSystem", {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Error(ErrorCode::invalid_state, "not now", "wait a little"));
  uid_ = 1000;
  EXPECT_EQ(client().identify().error().code(), ErrorCode::unauthenticated);
}

TEST(Basic, IsBase64) {
  EXPECT_EQ(WsmanClient::basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(WsmanClient::basic("a", "bc"), "Basic YTpiYw==");
  EXPECT_EQ(WsmanClient::basic("a", "b"), "Basic YTpi");
}

}  // namespace
}  // namespace understudy::wsman
