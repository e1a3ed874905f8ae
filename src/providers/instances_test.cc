// What clients read: every class, and the queries of the programs that are known.
#include <gmock/gmock.h>

#include <set>

#include "cim/typed.h"
#include "providers/paths.h"
#include "providers/providers_test.h"

namespace understudy::providers {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

std::vector<std::string> texts(const std::vector<cim::Item>& items, const char* property) {
  std::vector<std::string> found;
  for (const cim::Item& item : items) found.push_back(item.instance.get(property).text().value_or("NULL"));
  return found;
}

TEST_F(ProvidersTest, EveryInstanceFitsItsClass) {
  host_.entries = {{"*", "/srv/replicas", "DEFAULT"}};
  std::set<std::string> classes;
  for (const cim::ClassDecl& decl : cim::all_classes()) {
    if (decl.abstract) continue;
    const auto items = enumerate(std::string(decl.name));
    for (const cim::Item& item : items) {
      classes.insert(item.path.class_name);
      const Status status = cim::conforms(item.instance);
      EXPECT_TRUE(status) << item.path.text() << ": " << (status ? "" : status.error().text());
    }
  }
  EXPECT_EQ(classes.size(), 29U);  // all but LastAppliedSnapshot, which needs a failover
}

TEST_F(ProvidersTest, EveryLinkLeadsToObjectsThatExist) {
  host_.entries = {{"*", "/srv/replicas", "DEFAULT"}};
  for (const cim::ClassDecl& decl : cim::all_classes()) {
    if (decl.abstract || !decl.association) continue;
    for (const cim::Item& item : enumerate(std::string(decl.name)))
      for (const auto& [name, value] : item.instance.properties())
        if (const auto end = value.path()) {
          EXPECT_TRUE(manager_.handle(kCaller, cim::GetRequest{*end})) << end->text();
        }
  }
}

TEST_F(ProvidersTest, HostAndVmsLookAsOnRealHosts) {
  const auto items = query("SELECT ElementName, InstallDate, ReplicationMode FROM Msvm_ComputerSystem");
  ASSERT_EQ(items.size(), 4U);
  size_t hosts = 0;
  for (const cim::Item& item : items)
    if (item.instance.get("InstallDate").null()) {
      ++hosts;
      EXPECT_TRUE(item.instance.get("ReplicationMode").null());
    }
  EXPECT_EQ(hosts, 1U);

  EXPECT_THAT(texts(query("SELECT * FROM Msvm_ComputerSystem WHERE Name != __SERVER "), "ElementName"),
              UnorderedElementsAre("alone", "db", "web"));
  EXPECT_THAT(
      texts(query("SELECT * FROM Msvm_ComputerSystem WHERE Name != __SERVER AND (EnabledState != 0 and "
                  "EnabledState != 3 and EnabledState != 32769)"),
            "ElementName"),
      UnorderedElementsAre("alone", "db"));
  EXPECT_THAT(texts(query("select * from Msvm_ComputerSystem where ProcessID = 42"), "Name"),
              ElementsAre(kRunning.upper()));
  EXPECT_THAT(texts(query("SELECT ElementName, EnabledState, ReplicationState, ReplicationHealth FROM "
                          "MsVm_ComputerSystem WHERE ReplicationState IS NOT NULL"),
                    "ElementName"),
              UnorderedElementsAre("alone", "db", "web"));
}

TEST_F(ProvidersTest, AVmThatOnlyTheEngineKnowsIsInNoKnownState) {
  host_.views[2].listed = false;
  const auto items = query("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'web'");
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].instance.get("EnabledState").number(), 0U);
  EXPECT_EQ(items[0].instance.get("ReplicationMode").number(), 2U);
}

TEST_F(ProvidersTest, MonitoringReadsRelationships) {
  const auto items = query(
      "SELECT ElementName, InstanceID, ReplicationHealth, ReplicationState FROM "
      "Msvm_ReplicationRelationship");
  ASSERT_EQ(items.size(), 3U);
  const auto one =
      query("Select * from Msvm_ReplicationRelationship where InstanceID='Microsoft:" + kReplica.upper() +
            "\\\\HVR\\\\0'");
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].instance.get("ReplicationState").number(), 3U);
  EXPECT_EQ(one[0].instance.get("ReplicationHealth").number(), 1U);
  EXPECT_EQ(one[0].instance.get("LastReplicationTime").datetime(), cim::DateTime::at(ago(10)));
  EXPECT_EQ(one[0].instance.get("FailedOverReplicationType").number(), 0U);
}

TEST_F(ProvidersTest, SettingsExistBeforeReplicationAsATemplate) {
  const auto items = query("SELECT * FROM Msvm_ReplicationSettingData WHERE VirtualSystemIdentifier LIKE \"" +
                           kRunning.lower() + "\"");
  ASSERT_EQ(items.size(), 1U);
  const cim::Instance& s = items[0].instance;
  EXPECT_EQ(s.get("ReplicationInterval").number(), 300U);
  EXPECT_EQ(s.get("VirtualSystemType").text(), "Microsoft:Hyper-V:Replica");
  EXPECT_EQ(s.get("AutoResynchronizeIntervalStart").datetime(),
            cim::DateTime::length(Duration::seconds(18 * 3600 + 30 * 60)));
  EXPECT_TRUE(s.get("RecoveryConnectionPoint").null());
  ASSERT_NE(s.get("IncludedDisks").array(), nullptr);
  EXPECT_EQ(s.get("IncludedDisks").array()->size(), 2U);
}

TEST_F(ProvidersTest, DisksAreFoundByTheVm) {
  EXPECT_THAT(
      texts(query("SELECT * FROM Msvm_StorageAllocationSettingData WHERE InstanceID LIKE \"Microsoft:" +
                  kRunning.lower() + "%\""),
            "InstanceID"),
      ElementsAre(disk_id(kRunning, "vda"), disk_id(kRunning, "vdb")));
  EXPECT_THAT(
      texts(query("ASSOCIATORS OF {Msvm_VirtualSystemSettingData.InstanceID='" + settings_id(kRunning) +
                  "'} WHERE AssocClass = Msvm_VirtualSystemSettingDataComponent ResultClass = "
                  "Msvm_StorageAllocationSettingData"),
            "Address"),
      ElementsAre("vda", "vdb"));
}

TEST_F(ProvidersTest, AVmLeadsToItsSettings) {
  const std::string settings = "ASSOCIATORS OF {" + vm_path(kReplica).text() +
                               "} WHERE AssocClass = Msvm_SettingsDefineState ResultClass = "
                               "Msvm_VirtualSystemSettingData";
  EXPECT_THAT(texts(query(settings), "InstanceID"), ElementsAre(settings_id(kReplica)));
  EXPECT_EQ(associated(vm_path(kReplica), "Msvm_ReplicationRelationship").get("InstanceID").text(),
            relationship_id(kReplica));
  EXPECT_EQ(associated(vm_path(kReplica), "Msvm_ReplicationService").get("Name").text(), "replicasvc");
  EXPECT_EQ(associated(instance_path("Msvm_ReplicationRelationship", relationship_id(kReplica)),
                       "Msvm_ReplicationSettingData")
                .get("ElementName")
                .text(),
            "web");
}

TEST_F(ProvidersTest, RecoveryPointsAreListedOldestFirst) {
  const auto points = query("ASSOCIATORS OF {" + vm_path(kReplica).text() +
                            "} WHERE AssocClass = Msvm_SnapshotOfVirtualSystem");
  EXPECT_THAT(texts(points, "InstanceID"), ElementsAre(settings_id(kOldPoint), settings_id(kNewPoint)));
  EXPECT_THAT(texts(points, "VirtualSystemType"),
              ElementsAre("Microsoft:Hyper-V:Snapshot:Replica:Standard",
                          "Microsoft:Hyper-V:Snapshot:Replica:PlannedFailover"));
  EXPECT_EQ(points[1].instance.get("CreationTime").datetime(), cim::DateTime::at(ago(14)));
  const auto newest = query("ASSOCIATORS OF {" + vm_path(kReplica).text() +
                            "} WHERE AssocClass = Msvm_MostCurrentSnapshotInBranch");
  EXPECT_THAT(texts(newest, "InstanceID"), ElementsAre(settings_id(kNewPoint)));
}

TEST_F(ProvidersTest, RecoveryPointsSayWhatTheyAreAndWhyTheyStay) {
  auto& points = host_.views[2].points;
  points[0].type = PointType::application_consistent;
  points[0].keep = PointKeep::on_demand;
  const auto settings = query("SELECT * FROM Msvm_VirtualSystemSettingData WHERE CreationTime IS NOT NULL");
  ASSERT_EQ(settings.size(), 2U);
  EXPECT_EQ(settings[0].instance.get("ElementName").text(), "web - (2025-12-17T08:55:22.000000Z)");
  EXPECT_EQ(settings[0].instance.get("VirtualSystemType").text(),
            "Microsoft:Hyper-V:Snapshot:Replica:ApplicationConsistent");
  EXPECT_EQ(std::get<std::string>(settings[0].instance.get("Notes").array()->at(0)),
            "Kept because it was asked for");
  EXPECT_TRUE(settings[1].instance.get("Notes").null());

  const auto ours = enumerate("Understudy_RecoveryPoint");
  ASSERT_EQ(ours.size(), 2U);
  const cim::Instance& old = ours[0].instance;
  EXPECT_EQ(old.get("InstanceID").text(), settings_id(kOldPoint));
  EXPECT_EQ(old.get("VirtualSystemIdentifier").text(), kReplica.upper());
  EXPECT_EQ(old.get("PointID").text(), kOldPoint.lower());
  EXPECT_EQ(old.get("PointType").number(), 2U);
  EXPECT_EQ(old.get("PointTypeText").text(), "Application consistent");
  EXPECT_EQ(old.get("Keep").number(), 2U);
  EXPECT_EQ(old.get("KeepText").text(), "On demand");
  EXPECT_EQ(old.get("CutTime").datetime(), cim::DateTime::at(ago(3600)));
  EXPECT_EQ(old.get("AgeSeconds").number(), 3600U);
  EXPECT_EQ(old.get("Bytes").number(), 5U);
  EXPECT_EQ(old.get("Newest").boolean(), false);
  EXPECT_EQ(ours[1].instance.get("Newest").boolean(), true);
  EXPECT_EQ(ours[1].instance.get("FailedOver").boolean(), false);

  const auto times = cim::DateTime::at(ago(3590));
  EXPECT_EQ(associated(vm_path(kReplica), "Msvm_ReplicationRelationship")
                .get("LastApplicationConsistentReplicationTime")
                .datetime(),
            times);
  EXPECT_EQ(query("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'web'")
                .at(0)
                .instance.get("LastApplicationConsistentReplicationTime")
                .datetime(),
            times);
}

TEST_F(ProvidersTest, AFailedOverReplicaNamesItsPoint) {
  core::State& s = host_.views[2].state;
  s.phase = core::Phase::failed_over;
  s.failover = core::Failover{kNewPoint, PointType::planned, ago(14), 4, false};
  const auto applied =
      query("ASSOCIATORS OF {" + vm_path(kReplica).text() + "} WHERE AssocClass = Msvm_LastAppliedSnapshot");
  EXPECT_THAT(texts(applied, "InstanceID"), ElementsAre(settings_id(kNewPoint)));
  const auto relation = associated(vm_path(kReplica), "Msvm_ReplicationRelationship");
  EXPECT_EQ(relation.get("ReplicationState").number(), 5U);
  EXPECT_EQ(relation.get("FailedOverReplicationType").number(), 3U);

  s.failover->point = kOldPoint;
  const auto older =
      query("REFERENCES OF {" + vm_path(kReplica).text() + "} WHERE ResultClass = Msvm_LastAppliedSnapshot");
  ASSERT_EQ(older.size(), 1U);
  EXPECT_EQ(older[0].instance.get("Antecedent").path()->text(),
            instance_path("Msvm_VirtualSystemSettingData", settings_id(kOldPoint)).text());
  EXPECT_EQ(older[0].instance.get("Dependent").path()->text(), vm_path(kReplica).text());
  EXPECT_THAT(texts(query("SELECT * FROM Understudy_RecoveryPoint WHERE FailedOver = TRUE"), "PointID"),
              ElementsAre(kOldPoint.lower()));
  const auto parent =
      query("SELECT * FROM Msvm_VirtualSystemSettingData WHERE InstanceID = '" + settings_id(kReplica) + "'");
  EXPECT_THAT(parent.at(0).instance.get("Parent").text().value_or(""), testing::HasSubstr(kOldPoint.upper()));

  host_.views[2].points.erase(host_.views[2].points.begin());  // no link to what is not listed
  EXPECT_EQ(enumerate("Msvm_LastAppliedSnapshot").size(), 0U);
}

TEST_F(ProvidersTest, JobsShowTheirProgressAndTheirError) {
  const auto running = query("SELECT * FROM Msvm_ConcreteJob WHERE InstanceID = '" + kJob.lower() + "'");
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].instance.get("JobState").number(), 4U);
  EXPECT_EQ(running[0].instance.get("PercentComplete").number(), 25U);
  EXPECT_EQ(running[0].instance.get("ErrorCode").number(), 0U);
  EXPECT_EQ(running[0].instance.get("ElapsedTime").datetime(), cim::DateTime::length(Duration::seconds(60)));

  const auto failed = query("SELECT * FROM Msvm_ConcreteJob WHERE JobState = 10");
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].instance.get("ErrorCode").number(), 32778U);
  EXPECT_EQ(failed[0].instance.get("ErrorDescription").text(),
            "hostb.example has no space for db. Next: free 10 GiB there");

  const auto effects = enumerate("Msvm_AffectedJobElement");
  ASSERT_EQ(effects.size(), 2U);
  EXPECT_EQ(effects[0].instance.get("AffectedElement").path()->text(), vm_path(kPrimary).text());

  const auto detail = query("SELECT * FROM Understudy_ConcreteJobDetail WHERE BytesTotal = 1200");
  ASSERT_EQ(detail.size(), 1U);
  EXPECT_EQ(detail[0].instance.get("BytesDone").number(), 300U);
}

TEST_F(ProvidersTest, StatusSaysHowOldTheNewestPointIs) {
  const auto items = query("SELECT * FROM Understudy_ReplicationStatus WHERE ElementName = 'web'");
  ASSERT_EQ(items.size(), 1U);
  const cim::Instance& s = items[0].instance;
  EXPECT_EQ(s.get("RecoveryPointAgeSeconds").number(), 14U);
  EXPECT_EQ(s.get("ReplicationModeText").text(), "Replica");
  EXPECT_EQ(s.get("ReplicationStateText").text(), "Replicating");
  EXPECT_EQ(s.get("ReplicationHealthText").text(), "Ok");
  EXPECT_EQ(s.get("Phase").text(), "standby");
  EXPECT_EQ(s.get("PrimaryHost").text(), "hostc.example");
  EXPECT_EQ(s.get("Sequence").number(), 17U);
  EXPECT_TRUE(s.get("HealthCause").null());
}

TEST_F(ProvidersTest, StatusOfAReplicaSaysWhenItsPrimaryWasHeard) {
  const auto status = [&](const std::string& name) {
    return query("SELECT * FROM Understudy_ReplicationStatus WHERE ElementName = '" + name + "'")
        .at(0)
        .instance;
  };
  EXPECT_TRUE(status("web").get("PrimaryHeardSeconds").null());
  EXPECT_EQ(status("web").get("PrimaryAlive").boolean(), false);
  host_.views[2].primary = {Duration::millis(14'900), true};
  EXPECT_EQ(status("web").get("PrimaryHeardSeconds").number(), 14U);
  EXPECT_EQ(status("web").get("PrimaryAlive").boolean(), true);
  EXPECT_TRUE(status("db").get("PrimaryHeardSeconds").null());
  EXPECT_TRUE(status("db").get("PrimaryAlive").null());
}

TEST_F(ProvidersTest, StatusGivesHealthWithCauseAndNextStep) {
  const auto items = query("SELECT * FROM Understudy_ReplicationStatus WHERE ReplicationHealth = 2");
  ASSERT_EQ(items.size(), 1U);
  const cim::Instance& s = items[0].instance;
  EXPECT_EQ(s.get("HealthCause").text(), "the first copy is not complete");
  EXPECT_EQ(s.get("HealthNext").text(), "wait");
  EXPECT_EQ(s.get("FirstCopyBytesDone").number(), 300U);
  EXPECT_EQ(s.get("TransferredBytes").number(), 12345U);
  EXPECT_TRUE(s.get("RecoveryPointAgeSeconds").null());
  EXPECT_EQ(s.get("Warnings").array()->size(), 1U);
}

TEST_F(ProvidersTest, StatusTellsWhatIsSetAside) {
  const auto status = [&] {
    return query("SELECT * FROM Understudy_ReplicationStatus WHERE ElementName = 'web'").at(0).instance;
  };
  EXPECT_TRUE(status().get("SetAsideGenerations").null());
  host_.views[2].set_aside = {{4, ago(7200), 4096}, {6, ago(60), 512}};
  const cim::Instance s = status();
  const auto elements = [&s](const char* property) {
    std::vector<std::string> found;
    for (const cim::Value::Scalar& one : *s.get(property).array()) found.push_back(cim::scalar_text(one));
    return found;
  };
  EXPECT_THAT(elements("SetAsideGenerations"), ElementsAre("4", "6"));
  EXPECT_THAT(elements("SetAsideSince"),
              ElementsAre("20251217075522.000000+000", "20251217095422.000000+000"));
  EXPECT_THAT(elements("SetAsideBytes"), ElementsAre("4096", "512"));
}

TEST_F(ProvidersTest, AJobOfOurOwnHasAName) {
  host_.views[1].state.jobs[1].type = JobType::create_point;
  const auto items = query("SELECT * FROM Msvm_ConcreteJob WHERE JobType = 32769");
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].instance.get("Caption").text(), "Create Recovery Point");
}

TEST_F(ProvidersTest, ServiceSaysWhenItsListenerDoesNotRun) {
  const auto operational = [&] {
    const auto items = enumerate("Msvm_ReplicationService");
    return std::get<uint64_t>(items.at(0).instance.get("OperationalStatus").array()->at(0));
  };
  EXPECT_EQ(operational(), 2U);
  host_.listens = false;
  EXPECT_EQ(operational(), 6U);
}

TEST_F(ProvidersTest, WhatBelongsToTheHostIsThereWithoutLibvirt) {
  host_.libvirt_is_down = true;
  EXPECT_TRUE(manager_.handle(kCaller, cim::GetRequest{system_path("hosta.example")}));
  EXPECT_EQ(enumerate("Msvm_ReplicationServiceSettingData").size(), 1U);
  const auto vms = manager_.handle(kCaller, cim::EnumerateRequest{"Msvm_ComputerSystem", {}});
  ASSERT_FALSE(vms);
  EXPECT_EQ(vms.error().error.code(), ErrorCode::not_available);
}

TEST_F(ProvidersTest, JobsAreThereWithoutLibvirt) {
  host_.libvirt_is_down = true;
  const cim::ObjectPath job = instance_path("Msvm_ConcreteJob", kJob.upper());
  EXPECT_TRUE(manager_.handle(kCaller, cim::GetRequest{job}));
  EXPECT_EQ(enumerate("Msvm_ConcreteJob").size(), 2U);
  EXPECT_EQ(enumerate("Understudy_ConcreteJobDetail").size(), 2U);
}

}  // namespace
}  // namespace understudy::providers
