#include "providers/providers.h"

#include "cim/typed.h"
#include "providers/instances.h"
#include "providers/methods.h"

namespace understudy::providers {
namespace {

using OfHost = void (*)(Host&, Instances&);
using OfVm = void (*)(Host&, const VmView&, Instances&);

struct Entry {
  const char* class_name;
  OfHost of_host = nullptr;
  OfVm of_vm = nullptr;
  Methods methods = nullptr;
};

constexpr Entry kClasses[] = {
    {"Msvm_ComputerSystem", system_of_host, system, system_methods},
    {"Msvm_ReplicationService", service_of_host, nullptr, service_methods},
    {"Understudy_ReplicationService", own_service_of_host, nullptr, own_service_methods},
    {"Msvm_ReplicationServiceSettingData", service_settings_of_host},
    {"Msvm_ReplicationAuthorizationSettingData", authorizations_of_host},
    {"Msvm_ReplicationProvider", provider_of_host},
    {"Msvm_ReplicationSettingData", nullptr, replication_settings},
    {"Msvm_ReplicationRelationship", nullptr, relationship},
    {"Msvm_ConcreteJob", nullptr, jobs, job_methods},
    {"Msvm_VirtualSystemSettingData", nullptr, system_settings},
    {"Msvm_StorageAllocationSettingData", nullptr, disks},
    {"Understudy_ReplicationStatus", nullptr, status},
    {"Understudy_RecoveryPoint", nullptr, recovery_points},
    {"Understudy_ConcreteJobDetail", nullptr, job_details},
    {"Msvm_HostedService", hosted_service},
    {"Msvm_ElementSettingData", service_element_settings},
    {"Msvm_ServiceAffectsElement", nullptr, service_affects},
    {"Msvm_SystemReplicationRelationship", nullptr, system_relationship},
    {"Msvm_SettingsDefineState", nullptr, settings_define_state},
    {"Msvm_SnapshotOfVirtualSystem", nullptr, snapshots_of_system},
    {"Msvm_MostCurrentSnapshotInBranch", nullptr, most_current_snapshot},
    {"Msvm_LastAppliedSnapshot", nullptr, last_applied_snapshot},
    {"Msvm_AffectedJobElement", nullptr, affected_by_job},
    {"Msvm_VirtualSystemSettingDataComponent", nullptr, settings_components},
};

class ClassProvider final : public cim::Provider {
 public:
  ClassProvider(const Entry& entry, Host& host, cim::XmlParser parse_xml)
      : entry_(entry), host_(host), parse_xml_(std::move(parse_xml)) {}

  std::string_view class_name() const override { return entry_.class_name; }

  Result<Instances> enumerate(const cim::Context&) override {
    Instances all = of_host();
    if (!entry_.of_vm) return all;
    US_TRY(const std::vector<VmView> views, host_.vms());
    for (const VmView& view : views) entry_.of_vm(host_, view, all);
    return all;
  }

  // What belongs to the host is found even when libvirt does not answer.
  Result<std::optional<cim::Instance>> get(const cim::Context& context,
                                           const cim::ObjectPath& path) override {
    for (cim::Instance& instance : of_host())
      if (cim::path_of(instance).same(path)) return std::optional(std::move(instance));
    return entry_.of_vm ? Provider::get(context, path) : std::optional<cim::Instance>();
  }

  Result<cim::InvokeResult> invoke(const cim::Context& context, const cim::ObjectPath& path,
                                   const cim::Instance& instance, std::string_view method,
                                   const cim::Instance& parameters) override {
    if (!entry_.methods) return Provider::invoke(context, path, instance, method, parameters);
    return entry_.methods({host_, parse_xml_, path, instance, method, parameters});
  }

 private:
  Instances of_host() {
    Instances found;
    if (entry_.of_host) entry_.of_host(host_, found);
    return found;
  }

  const Entry& entry_;
  Host& host_;
  const cim::XmlParser parse_xml_;
};

}  // namespace

void register_providers(cim::ObjectManager& manager, Host& host, cim::XmlParser parse_xml) {
  for (const Entry& entry : kClasses) manager.add(std::make_unique<ClassProvider>(entry, host, parse_xml));
}

}  // namespace understudy::providers
