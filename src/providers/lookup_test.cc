// Objects by key, and the summary of a VM.
#include <gmock/gmock.h>

#include "cim/typed.h"
#include "providers/paths.h"
#include "providers/providers_test.h"

namespace understudy::providers {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

std::vector<std::string> paths(const std::vector<cim::Item>& items) {
  std::vector<std::string> found;
  for (const cim::Item& item : items) found.push_back(item.path.text());
  return found;
}

TEST_F(ProvidersTest, EveryObjectIsFoundByItsKeysAlone) {
  host_.entries = {{"*", "/srv/replicas", "DEFAULT"}};
  std::vector<cim::ObjectPath> all;
  for (const cim::ClassDecl& decl : cim::all_classes())
    if (!decl.abstract)
      for (const cim::Item& item : enumerate(std::string(decl.name))) all.push_back(item.path);
  host_.listings = 0;
  for (const cim::ObjectPath& path : all) {
    const auto found = manager_.handle(kCaller, cim::GetRequest{path});
    ASSERT_TRUE(found) << path.text();
    EXPECT_EQ(found->items.at(0).path.text(), path.text());
  }
  EXPECT_EQ(host_.listings, 0U);
}

TEST_F(ProvidersTest, LibvirtsQueriesByKeyListNoOtherVm) {
  host_.listings = 0;
  EXPECT_EQ(
      query("SELECT * FROM Msvm_ComputerSystem WHERE Name != __SERVER AND Name = '" + kReplica.lower() + "'")
          .size(),
      1U);
  EXPECT_EQ(query("SELECT * FROM Msvm_ConcreteJob WHERE InstanceID = '" + kJob.lower() + "'").size(), 1U);
  EXPECT_EQ(query("SELECT * FROM Msvm_VirtualSystemSettingData WHERE 'microsoft:" + kNewPoint.lower() +
                  "' = InstanceID")
                .size(),
            1U);
  EXPECT_EQ(
      query("SELECT * FROM CIM_SettingData WHERE InstanceID = '" + disk_id(kRunning, "vdb") + "'").size(),
      1U);
  const std::string of_vm = "ASSOCIATORS OF {" + vm_path(kReplica).text() + "}";
  EXPECT_EQ(query(of_vm + " WHERE AssocClass = Msvm_SettingsDefineState").size(), 2U);
  EXPECT_EQ(query(of_vm + " WHERE AssocClass = Msvm_SnapshotOfVirtualSystem").size(), 2U);
  const cim::ObjectPath by_name{"Msvm_ComputerSystem", {{"Name", kReplica.lower()}}};
  EXPECT_TRUE(manager_.handle(kCaller, cim::GetRequest{by_name}));
  EXPECT_EQ(host_.listings, 0U);

  // What only looks like a key does not hide anything.
  EXPECT_EQ(query("SELECT * FROM Msvm_ComputerSystem WHERE NOT Name = '" + kReplica.upper() + "'").size(),
            3U);
  EXPECT_EQ(
      query("SELECT * FROM Msvm_ComputerSystem WHERE Name = '" + kReplica.upper() + "' OR EnabledState = 2")
          .size(),
      3U);
  EXPECT_EQ(query("SELECT * FROM Msvm_ComputerSystem WHERE Name = ElementName").size(), 1U);
}

TEST_F(ProvidersTest, KeysOfNobodyFindNothing) {
  const Uuid nobody = *Uuid::parse("eeeeeeee-0000-4000-8000-000000000009");
  for (const cim::ObjectPath& path :
       {vm_path(nobody), instance_path("Msvm_ConcreteJob", nobody.upper()),
        instance_path("Msvm_VirtualSystemSettingData", settings_id(nobody)),
        instance_path("Msvm_VirtualSystemSettingData", "Microsoft:x"),
        instance_path("Msvm_ReplicationRelationship", settings_id(kReplica) + "\\HVR\\7"),
        system_path("other")}) {
    const auto found = manager_.handle(kCaller, cim::GetRequest{path});
    ASSERT_FALSE(found) << path.text();
    EXPECT_EQ(found.error().subcode, "a:DestinationUnreachable") << path.text();
  }
  host_.libvirt_is_down = true;
  const auto unknown = manager_.handle(kCaller, cim::GetRequest{vm_path(kReplica)});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().error.code(), ErrorCode::not_available);
}

TEST_F(ProvidersTest, TheHostLeadsToItsServicesAndVms) {
  const std::string of_host = "ASSOCIATORS OF {" + system_path(host_.name()).text() + "} WHERE AssocClass = ";
  EXPECT_THAT(paths(query(of_host + "Msvm_HostedService")),
              UnorderedElementsAre(service_path(host_.name()).text(), management_path(host_.name()).text()));
  EXPECT_EQ(query(of_host + "Msvm_HostedDependency").size(), 3U);
  EXPECT_EQ(
      query("ASSOCIATORS OF {" + service_path(host_.name()).text() + "} WHERE ResultRole = AffectedElement")
          .size(),
      3U);
  EXPECT_THAT(paths(query("ASSOCIATORS OF {" + vm_path(kReplica).text() + "} WHERE ResultRole = Antecedent")),
              ElementsAre(system_path(host_.name()).text()));
}

TEST_F(ProvidersTest, ProcessorAndMemoryAreSettingsOfTheVm) {
  const std::string of_settings =
      "ASSOCIATORS OF {Msvm_VirtualSystemSettingData.InstanceID='" + settings_id(kRunning) +
      "'} WHERE AssocClass = Msvm_VirtualSystemSettingDataComponent ResultClass = ";
  const auto processors = query(of_settings + "Msvm_ProcessorSettingData");
  ASSERT_EQ(processors.size(), 1U);
  EXPECT_EQ(processors[0].instance.get("VirtualQuantity").number(), 2U);
  EXPECT_EQ(processors[0].instance.get("Limit").number(), 100000U);
  const auto memory = query(of_settings + "Msvm_MemorySettingData");
  ASSERT_EQ(memory.size(), 1U);
  EXPECT_EQ(memory[0].instance.get("VirtualQuantity").number(), 1024U);
  EXPECT_EQ(memory[0].instance.get("Limit").number(), 1024U);
}

// --- GetSummaryInformation ---

class SummaryTest : public ProvidersTest {
 protected:
  using Scalars = std::vector<cim::Value::Scalar>;
  cim::InvokeResult ask(Scalars settings, Scalars codes) {
    return invoke(management_path(host_.name()), "GetSummaryInformation",
                  input({{"SettingData", std::move(settings)}, {"RequestedInformation", std::move(codes)}}));
  }
  static std::vector<cim::Instance> objects(const cim::Value& value) {
    std::vector<cim::Instance> found;
    if (const auto* all = value.array())
      for (const auto& one : *all) found.push_back(*std::get<std::shared_ptr<const cim::Instance>>(one));
    return found;
  }
  static std::vector<cim::Instance> summaries(const cim::InvokeResult& result) {
    EXPECT_EQ(result.return_value, 0U) << (result.error ? result.error->text() : "");
    return objects(result.out.get("SummaryInformation"));
  }
  static cim::ObjectPath settings(const Uuid& id) {
    return instance_path("Msvm_VirtualSystemSettingData", settings_id(id));
  }
};

TEST_F(SummaryTest, OneForEachVm) {
  const auto all = summaries(ask({}, {}));
  ASSERT_EQ(all.size(), 3U);
  const cim::Instance& web = all[2];
  EXPECT_TRUE(cim::conforms(web));
  EXPECT_EQ(web.get("ElementName").text(), "web");
  EXPECT_EQ(web.get("ReplicationMode").number(), 2U);
  EXPECT_EQ(std::get<uint64_t>(web.get("ReplicationStateEx").array()->at(0)), 3U);
  EXPECT_EQ(web.get("NumberOfProcessors").number(), 2U);
  EXPECT_TRUE(web.get("TestReplicaSystem").null());
  EXPECT_EQ(objects(web.get("Snapshots")).size(), 2U);
  EXPECT_EQ(objects(all[1].get("AsynchronousTasks")).size(), 2U);
  EXPECT_EQ(all[0].get("MemoryUsage").number(), 1024U);
  EXPECT_EQ(associated(vm_path(kReplica), "Msvm_SummaryInformation").get("Name").text(), kReplica.upper());
}

TEST_F(SummaryTest, AnyCodeOfReplicationFillsAllOfIt) {
  for (const uint64_t code : {114U, 116U, 119U, 123U}) {
    const auto one = summaries(ask({settings(kReplica)}, {uint64_t{1}, code}));
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0].get("ElementName").text(), "web");
    EXPECT_EQ(one[0].get("ReplicationState").number(), 3U);
    EXPECT_EQ(one[0].get("ReplicationHealth").number(), 1U);
    EXPECT_EQ(one[0].get("ReplicationMode").number(), 2U);
    EXPECT_TRUE(one[0].get("Name").null());
    EXPECT_TRUE(one[0].get("Snapshots").null());
  }
}

TEST_F(SummaryTest, OfAPointAndOfNothing) {
  const auto point = summaries(ask({settings(kNewPoint), settings(kRunning)}, {}));
  ASSERT_EQ(point.size(), 2U);
  EXPECT_EQ(point[0].get("Name").text(), kReplica.upper());
  EXPECT_EQ(point[0].get("CreationTime").datetime(), cim::DateTime::at(ago(14)));
  EXPECT_EQ(point[1].get("ElementName").text(), "alone");
  EXPECT_EQ(ask({vm_path(kReplica)}, {}).return_value, 32773U);
  EXPECT_EQ(ask({settings(*Uuid::parse("eeeeeeee-0000-4000-8000-000000000009"))}, {}).return_value, 32773U);
  host_.libvirt_is_down = true;
  EXPECT_EQ(ask({}, {}).return_value, 32777U);
}

TEST_F(SummaryTest, OtherMethodsAnswerFromTheirOwnSet) {
  const auto refused =
      invoke(management_path(host_.name()), "DestroySystem", input({{"AffectedSystem", vm_path(kReplica)}}));
  EXPECT_EQ(refused.return_value, 1U);
  EXPECT_EQ(refused.error->code(), ErrorCode::not_supported);
}

}  // namespace
}  // namespace understudy::providers
