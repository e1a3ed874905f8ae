// Statistics, certificates and the test of a connection: what they tell, and every refusal.
#include "base/base64.h"
#include "providers/paths.h"
#include "providers/providers_test.h"

namespace understudy::providers {
namespace {

class Statistics : public ProvidersTest {
 protected:
  // As clients get references: from what is enumerated.
  cim::Value reference(const char* link, const char* property, size_t index = 0) {
    const auto items = enumerate(link);
    return index < items.size() ? items[index].instance.get(property) : cim::Value();
  }
  cim::InvokeResult on_vm(const char* method, cim::Value vm) {
    return call(method, cim::Instance("INPUT").set("ComputerSystem", std::move(vm)));
  }
  cim::InvokeResult on_relationship(const char* method, cim::Value vm, cim::Value relationship) {
    cim::Instance in("INPUT");
    in.set("ComputerSystem", std::move(vm)).set("ReplicationRelationship", std::move(relationship));
    return call(method, in);
  }
  static std::string relationship_text(const std::string& id) {
    cim::Instance relationship("Msvm_ReplicationRelationship");
    relationship.set("InstanceID", id);
    return cim::format_embedded(relationship);
  }
  cim::Instance only_element(const cim::InvokeResult& result, const char* parameter, const char* class_name) {
    const auto* texts = result.out.get(parameter).array();
    EXPECT_TRUE(texts && texts->size() == 1) << parameter;
    if (!texts || texts->size() != 1) return {};
    auto instance = cim::parse_embedded([](std::string_view text) { return wsman::parse_xml(text); },
                                        std::get<std::string>(texts->front()), class_name);
    EXPECT_TRUE(instance) << parameter;
    return instance ? *instance : cim::Instance();
  }

  const cim::Value host_itself_ = reference("Msvm_HostedService", "Antecedent");
  const cim::Value service_ = reference("Msvm_HostedService", "Dependent");
  const cim::Value alone_ = reference("Msvm_SystemReplicationRelationship", "Antecedent", 0);
  const cim::Value primary_ = reference("Msvm_SystemReplicationRelationship", "Antecedent", 1);
  const cim::Value replica_ = reference("Msvm_SystemReplicationRelationship", "Antecedent", 2);
};

TEST_F(Statistics, AreTheCountersOfTheWindow) {
  core::Statistics& s = host_.views[1].state.statistics;
  s = {ago(600), 12, 3, 2, 1, 4096, 1024, 60, 9, 4};
  const auto result = on_vm("GetReplicationStatistics", primary_);
  EXPECT_EQ(result.return_value, 0U);
  EXPECT_TRUE(result.out.get("Job").null());
  const cim::Instance told = only_element(result, "ReplicationStatistics", "Msvm_ReplicationStatistics");
  const auto number = [&](const char* name) { return told.get(name).number(); };
  EXPECT_EQ(told.get("StartStatisticTime").datetime()->us, ago(600).us);
  EXPECT_EQ(told.get("EndStatisticTime").datetime()->us, kNow.us);
  EXPECT_EQ(number("ReplicationSuccessCount"), 12U);
  EXPECT_EQ(number("ReplicationFailureCount"), 3U);
  EXPECT_EQ(number("NetworkFailureCount"), 2U);
  EXPECT_EQ(number("ReplicationMissCount"), 1U);
  EXPECT_EQ(number("ReplicationSize"), 4096U);
  EXPECT_EQ(number("MaxReplicationSize"), 1024U);
  EXPECT_EQ(number("ReplicationLatency"), 60U);
  EXPECT_EQ(number("MaxReplicationLatency"), 9U);
  EXPECT_EQ(number("ApplicationConsistentSnapshotFailureCount"), 4U);
  EXPECT_EQ(number("PendingReplicationSize"), 900U);  // of its first copy
  EXPECT_EQ(number("ReplicationHealth"), 2U);
  EXPECT_TRUE(told.get("LastTestFailoverTime").null());
}

TEST_F(Statistics, SayWhyTheHealthIsNotOk) {
  const cim::Instance warning =
      only_element(on_vm("GetReplicationStatistics", primary_), "ReplicationHealthIssues", "Msvm_Error");
  EXPECT_EQ(warning.get("Message").text(), "the first copy is not complete");
  EXPECT_EQ(warning.get("PerceivedSeverity").number(), 3U);
  EXPECT_EQ(warning.get("ErrorSource").text(), vm_path(kPrimary).text());

  VmView& view = host_.views[1];
  view.state.cause = Error(ErrorCode::access_denied, "hostb.example does not take it", "authorize");
  view.issues = {{ReplicationHealth::critical, "hostb.example does not take it", "authorize", ago(5)}};
  const cim::Instance critical =
      only_element(on_vm("GetReplicationStatistics", primary_), "ReplicationHealthIssues", "Msvm_Error");
  EXPECT_EQ(critical.get("PerceivedSeverity").number(), 4U);
  EXPECT_EQ(critical.get("MessageID").text(), "32769");

  view.issues.push_back({ReplicationHealth::warning, "the clocks differ", "", ago(5)});
  const auto two = on_vm("GetReplicationStatistics", primary_);
  EXPECT_EQ(two.out.get("ReplicationHealthIssues").array()->size(), 2U);

  const auto fine = on_vm("GetReplicationStatistics", replica_);
  EXPECT_EQ(fine.return_value, 0U);
  ASSERT_NE(fine.out.get("ReplicationHealthIssues").array(), nullptr);
  EXPECT_TRUE(fine.out.get("ReplicationHealthIssues").array()->empty());
}

TEST_F(Statistics, ResetsReachTheHost) {
  host_.verdict.job.reset();
  EXPECT_EQ(on_vm("ResetReplicationStatistics", replica_).return_value, 0U);
  EXPECT_EQ(host_.last_call, "reset " + kReplica.lower());
  EXPECT_EQ(
      on_relationship("ResetReplicationStatisticsEx", primary_, relationship_text(relationship_id(kPrimary)))
          .return_value,
      0U);
  EXPECT_EQ(host_.last_call, "reset " + kPrimary.lower());
  host_.verdict.error = Error(ErrorCode::invalid_state, "because");
  EXPECT_EQ(on_vm("ResetReplicationStatistics", primary_).return_value, 32775U);
}

TEST_F(Statistics, EveryRefusal) {
  for (const char* method : {"GetReplicationStatistics", "GetReplicationStatisticsEx",
                             "ResetReplicationStatistics", "ResetReplicationStatisticsEx"}) {
    EXPECT_EQ(on_vm(method, alone_).return_value, 32775U) << method;  // mode 0
    EXPECT_EQ(on_vm(method, service_).return_value, 32773U) << method;
    EXPECT_EQ(on_vm(method, host_itself_).return_value, 32770U) << method;
    EXPECT_EQ(call(method, input({})).return_value, 32773U) << method;
    host_.libvirt_is_down = true;
    EXPECT_EQ(on_vm(method, primary_).return_value, 32777U) << method;
    host_.libvirt_is_down = false;
  }
  for (const char* method : {"GetReplicationStatisticsEx", "ResetReplicationStatisticsEx"}) {
    EXPECT_EQ(on_relationship(method, primary_, relationship_text(relationship_id(kReplica))).return_value,
              32773U);
    EXPECT_EQ(
        on_relationship(method, primary_, relationship_text("Microsoft:" + kPrimary.upper() + "\\HVR\\1"))
            .return_value,
        32773U);
    EXPECT_EQ(on_relationship(method, primary_, "no XML").return_value, 32773U);
    EXPECT_EQ(
        on_relationship(method, primary_, cim::format_embedded(cim::Instance("Msvm_ReplicationSettingData")))
            .return_value,
        32776U);
  }
  host_.views.clear();
  EXPECT_EQ(on_vm("GetReplicationStatistics", primary_).return_value, 32773U);  // it is there no longer
  EXPECT_EQ(on_vm("ResetReplicationStatistics", primary_).return_value, 32773U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Statistics, CertificatesAreBase64) {
  const auto none = call("GetSystemCertificates", input({}));
  EXPECT_EQ(none.return_value, 0U);
  ASSERT_NE(none.out.get("EncodedCertificates").array(), nullptr);
  EXPECT_TRUE(none.out.get("EncodedCertificates").array()->empty());
  host_.installed = {Bytes{std::byte{1}, std::byte{2}}, Bytes{std::byte{3}}};
  const auto two = call("GetSystemCertificates", input({}));
  ASSERT_EQ(two.out.get("EncodedCertificates").array()->size(), 2U);
  EXPECT_EQ(std::get<std::string>(two.out.get("EncodedCertificates").array()->front()),
            to_base64(host_.installed[0]));
}

TEST_F(Statistics, AndAllIssuesAreInTheStatus) {
  host_.views[1].issues.push_back({ReplicationHealth::warning, "the clocks differ", "", ago(5)});
  host_.views[1].state.neighbour.ahead = Duration::millis(-1500);
  const auto found = query("SELECT * FROM Understudy_ReplicationStatus WHERE ElementName = 'db'");
  ASSERT_EQ(found.size(), 1U);
  const cim::Instance& status = found[0].instance;
  ASSERT_EQ(status.get("IssueCauses").array()->size(), 2U);
  EXPECT_EQ(std::get<std::string>(status.get("IssueCauses").array()->at(1)), "the clocks differ");
  EXPECT_EQ(status.get("IssueHealth").array()->size(), 2U);
  EXPECT_EQ(status.get("IssueNexts").array()->size(), 2U);
  EXPECT_EQ(status.get("IssueSince").array()->size(), 2U);
}

TEST_F(Statistics, ACheckSaysWhatItFoundAndWhere) {
  host_.findings = {
      {"hosta.example", {ReplicationHealth::ok, "definition", "it can travel", {}}},
      {"hostb.example", {ReplicationHealth::critical, "location", "QEMU may not pass", "chmod", ago(9)}}};
  const auto check = [&](cim::Value vm) {
    return invoke(path("SELECT * FROM Understudy_ReplicationService"), "CheckReplication",
                  cim::Instance("INPUT").set("ComputerSystem", std::move(vm)));
  };
  const auto result = check(primary_);
  EXPECT_EQ(result.return_value, 0U);
  EXPECT_EQ(host_.last_call, "check " + kPrimary.lower());
  const auto* texts = result.out.get("Findings").array();
  ASSERT_TRUE(texts && texts->size() == 2);
  const auto second = cim::parse_embedded([](std::string_view text) { return wsman::parse_xml(text); },
                                          std::get<std::string>(texts->back()), "Understudy_Finding");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->get("Host").text(), "hostb.example");
  EXPECT_EQ(second->get("Health").number(), 3U);
  EXPECT_EQ(second->get("Next").text(), "chmod");
  EXPECT_FALSE(second->get("Since").null());
  EXPECT_EQ(check(service_).return_value, 32773U);
  host_.verdict.error = Error(ErrorCode::invalid_state, "it is not replicated");
  EXPECT_EQ(check(alone_).return_value, 32775U);
}

class Settings : public ProvidersTest {
 protected:
  Settings() {
    host_.verdict.job.reset();
    host_.service.certificate_thumbprint = "AB12";
  }
  cim::Value vm(size_t index) {
    return enumerate("Msvm_SystemReplicationRelationship").at(index).instance.get("Antecedent");
  }
  uint32_t modify(cim::Value settings, cim::Value target) {
    cim::Instance in("INPUT");
    in.set("ComputerSystem", std::move(target)).set("ReplicationSettingData", std::move(settings));
    return call("ModifyReplicationSettings", in).return_value;
  }
  uint32_t with(const char* name, cim::Value value) {
    return modify(
        cim::format_embedded(cim::Instance("Msvm_ReplicationSettingData").set(name, std::move(value))),
        primary_);
  }
  static cim::Value disks(std::initializer_list<const char*> targets) {
    std::vector<cim::Value::Scalar> ids;
    for (const char* target : targets) ids.emplace_back("Microsoft:" + kPrimary.upper() + "\\" + target);
    return cim::Value(std::move(ids));
  }

  const cim::Value primary_ = vm(1);
};

TEST_F(Settings, KeepWhatIsNotGiven) {
  host_.views[1].state.settings.recovery_history = 7;
  EXPECT_EQ(with("ReplicationInterval", 900U), 0U);
  EXPECT_EQ(host_.last_call, "modify " + kPrimary.lower());
  EXPECT_EQ(host_.created.replication_interval, 900U);
  EXPECT_EQ(host_.created.recovery_history, 7U);
  EXPECT_EQ(host_.created.recovery_connection_point, "hostb.example");
  EXPECT_EQ(with("CompressionEnabled", false), 0U);
  EXPECT_FALSE(host_.created.compression_enabled);
}

// As Set-VMReplication does it: what was read is changed and sent back whole.
TEST_F(Settings, AreSentBackAsTheyWereRead) {
  host_.views[1].state.settings.recovery_host_system = "HOSTB";
  host_.views[1].state.settings.primary_host_system = "hosta.example";
  cim::Instance read = associated(vm_path(kPrimary), "Msvm_ReplicationSettingData");
  read.set("RecoveryHistory", 4U);
  EXPECT_EQ(modify(cim::format_embedded(read), primary_), 0U);
  EXPECT_EQ(host_.created.recovery_history, 4U);
}

TEST_F(Settings, EveryRefusal) {
  EXPECT_EQ(with("ReplicationInterval", 60U), 32773U);
  EXPECT_EQ(with("RecoveryHistory", 25U), 32773U);
  EXPECT_EQ(with("ApplicationConsistentSnapshotInterval", 1U), 32773U);  // no history keeps it
  EXPECT_EQ(with("RecoveryConnectionPoint", "hosta.example"), 32773U);   // itself
  EXPECT_EQ(with("AuthenticationType", 1U), 32773U);
  EXPECT_EQ(with("InstanceID", relationship_id(kReplica)), 32773U);
  EXPECT_EQ(with("RecoveryHostSystem", "hostz"), 32773U);
  EXPECT_EQ(with("PrimaryHostSystem", "hostz"), 32773U);
  EXPECT_EQ(with("ReplicationProvider", "Msvm_ReplicationProvider.Name=\"x\""), 32770U);
  EXPECT_EQ(with("IncludedDisks", disks({"vda"})), 0U);
  host_.last_call = "";
  EXPECT_EQ(with("IncludedDisks", disks({"vda", "vdb"})), 32770U);
  EXPECT_EQ(with("IncludedDisks", disks({"vdb"})), 32770U);
  EXPECT_EQ(with("IncludedDisks", cim::Value(std::vector<cim::Value::Scalar>{})), 32773U);
  EXPECT_EQ(modify(cim::format_embedded(cim::Instance("Msvm_ReplicationServiceSettingData")), primary_),
            32776U);
  EXPECT_EQ(host_.last_call, "");
  host_.verdict.error = Error(ErrorCode::invalid_state, "because");
  const std::string empty = cim::format_embedded(cim::Instance("Msvm_ReplicationSettingData"));
  EXPECT_EQ(modify(empty, vm(2)), 32775U);
  EXPECT_EQ(modify(empty, vm(0)), 32775U);
  host_.views.clear();
  EXPECT_EQ(modify(empty, primary_), 32773U);
}

class ConnectionTest : public ProvidersTest {
 protected:
  ConnectionTest() {
    host_.service.certificate_thumbprint = "AB12";
    in_ = input({{"RecoveryConnectionPoint", "hostb.example"},
                 {"RecoveryServerPortNumber", 8443U},
                 {"AuthenticationType", 2U},
                 {"CertificateThumbPrint", "ab12"}});
  }
  uint32_t with(const char* name, cim::Value value) {
    cim::Instance changed = in_;
    changed.set(name, std::move(value));
    return call("TestReplicationConnection", changed).return_value;
  }
  cim::Instance in_;
};

TEST_F(ConnectionTest, SaysWhatTheConnectionCameTo) {
  EXPECT_EQ(call("TestReplicationConnection", in_).return_value, 0U);
  EXPECT_EQ(host_.last_call, "test hostb.example 8443");
  EXPECT_EQ(with("CertificateThumbPrint", cim::Value()), 0U);  // the host's own
  for (const auto& [code, number] : std::map<ErrorCode, uint32_t>{{ErrorCode::not_available, 32777},
                                                                  {ErrorCode::access_denied, 32769},
                                                                  {ErrorCode::timeout, 32772},
                                                                  {ErrorCode::not_supported, 32770}}) {
    host_.verdict.error = Error(code, "because");
    EXPECT_EQ(call("TestReplicationConnection", in_).return_value, number);
  }
}

TEST_F(ConnectionTest, EveryRefusal) {
  EXPECT_EQ(with("RecoveryConnectionPoint", ""), 32773U);
  EXPECT_EQ(with("RecoveryConnectionPoint", "a host"), 32773U);
  EXPECT_EQ(with("RecoveryConnectionPoint", "hosta.example"), 32773U);  // itself
  EXPECT_EQ(with("RecoveryServerPortNumber", 0U), 32773U);
  EXPECT_EQ(with("RecoveryServerPortNumber", cim::Value()), 32773U);
  EXPECT_EQ(with("AuthenticationType", cim::Value()), 32773U);
  for (const unsigned type : {0U, 1U, 3U}) EXPECT_EQ(with("AuthenticationType", type), 32773U) << type;
  EXPECT_EQ(with("CertificateThumbPrint", "cd"), 32773U);
  EXPECT_EQ(host_.last_call, "");
}

}  // namespace
}  // namespace understudy::providers
