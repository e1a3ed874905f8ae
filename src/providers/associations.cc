// The links between objects.
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

struct End {
  const char* role;
  cim::ObjectPath path;
};
cim::Instance link(std::string_view class_name, End one, End other) {
  cim::Instance i = with_defaults(class_name);
  i.set(one.role, std::move(one.path)).set(other.role, std::move(other.path));
  return i;
}
cim::ObjectPath settings_path(const Uuid& vm_or_point) {
  return instance_path("Msvm_VirtualSystemSettingData", settings_id(vm_or_point));
}
cim::ObjectPath relationship_path(const Uuid& vm) {
  return instance_path("Msvm_ReplicationRelationship", relationship_id(vm));
}
cim::ObjectPath replication_settings_path(const Uuid& vm) {
  return instance_path("Msvm_ReplicationSettingData", relationship_id(vm));
}
cim::Value effects(uint64_t effect) {
  return cim::Value(std::vector<cim::Value::Scalar>{effect});
}

}  // namespace

void hosted_service(Host& host, Instances& out) {
  for (const cim::ObjectPath& service : {service_path(host.name()), management_path(host.name())})
    out.push_back(
        link("Msvm_HostedService", {"Antecedent", system_path(host.name())}, {"Dependent", service}));
}

void service_element_settings(Host& host, Instances& out) {
  const auto add = [&](const char* class_name, std::string id) {
    out.push_back(link("Msvm_ElementSettingData", {"ManagedElement", service_path(host.name())},
                       {"SettingData", instance_path(class_name, std::move(id))}));
  };
  add("Msvm_ReplicationServiceSettingData", service_settings_id(host.name()));
  for (const AuthorizationEntry& entry : host.authorization_entries())
    add("Msvm_ReplicationAuthorizationSettingData",
        authorization_id(host.name(), entry.allowed_primary_host_system));
}

void service_affects(Host& host, const VmView& view, Instances& out) {
  out.push_back(link("Msvm_ServiceAffectsElement", {"AffectingElement", service_path(host.name())},
                     {"AffectedElement", vm_path(view.vm.id)}));
}

void system_relationship(Host&, const VmView& view, Instances& out) {
  out.push_back(link("Msvm_SystemReplicationRelationship", {"Antecedent", vm_path(view.vm.id)},
                     {"Dependent", relationship_path(view.vm.id)}));
}

void settings_define_state(Host&, const VmView& view, Instances& out) {
  const Uuid& vm = view.vm.id;
  const auto add = [&](cim::ObjectPath element, cim::ObjectPath settings) {
    out.push_back(link("Msvm_SettingsDefineState", {"ManagedElement", std::move(element)},
                       {"SettingData", std::move(settings)}));
  };
  add(vm_path(vm), settings_path(vm));
  add(vm_path(vm), replication_settings_path(vm));
  add(relationship_path(vm), replication_settings_path(vm));
}

void snapshots_of_system(Host&, const VmView& view, Instances& out) {
  for (const RecoveryPoint& point : view.points)
    out.push_back(link("Msvm_SnapshotOfVirtualSystem", {"Antecedent", vm_path(view.vm.id)},
                       {"Dependent", settings_path(point.id)}));
}

void most_current_snapshot(Host&, const VmView& view, Instances& out) {
  if (view.points.empty()) return;
  out.push_back(link("Msvm_MostCurrentSnapshotInBranch", {"Antecedent", vm_path(view.vm.id)},
                     {"Dependent", settings_path(view.points.back().id)}));
}

void last_applied_snapshot(Host&, const VmView& view, Instances& out) {
  if (const RecoveryPoint* point = applied_point(view))
    out.push_back(link("Msvm_LastAppliedSnapshot", {"Antecedent", settings_path(point->id)},
                       {"Dependent", vm_path(view.vm.id)}));
}

void affected_by_job(Host&, const VmView& view, Instances& out) {
  for (const Job& job : view.state.jobs) {
    cim::Instance i = link("Msvm_AffectedJobElement",
                           {"AffectingElement", instance_path("Msvm_ConcreteJob", job.id.upper())},
                           {"AffectedElement", vm_path(view.vm.id)});
    out.push_back(std::move(i.set("ElementEffects", effects(0))));
  }
}

void settings_components(Host& host, const VmView& view, Instances& out) {
  const auto add = [&](const char* class_name, std::string id) {
    out.push_back(link("Msvm_VirtualSystemSettingDataComponent",
                       {"GroupComponent", settings_path(view.vm.id)},
                       {"PartComponent", instance_path(class_name, std::move(id))}));
  };
  if (view.vm.vcpus > 0) add("Msvm_ProcessorSettingData", processor_id(view.vm.id));
  if (view.vm.memory_kib > 0) add("Msvm_MemorySettingData", memory_id(view.vm.id));
  for (const DiskGeometry& disk : known_disks(view))
    add("Msvm_StorageAllocationSettingData", disk_id(view.vm.id, disk.target));
  for (const VmNic& card : cards_of(host, view))
    add("Msvm_SyntheticEthernetPortSettingData", card_id(view.vm.id, card.mac));
}

void hosted_system(Host& host, const VmView& view, Instances& out) {
  out.push_back(link("Msvm_HostedDependency", {"Antecedent", system_path(host.name())},
                     {"Dependent", vm_path(view.vm.id)}));
}

void summary_of_system(Host&, const VmView& view, Instances& out) {
  out.push_back(link("Msvm_ComputerSystemSummaryInformation", {"Antecedent", vm_path(view.vm.id)},
                     {"Dependent", instance_path("Msvm_SummaryInformation", settings_id(view.vm.id))}));
}

void failover_components(Host& host, const VmView& view, Instances& out) {
  for (const VmNic& card : cards_of(host, view)) {
    const std::string id = card_id(view.vm.id, card.mac);
    out.push_back(
        link("Msvm_EthernetPortFailoverSettingDataComponent",
             {"GroupComponent", instance_path("Msvm_SyntheticEthernetPortSettingData", id)},
             {"PartComponent", instance_path("Msvm_FailoverNetworkAdapterSettingData", failover_id(id))}));
  }
}

}  // namespace understudy::providers
