// What clients call: the official sample's order of calls, and every answer that can be reached.
#include "cim/typed.h"
#include "providers/paths.h"
#include "providers/providers_test.h"
#include "providers/settings.h"

namespace understudy::providers {
namespace {

constexpr const char* kThumbprint = "ab12";

cim::Instance changed(cim::Instance instance, const char* property, cim::Value value) {
  instance.set(property, std::move(value));
  return instance;
}
cim::Value list(std::initializer_list<std::string> texts) {
  return cim::Value(std::vector<cim::Value::Scalar>(texts.begin(), texts.end()));
}

class Methods : public ProvidersTest {
 protected:
  Methods() {
    settings_.set("RecoveryConnectionPoint", "hostb.example").set("AuthenticationType", 2U);
    settings_.set("CertificateThumbPrint", kThumbprint).set("RecoveryServerPortNumber", 8443U);
    entry_.set("AllowedPrimaryHostSystem", "hostc.example").set("ReplicaStorageLocation", "/srv/replicas");
    server_.set("RecoveryServerEnabled", true).set("AllowedAuthenticationType", 2U);
    server_.set("CertificateThumbPrint", kThumbprint);
  }
  cim::InvokeResult create(const cim::Instance& settings, cim::ObjectPath vm = vm_path(kRunning)) {
    return call("CreateReplicationRelationship",
                input({{"ComputerSystem", vm}, {"ReplicationSettingData", cim::format_embedded(settings)}}));
  }
  cim::InvokeResult create_with(const char* property, cim::Value value) {
    return create(changed(settings_, property, std::move(value)));
  }
  cim::InvokeResult modify_with(const char* property, cim::Value value) {
    return call("ModifyServiceSettings",
                input({{"SettingData", cim::format_embedded(changed(server_, property, std::move(value)))}}));
  }
  cim::InvokeResult add_with(const char* property, cim::Value value) {
    return call(
        "AddAuthorizationEntry",
        input({{"AuthorizationEntry", cim::format_embedded(changed(entry_, property, std::move(value)))}}));
  }
  cim::InvokeResult change_entry(const cim::Instance& entry) {
    return call("ModifyAuthorizationEntry", input({{"AuthorizationEntry", cim::format_embedded(entry)}}));
  }
  cim::InvokeResult remove_entry(cim::Value name) {
    return call("RemoveAuthorizationEntry", input({{"AllowedPrimaryHostSystem", std::move(name)}}));
  }
  cim::InvokeResult start(cim::Value type, cim::Value time = {}, cim::ObjectPath vm = vm_path(kPrimary)) {
    return call("StartReplication", input({{"ComputerSystem", vm},
                                           {"InitialReplicationType", std::move(type)},
                                           {"InitialReplicationExportLocation", {}},
                                           {"StartTime", std::move(time)}}));
  }
  cim::InvokeResult failover(cim::Value point, cim::ObjectPath vm = vm_path(kReplica)) {
    return call("InitiateFailover",
                input({{"ComputerSystem", vm}, {"SnapshotSettingData", std::move(point)}}));
  }

  cim::Instance settings_{"Msvm_ReplicationSettingData"};
  cim::Instance entry_{"Msvm_ReplicationAuthorizationSettingData"};
  cim::Instance server_{"Msvm_ReplicationServiceSettingData"};
};

// ManageReplication.cs and ModifyServiceSettings.cs, call for call, with certificates instead of Kerberos.
TEST_F(Methods, TheOfficialSampleGoesThrough) {
  const cim::ObjectPath service = path("select * from Msvm_ReplicationService");
  cim::Instance server = associated(service, "Msvm_ReplicationServiceSettingData");
  server.set("RecoveryServerEnabled", true).set("AllowedAuthenticationType", 2U);
  server.set("CertificateThumbPrint", kThumbprint);
  EXPECT_EQ(invoke(service, "ModifyServiceSettings", input({{"SettingData", cim::format_embedded(server)}}))
                .return_value,
            0U);
  EXPECT_TRUE(host_.service.recovery_server_enabled);

  entry_.set("TrustGroup", "lab");
  EXPECT_EQ(
      invoke(service, "AddAuthorizationEntry", input({{"AuthorizationEntry", cim::format_embedded(entry_)}}))
          .return_value,
      0U);
  ASSERT_EQ(host_.entries.size(), 1U);
  EXPECT_EQ(host_.entries[0], (AuthorizationEntry{"hostc.example", "/srv/replicas", "lab"}));
  EXPECT_EQ(associated(service, "Msvm_ReplicationAuthorizationSettingData").get("TrustGroup").text(), "lab");

  const cim::ObjectPath vm = path("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'alone'");
  cim::Instance settings = associated(vm, "Msvm_ReplicationSettingData");
  settings.set("RecoveryConnectionPoint", "hostb.example").set("AuthenticationType", 2U);
  settings.set("RecoveryServerPortNumber", 8443U).set("CompressionEnabled", true);
  settings.set("RecoveryHistory", 24U).set("ReplicationInterval", 300U);
  settings.set("ApplicationConsistentSnapshotInterval", 1U);
  const auto disks =
      query("SELECT * FROM Msvm_StorageAllocationSettingData WHERE InstanceID LIKE \"Microsoft:" +
            kRunning.upper() + "%\"");
  settings.set("IncludedDisks", list({disks.at(1).path.text()}));
  const auto created =
      invoke(service, "CreateReplicationRelationship",
             input({{"ComputerSystem", vm}, {"ReplicationSettingData", cim::format_embedded(settings)}}));
  EXPECT_EQ(created.return_value, 4096U);
  EXPECT_EQ(created.out.get("Job").path()->text(), "Msvm_ConcreteJob.InstanceID=\"" + kJob.upper() + "\"");
  EXPECT_EQ(host_.last_call, "create " + kRunning.lower());
  EXPECT_EQ(host_.created.included_disks, std::vector<std::string>{"vdb"});
  EXPECT_EQ(host_.created.recovery_history, 24U);
  EXPECT_EQ(host_.created.certificate_thumbprint,
            kThumbprint);  // the host's own, as the sample leaves it out

  EXPECT_EQ(start(1U).return_value, 4096U);
  EXPECT_EQ(host_.last_call, "start " + kPrimary.lower());
  EXPECT_EQ(failover({}).return_value, 4096U);
  EXPECT_EQ(host_.last_call, "failover " + kReplica.lower() + " to the latest");
}

TEST_F(Methods, ReturnValueZeroHasNoJob) {
  host_.verdict.job.reset();
  const auto result = create(settings_);
  EXPECT_EQ(result.return_value, 0U);
  EXPECT_TRUE(result.out.get("Job").null());
}

TEST_F(Methods, WhatTheHostRefusesIsTheReturnValue) {
  for (const auto& [code, number] : std::map<ErrorCode, uint32_t>{{ErrorCode::in_use, 32774},
                                                                  {ErrorCode::invalid_state, 32775},
                                                                  {ErrorCode::not_available, 32777},
                                                                  {ErrorCode::status_unknown, 32771}}) {
    host_.verdict.error = Error(code, "because");
    EXPECT_EQ(create(settings_).return_value, number);
    EXPECT_EQ(start(1U).return_value, number);
    EXPECT_EQ(failover({}).return_value, number);
  }
}

TEST_F(Methods, CreateChecksRanges) {
  EXPECT_EQ(create_with("ReplicationInterval", 30U).return_value, 4096U);
  EXPECT_EQ(create_with("ReplicationInterval", 60U).return_value, 32773U);
  EXPECT_EQ(create_with("ReplicationInterval", 901U).return_value, 32773U);
  EXPECT_EQ(create_with("RecoveryHistory", 25U).return_value, 32773U);
  EXPECT_EQ(create_with("RecoveryHistory", 24U).return_value, 4096U);
  EXPECT_EQ(create_with("ApplicationConsistentSnapshotInterval", 13U).return_value, 32773U);
  EXPECT_EQ(create_with("RecoveryConnectionPoint", "").return_value, 32773U);
  EXPECT_EQ(create_with("RecoveryConnectionPoint", "a host").return_value, 32773U);
  EXPECT_EQ(create_with("RecoveryConnectionPoint", "HostA.example").return_value, 32773U);
  EXPECT_EQ(create_with("AuthenticationType", 1U).return_value, 32773U);
  EXPECT_EQ(create_with("AuthenticationType", 3U).return_value, 32773U);
  EXPECT_EQ(create_with("AutoResynchronizeIntervalStart", cim::DateTime::at(kNow)).return_value, 32773U);
  EXPECT_EQ(create_with("ReplicationProvider", "Msvm_ReplicationProvider.InstanceID=\"x\"").return_value,
            32770U);
}

TEST_F(Methods, CreateWantsHistoryForApplicationConsistentPoints) {
  const auto create_hours = [&](unsigned history, unsigned interval) {
    settings_.set("RecoveryHistory", history);
    return create_with("ApplicationConsistentSnapshotInterval", interval);
  };
  EXPECT_EQ(create_hours(0, 0).return_value, 4096U);
  EXPECT_EQ(create_hours(12, 12).return_value, 4096U);
  EXPECT_EQ(host_.created.application_consistent_interval, 12U);
  EXPECT_EQ(create_hours(24, 1).return_value, 4096U);
  EXPECT_EQ(create_hours(0, 1).return_value, 32773U);
  const auto refused = create_hours(3, 4);
  EXPECT_EQ(refused.return_value, 32773U);
  ASSERT_TRUE(refused.error);
  EXPECT_NE(refused.error->message().find("4 hours and RecoveryHistory keeps points for 3"),
            std::string::npos);
  EXPECT_EQ(refused.error->hint(), "give a RecoveryHistory of at least 4");
}

TEST_F(Methods, CreateTakesTheWindowOfResynchronizationAsGiven) {
  settings_.set("AutoResynchronizeEnabled", true);
  settings_.set("AutoResynchronizeIntervalStart", cim::DateTime::length(Duration{}));
  EXPECT_EQ(create_with("AutoResynchronizeIntervalEnd", cim::DateTime::length(Duration{})).return_value,
            4096U);
  EXPECT_TRUE(host_.created.auto_resynchronize_enabled);
  EXPECT_EQ(host_.created.auto_resynchronize_start, 0U);
  EXPECT_EQ(host_.created.auto_resynchronize_end, 0U);
  EXPECT_EQ(create_with("AutoResynchronizeIntervalEnd", cim::DateTime::length(Duration::seconds(86400)))
                .return_value,
            32773U);
}

TEST_F(Methods, KerberosIsRefusedWithTheReason) {
  settings_.set("AuthenticationType", 1U);
  const auto refused = replication_settings_from(settings_, {}, host_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_parameter);
  EXPECT_NE(refused.error().message().find("TLS 1.3"), std::string::npos);
  EXPECT_NE(refused.error().hint(), "");
}

TEST_F(Methods, CreateFillsWhatIsLeftOut) {
  host_.service.certificate_thumbprint = "ef";
  cim::Instance least("Msvm_ReplicationSettingData");
  least.set("RecoveryConnectionPoint", "10.0.0.2");
  EXPECT_EQ(create(least).return_value, 4096U);
  ReplicationSettings expected;
  expected.recovery_connection_point = "10.0.0.2";
  expected.recovery_server_port = 443;
  expected.certificate_thumbprint = "ef";
  EXPECT_EQ(host_.created, expected);
}

TEST_F(Methods, CreateChecksTheVmAfterTheSettings) {
  EXPECT_EQ(create(settings_, vm_path(kJob)).return_value, 32773U);
  EXPECT_EQ(create(settings_, system_path("no GUID")).return_value, 32773U);
  EXPECT_EQ(create(settings_, service_path("hosta.example")).return_value, 32773U);
  EXPECT_EQ(create(settings_, system_path("HOSTA.example")).return_value, 32770U);
  const auto missing = call("CreateReplicationRelationship",
                            input({{"ReplicationSettingData", cim::format_embedded(settings_)}}));
  EXPECT_EQ(missing.return_value, 32773U);
  EXPECT_EQ(create(changed(settings_, "RecoveryHistory", 25U), system_path("hosta.example")).return_value,
            32773U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(create(settings_).return_value, 32777U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Methods, CreateChecksTheEmbeddedInstanceFirst) {
  const auto given = [&](const std::string& text) {
    return call("CreateReplicationRelationship",
                input({{"ComputerSystem", system_path("hosta.example")}, {"ReplicationSettingData", text}}))
        .return_value;
  };
  EXPECT_EQ(given(cim::format_embedded(entry_)), 32776U);
  EXPECT_EQ(
      given("<INSTANCE CLASSNAME=\"Msvm_ReplicationSettingData\"><PROPERTY NAME=\"ReplicationInterval\" "
            "TYPE=\"string\"><VALUE>300</VALUE></PROPERTY></INSTANCE>"),
      32776U);
  EXPECT_EQ(given("instance of Msvm_ReplicationSettingData {}"), 32773U);
  EXPECT_EQ(given(""), 32773U);
  EXPECT_EQ(
      call("CreateReplicationRelationship", input({{"ComputerSystem", vm_path(kRunning)}})).return_value,
      32773U);
}

TEST_F(Methods, DisksComeInAllThreeForms) {
  cim::Instance disk("Msvm_StorageAllocationSettingData");
  disk.set("InstanceID", disk_id(kRunning, "vdb"));
  const std::string path_text = "\\\\hosta\\root\\virtualization\\v2:" + cim::path_of(disk).text();
  for (const std::string& form :
       {disk_id(kRunning, "vdb"), cim::path_of(disk).text(), path_text, cim::format_embedded(disk)}) {
    EXPECT_EQ(create_with("IncludedDisks", list({form})).return_value, 4096U) << form;
    EXPECT_EQ(host_.created.included_disks, std::vector<std::string>{"vdb"}) << form;
  }
  EXPECT_EQ(
      create_with("IncludedDisks", list({disk_id(kRunning, "vdb"), disk_id(kRunning, "vda")})).return_value,
      4096U);
  EXPECT_EQ(host_.created.included_disks, (std::vector<std::string>{"vda", "vdb"}));  // in the VM's order
}

TEST_F(Methods, DisksOfNoOrAnotherVmAreRefused) {
  EXPECT_EQ(create_with("IncludedDisks", list({disk_id(kRunning, "vdz")})).return_value, 32773U);
  EXPECT_EQ(create_with("IncludedDisks", list({disk_id(kReplica, "vda")})).return_value, 32773U);
  EXPECT_EQ(create_with("IncludedDisks", list({"vda"})).return_value, 32773U);
  EXPECT_EQ(
      create_with("IncludedDisks", list({disk_id(kRunning, "vda"), disk_id(kRunning, "vda")})).return_value,
      32773U);
  EXPECT_EQ(
      create_with("IncludedDisks", list({"Msvm_StorageAllocationSettingData.InstanceID=\"x"})).return_value,
      32773U);
  EXPECT_EQ(create_with("IncludedDisks", list({cim::format_embedded(entry_)})).return_value, 32776U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Methods, ServiceSettingsAreChecked) {
  EXPECT_EQ(modify_with("MonitoringInterval", 3600U).return_value, 0U);
  EXPECT_EQ(host_.service.monitoring_interval, 3600U);
  EXPECT_EQ(host_.service.https_port, 443U);  // what is left out stays
  EXPECT_EQ(modify_with("HttpsPort", 8443U).return_value, 0U);
  EXPECT_EQ(host_.service.https_port, 8443U);
  EXPECT_EQ(host_.service.monitoring_interval, 3600U);
  EXPECT_EQ(modify_with("MonitoringStartTime", cim::DateTime::length(Duration::seconds(60))).return_value,
            0U);
  EXPECT_EQ(host_.service.monitoring_start_time, 60U);

  EXPECT_EQ(modify_with("MonitoringInterval", 3599U).return_value, 32773U);
  EXPECT_EQ(modify_with("MonitoringInterval", 604801U).return_value, 32773U);
  EXPECT_EQ(modify_with("HttpsPort", 0U).return_value, 32773U);
  EXPECT_EQ(modify_with("MonitoringStartTime", cim::DateTime::length(Duration::seconds(86400))).return_value,
            32773U);
  for (const unsigned type : {0U, 1U, 3U, 4U})
    EXPECT_EQ(modify_with("AllowedAuthenticationType", type).return_value, 32773U) << type;
  EXPECT_EQ(call("ModifyServiceSettings", input({})).return_value, 32773U);
  EXPECT_EQ(
      call("ModifyServiceSettings", input({{"SettingData", cim::format_embedded(entry_)}})).return_value,
      32776U);
  EXPECT_EQ(host_.service.https_port, 8443U);
}

TEST_F(Methods, AuthorizationEntriesAreChecked) {
  for (const char* good : {"*", "*.example.org", "hostb.example.org", "10.0.0.9"})
    EXPECT_EQ(add_with("AllowedPrimaryHostSystem", good).return_value, 0U) << good;
  for (const char* bad : {"", "host*.example", "a.*.b", "**", "*.", "-x", "a/b"})
    EXPECT_EQ(add_with("AllowedPrimaryHostSystem", bad).return_value, 32773U) << bad;
  for (const char* bad : {"", "srv/replicas"})
    EXPECT_EQ(add_with("ReplicaStorageLocation", bad).return_value, 32773U) << bad;
  EXPECT_EQ(host_.entries.size(), 4U);
}

TEST_F(Methods, AuthorizationEntriesAreChangedByName) {
  host_.entries = {{"hostc.example", "/srv/replicas", "lab"}, {"*", "/any", ""}};
  cim::Instance change("Msvm_ReplicationAuthorizationSettingData");
  change.set("AllowedPrimaryHostSystem", "HostC.example").set("ReplicaStorageLocation", "/srv/new");
  const auto changed_entry = change_entry(change);
  EXPECT_EQ(changed_entry.return_value, 0U);
  EXPECT_TRUE(changed_entry.out.get("Job").null());
  EXPECT_EQ(host_.entries[0],
            (AuthorizationEntry{"hostc.example", "/srv/new", "lab"}));  // what is left out stays
  change.set("ReplicaStorageLocation", cim::Value()).set("TrustGroup", "other");
  EXPECT_EQ(change_entry(change).return_value, 0U);
  EXPECT_EQ(host_.entries[0], (AuthorizationEntry{"hostc.example", "/srv/new", "other"}));

  const auto before = host_.entries;
  EXPECT_EQ(change_entry(changed(entry_, "AllowedPrimaryHostSystem", "hostd.example")).return_value, 32773U);
  EXPECT_EQ(change_entry(changed(entry_, "AllowedPrimaryHostSystem", cim::Value())).return_value, 32773U);
  EXPECT_EQ(change_entry(changed(entry_, "ReplicaStorageLocation", "srv")).return_value, 32773U);
  EXPECT_EQ(change_entry(changed(entry_, "TrustGroup", std::string(257, 'x'))).return_value, 32773U);
  EXPECT_EQ(change_entry(settings_).return_value, 32776U);
  EXPECT_EQ(call("ModifyAuthorizationEntry", input({})).return_value, 32773U);
  EXPECT_EQ(host_.entries, before);
}

TEST_F(Methods, AuthorizationEntriesAreRemovedByName) {
  host_.entries = {{"hostc.example", "/srv/replicas", "lab"}, {"*", "/any", ""}};
  EXPECT_EQ(remove_entry("HOSTC.example").return_value, 0U);
  ASSERT_EQ(host_.entries.size(), 1U);
  const auto unknown = remove_entry("hostc.example");
  EXPECT_EQ(unknown.return_value, 32773U);
  ASSERT_TRUE(unknown.error);
  EXPECT_EQ(unknown.error->hint(), "understudy authorizations");
  EXPECT_EQ(remove_entry("").return_value, 32773U);
  EXPECT_EQ(remove_entry({}).return_value, 32773U);
  EXPECT_EQ(remove_entry("*").return_value, 0U);
  EXPECT_TRUE(host_.entries.empty());
}

TEST_F(Methods, StartReplicationChecksTypeAndTime) {
  EXPECT_EQ(start({}).return_value, 32773U);
  EXPECT_EQ(start(0U).return_value, 32773U);
  EXPECT_EQ(start(4U).return_value, 32773U);
  EXPECT_EQ(start(2U).return_value, 32770U);
  EXPECT_EQ(start(3U).return_value, 32770U);
  EXPECT_EQ(start(1U, cim::DateTime::at(ago(5))).return_value, 4096U);
  EXPECT_EQ(start(1U, cim::DateTime::at(ago(-60))).return_value, 32770U);
  EXPECT_EQ(start(1U, cim::DateTime::at(ago(-8 * 24 * 3600))).return_value, 32773U);
  EXPECT_EQ(start(1U, cim::DateTime::length(Duration::seconds(60))).return_value, 32773U);
  EXPECT_EQ(start(1U, {}, vm_path(kJob)).return_value, 32773U);
  EXPECT_EQ(start(1U, {}, system_path("hosta.example")).return_value, 32770U);
}

TEST_F(Methods, FailoverTakesAPointOfThisVmOnly) {
  const auto point = [](const Uuid& id) {
    return instance_path("Msvm_VirtualSystemSettingData", settings_id(id));
  };
  EXPECT_EQ(failover(point(kOldPoint)).return_value, 4096U);
  EXPECT_EQ(host_.last_call, "failover " + kReplica.lower() + " to " + kOldPoint.lower());
  EXPECT_EQ(failover(point(kReplica)).return_value, 32773U);                      // the VM's own settings
  EXPECT_EQ(failover(point(kOldPoint), vm_path(kPrimary)).return_value, 32773U);  // a point of another VM
  EXPECT_EQ(failover(point(kJob)).return_value, 32773U);                          // of nobody
  for (const std::string& malformed :
       {std::string(), kOldPoint.upper(), "Microsoft:" + kOldPoint.upper().substr(1),
        settings_id(kOldPoint) + "\\0", "Microsoft:{" + kOldPoint.upper() + "}"})
    EXPECT_EQ(failover(instance_path("Msvm_VirtualSystemSettingData", malformed)).return_value, 32773U)
        << malformed;
  EXPECT_EQ(failover(cim::ObjectPath{"Msvm_VirtualSystemSettingData", {{"Name", settings_id(kOldPoint)}}})
                .return_value,
            32773U);
  EXPECT_EQ(failover(instance_path("CIM_VirtualSystemSettingData", settings_id(kOldPoint))).return_value,
            4096U);
  for (const char* other : {"Msvm_ReplicationSettingData", "Msvm_ComputerSystem", "Understudy_RecoveryPoint"})
    EXPECT_EQ(failover(instance_path(other, settings_id(kOldPoint))).return_value, 32773U) << other;
  host_.last_call = "";
  host_.views[2].points.erase(host_.views[2].points.begin());
  EXPECT_EQ(failover(point(kOldPoint)).return_value, 32773U);  // it was one, and went by retention
  EXPECT_EQ(host_.last_call, "");
  EXPECT_EQ(failover(instance_path("Msvm_ReplicationSettingData", settings_id(kOldPoint) + "\\HVR\\0"))
                .return_value,
            32773U);
  EXPECT_EQ(failover({}, system_path("hosta.example")).return_value, 32770U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(failover({}).return_value, 32777U);
}

TEST_F(Methods, WhatIsNotThereYetSaysSo) {
  EXPECT_EQ(call("CommitFailover", input({{"ComputerSystem", vm_path(kReplica)}})).return_value, 32770U);
  EXPECT_EQ(call("TestReplicaSystem", input({{"ComputerSystem", vm_path(kReplica)}})).return_value, 32770U);
  EXPECT_EQ(call("StartService", input({})).return_value, 1U);
  EXPECT_EQ(call("StopService", input({})).return_value, 1U);
  const auto stopped = call("RequestStateChange", input({{"RequestedState", 3U}}));
  EXPECT_EQ(stopped.return_value, 1U);
  ASSERT_TRUE(stopped.error);
  EXPECT_EQ(stopped.error->code(), ErrorCode::not_supported);
}

TEST_F(Methods, VmsAreSwitchedOnAndOff) {
  const auto request = [&](const cim::ObjectPath& vm, cim::Value state) {
    return invoke(vm, "RequestStateChange", input({{"RequestedState", std::move(state)}})).return_value;
  };
  EXPECT_EQ(request(vm_path(kReplica), 2U), 4096U);
  EXPECT_EQ(host_.last_call, "power on " + kReplica.lower());
  EXPECT_EQ(request(vm_path(kRunning), 3U), 4096U);
  EXPECT_EQ(host_.last_call, "power off " + kRunning.lower());
  EXPECT_EQ(request(vm_path(kRunning), 9U), 32770U);
  EXPECT_EQ(request(vm_path(kRunning), 5U), 32773U);
  EXPECT_EQ(request(vm_path(kRunning), {}), 32773U);
  EXPECT_EQ(request(system_path("hosta.example"), 2U), 32770U);
  EXPECT_EQ(invoke(vm_path(kRunning), "InjectNonMaskableInterrupt", input({})).return_value, 32770U);
  host_.verdict.error =
      Error(ErrorCode::invalid_state, "it is a replica and held", "understudy failover web");
  EXPECT_EQ(request(vm_path(kReplica), 2U), 32775U);
}

TEST_F(Methods, AJobTellsItsErrorAndIsCancelled) {
  const auto job = [](const Uuid& id) { return instance_path("Msvm_ConcreteJob", id.upper()); };
  const auto error = invoke(job(kFailedJob), "GetError", input({})).out.get("Error").text();
  ASSERT_TRUE(error);
  const auto parsed =
      cim::parse_embedded([](std::string_view t) { return wsman::parse_xml(t); }, *error, "Msvm_Error");
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_TRUE(cim::conforms(*parsed));
  EXPECT_EQ(parsed->get("MessageID").text(), "32778");
  EXPECT_EQ(parsed->get("Message").text(), "hostb.example has no space for db");
  EXPECT_EQ(parsed->get("ErrorSource").text(), vm_path(kPrimary).text());
  EXPECT_EQ(invoke(job(kFailedJob), "GetErrorEx", input({})).out.get("Errors").array()->size(), 1U);

  const auto none = invoke(job(kJob), "GetError", input({}));
  EXPECT_EQ(none.return_value, 0U);
  EXPECT_TRUE(none.out.get("Error").null());
  const auto change = [&](unsigned state) {
    return invoke(job(kJob), "RequestStateChange", input({{"RequestedState", state}})).return_value;
  };
  host_.verdict = {};
  EXPECT_EQ(change(4), 0U);
  EXPECT_EQ(host_.last_call, "cancel " + kJob.lower() + " of " + kPrimary.lower());
  EXPECT_EQ(change(5), 1U);
  EXPECT_EQ(change(77), 1U);
  EXPECT_EQ(change(1), 5U);
  host_.verdict.error = Error(ErrorCode::not_supported, "it has come too far");
  EXPECT_EQ(change(4), 1U);
  host_.verdict.error = Error(ErrorCode::invalid_state, "it has ended");
  EXPECT_EQ(change(4), 4097U);
  host_.verdict = {};
  EXPECT_EQ(invoke(job(kJob), "KillJob", input({{"DeleteOnKill", true}})).return_value, 1U);
}

// What is called once replication runs: revert, change of state, resynchronization, points on demand.
class Control : public ProvidersTest {
 protected:
  cim::InvokeResult revert(cim::ObjectPath vm = vm_path(kReplica)) {
    return call("RevertFailover", input({{"ComputerSystem", vm}}));
  }
  uint32_t change_state(cim::Value state, const cim::ObjectPath& target = vm_path(kPrimary)) {
    return invoke(target, "RequestReplicationStateChange", input({{"RequestedState", std::move(state)}}))
        .return_value;
  }
  uint32_t change_state_of(const std::string& relationship, cim::Value state = 7U) {
    cim::Instance given("Msvm_ReplicationRelationship");
    given.set("InstanceID", relationship);
    return change_state_ex(cim::format_embedded(given), std::move(state));
  }
  uint32_t change_state_ex(cim::Value relationship, cim::Value state,
                           const cim::ObjectPath& target = vm_path(kPrimary)) {
    return invoke(target, "RequestReplicationStateChangeEx",
                  input({{"ReplicationRelationship", std::move(relationship)},
                         {"RequestedState", std::move(state)},
                         {"TimeoutPeriod", cim::DateTime::length(Duration::seconds(60))}}))
        .return_value;
  }
  uint32_t resynchronize(cim::Value start, cim::ObjectPath vm = vm_path(kPrimary)) {
    return call("Resynchronize", input({{"ComputerSystem", vm}, {"StartTime", std::move(start)}}))
        .return_value;
  }
  cim::InvokeResult create_point(cim::Value type, cim::ObjectPath vm = vm_path(kPrimary)) {
    return invoke({"Understudy_ReplicationService", {{"CreationClassName", "Understudy_ReplicationService"}}},
                  "CreateRecoveryPoint", input({{"ComputerSystem", vm}, {"PointType", std::move(type)}}));
  }
};

TEST_F(Control, AFailoverIsReverted) {
  const auto accepted = revert();
  EXPECT_EQ(accepted.return_value, 4096U);
  EXPECT_EQ(accepted.out.get("Job").path()->text(), "Msvm_ConcreteJob.InstanceID=\"" + kJob.upper() + "\"");
  EXPECT_EQ(host_.last_call, "revert " + kReplica.lower());

  host_.last_call = "";
  EXPECT_EQ(call("RevertFailover", input({})).return_value, 32773U);
  EXPECT_EQ(revert(vm_path(kJob)).return_value, 32773U);
  EXPECT_EQ(revert(service_path("hosta.example")).return_value, 32773U);
  EXPECT_EQ(revert(system_path("hosta.example")).return_value, 32770U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(revert().return_value, 32777U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Control, EveryDocumentedStateReachesTheHost) {
  for (const unsigned state : {1U, 2U, 3U, 4U, 7U, 9U}) {
    EXPECT_EQ(change_state(state), 4096U);
    EXPECT_EQ(host_.last_call, "state " + std::to_string(state) + " of " + kPrimary.lower());
  }
  host_.last_call = "";
  for (const unsigned state : {0U, 5U, 6U, 8U, 10U, 11U, 65535U})
    EXPECT_EQ(change_state(state), 32773U) << state;
  EXPECT_EQ(change_state({}), 32773U);
  EXPECT_EQ(change_state(7U, system_path("hosta.example")), 32770U);
  EXPECT_EQ(change_state(8U, system_path("hosta.example")), 32773U);  // the parameter first
  EXPECT_EQ(host_.last_call, "");
  host_.verdict.job.reset();
  EXPECT_EQ(change_state(7U), 0U);
}

TEST_F(Control, TheOnlyRelationshipMayBeNamed) {
  const std::string mine = "Microsoft:" + kPrimary.upper() + "\\HVR";
  EXPECT_EQ(change_state_ex({}, 3U), 4096U);
  EXPECT_EQ(change_state_ex("", 3U), 4096U);
  EXPECT_EQ(change_state_of(mine + "\\0"), 4096U);
  EXPECT_EQ(change_state_of(mine), 4096U);  // as before 8.1
  EXPECT_EQ(change_state_of("microsoft:" + kPrimary.lower() + "\\hvr\\0"), 4096U);
  EXPECT_EQ(host_.last_call, "state 7 of " + kPrimary.lower());

  host_.last_call = "";
  for (const std::string& other : {mine + "\\1", mine + "\\2", mine + "\\00", mine + "x", std::string(),
                                   "Microsoft:" + kPrimary.upper(), relationship_id(kReplica)})
    EXPECT_EQ(change_state_of(other), 32773U) << other;
  EXPECT_EQ(change_state_of(mine + "\\0", 8U), 32773U);
  EXPECT_EQ(change_state_ex("no XML", 7U), 32773U);
  EXPECT_EQ(change_state_ex(cim::format_embedded(cim::Instance("Msvm_ReplicationRelationship")), 7U), 32773U);
  EXPECT_EQ(change_state_ex(cim::format_embedded(cim::Instance("Msvm_ReplicationSettingData")), 7U), 32776U);
  EXPECT_EQ(change_state_ex({}, 7U, system_path("hosta.example")), 32770U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Control, ResynchronizationStartsNowOrWithinSevenDays) {
  constexpr int64_t kWeek = 7 * 24 * 3600;
  EXPECT_EQ(resynchronize({}), 4096U);
  EXPECT_EQ(host_.last_call, "resynchronize " + kPrimary.lower() + " now");
  host_.last_call = "";
  EXPECT_EQ(resynchronize(cim::DateTime::at(ago(1))), 4096U);
  EXPECT_EQ(host_.last_call, "resynchronize " + kPrimary.lower() + " now");
  EXPECT_EQ(resynchronize(cim::DateTime::at(ago(-kWeek))), 4096U);
  EXPECT_EQ(host_.last_call, "resynchronize " + kPrimary.lower() + " at " + iso_time(ago(-kWeek)));

  host_.last_call = "";
  EXPECT_EQ(resynchronize(cim::DateTime::at(ago(-kWeek - 1))), 32773U);
  EXPECT_EQ(resynchronize(cim::DateTime::length(Duration::seconds(60))), 32773U);
  EXPECT_EQ(resynchronize({}, vm_path(kJob)), 32773U);
  EXPECT_EQ(resynchronize({}, system_path("hosta.example")), 32770U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(resynchronize({}), 32777U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Control, PointsAreMadeOnDemand) {
  EXPECT_EQ(create_point(1U).return_value, 4096U);
  EXPECT_EQ(host_.last_call, "point of " + kPrimary.lower());
  const auto accepted = create_point(2U);
  EXPECT_EQ(accepted.return_value, 4096U);
  EXPECT_TRUE(accepted.out.get("Job").path());
  EXPECT_EQ(host_.last_call, "consistent point of " + kPrimary.lower());

  host_.last_call = "";
  for (const unsigned type : {0U, 3U}) EXPECT_EQ(create_point(type).return_value, 32773U) << type;
  EXPECT_EQ(create_point({}).return_value, 32773U);
  EXPECT_EQ(create_point(1U, vm_path(kJob)).return_value, 32773U);
  EXPECT_EQ(create_point(1U, system_path("hosta.example")).return_value, 32770U);
  EXPECT_EQ(host_.last_call, "");
}

TEST_F(Control, WhatTheHostRefusesIsTheReturnValue) {
  for (const auto& [code, number] : std::map<ErrorCode, uint32_t>{{ErrorCode::in_use, 32774},
                                                                  {ErrorCode::invalid_state, 32775},
                                                                  {ErrorCode::not_available, 32777}}) {
    host_.verdict.error = Error(code, "because");
    EXPECT_EQ(revert().return_value, number);
    EXPECT_EQ(change_state(7U), number);
    EXPECT_EQ(resynchronize({}), number);
    EXPECT_EQ(create_point(1U).return_value, number);
  }
}

TEST_F(Control, OurServiceIsStartedByTheSystem) {
  const auto service = path("SELECT * FROM Understudy_ReplicationService");
  EXPECT_EQ(service.keys.at("SystemName"), "hosta.example");
  EXPECT_EQ(service.keys.at("Name"), "replicasvc");
  for (const char* method : {"StartService", "StopService"})
    EXPECT_EQ(invoke(service, method, input({})).return_value, 1U) << method;
  EXPECT_EQ(invoke(service, "RequestStateChange", input({{"RequestedState", 3U}})).return_value, 1U);
}

}  // namespace
}  // namespace understudy::providers
