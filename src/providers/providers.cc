#include "providers/providers.h"

#include "base/limits.h"
#include "cim/typed.h"
#include "providers/instances.h"
#include "providers/methods.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

using OfHost = void (*)(Host&, Instances&);
using OfVm = void (*)(Host&, const VmView&, Instances&);
using OfEngine = void (*)(Host&, const core::State&, Instances&);

struct Entry {
  const char* class_name;
  OfHost of_host = nullptr;
  OfVm of_vm = nullptr;
  Methods methods = nullptr;
  bool host_end = false;         // a link of a VM whose other end is an object of the host
  OfEngine of_engine = nullptr;  // in place of of_vm: what needs no word of libvirt
};

constexpr Entry kClasses[] = {
    {"Msvm_ComputerSystem", system_of_host, system, system_methods},
    {"Msvm_ReplicationService", service_of_host, nullptr, service_methods},
    {"Understudy_ReplicationService", own_service_of_host, nullptr, own_service_methods},
    {"Msvm_VirtualSystemManagementService", management_service_of_host, nullptr, management_methods},
    {"Msvm_ReplicationServiceSettingData", service_settings_of_host},
    {"Msvm_ReplicationAuthorizationSettingData", authorizations_of_host},
    {"Msvm_ReplicationProvider", provider_of_host},
    {"Msvm_ReplicationSettingData", nullptr, replication_settings},
    {"Msvm_ReplicationRelationship", nullptr, relationship},
    {"Msvm_ConcreteJob", nullptr, nullptr, job_methods, false, jobs},
    {"Msvm_VirtualSystemSettingData", nullptr, system_settings},
    {"Msvm_StorageAllocationSettingData", nullptr, disks},
    {"Msvm_ProcessorSettingData", nullptr, processors},
    {"Msvm_MemorySettingData", nullptr, memory},
    {"Msvm_SummaryInformation", nullptr, summary},
    {"Msvm_SyntheticEthernetPortSettingData", nullptr, network_cards},
    {"Msvm_FailoverNetworkAdapterSettingData", nullptr, failover_networks},
    {"Understudy_ReplicationStatus", nullptr, status},
    {"Understudy_RecoveryPoint", nullptr, recovery_points},
    {"Understudy_ConcreteJobDetail", nullptr, nullptr, nullptr, false, job_details},
    {"Msvm_HostedService", hosted_service},
    {"Msvm_HostedDependency", nullptr, hosted_system, nullptr, true},
    {"Msvm_ComputerSystemSummaryInformation", nullptr, summary_of_system},
    {"Msvm_ElementSettingData", service_element_settings},
    {"Msvm_ServiceAffectsElement", nullptr, service_affects, nullptr, true},
    {"Msvm_SystemReplicationRelationship", nullptr, system_relationship},
    {"Msvm_SettingsDefineState", nullptr, settings_define_state},
    {"Msvm_SnapshotOfVirtualSystem", nullptr, snapshots_of_system},
    {"Msvm_MostCurrentSnapshotInBranch", nullptr, most_current_snapshot},
    {"Msvm_LastAppliedSnapshot", nullptr, last_applied_snapshot},
    {"Msvm_AffectedJobElement", nullptr, affected_by_job},
    {"Msvm_VirtualSystemSettingDataComponent", nullptr, settings_components},
    {"Msvm_EthernetPortFailoverSettingDataComponent", nullptr, failover_components},
};

// Where objects with these keys belong: to one VM, to the host (known, and no VM), or it cannot be told.
struct Owner {
  bool known = false;
  std::optional<Uuid> vm;
};
Owner owner_of(Host& host, const cim::ObjectPath& path);

Owner owner_by_id(Host& host, const std::string& instance_id) {
  if (const auto job = Uuid::parse(instance_id)) return {true, host.vm_of_job(*job)};
  const auto guid = leading_guid(instance_id);
  if (!guid) return {true, std::nullopt};
  // Only the settings of a recovery point begin with another GUID than the VM's, and have nothing behind it.
  const auto of_point = settings_guid(instance_id) ? host.vm_of_point(*guid) : std::nullopt;
  return {true, of_point ? of_point : guid};
}

// A link belongs to the VM at one of its ends.
Owner owner_of_link(Host& host, const cim::ObjectPath& path) {
  for (const auto& [role, text] : path.keys)
    if (const auto end = cim::ObjectPath::parse(text))
      if (const Owner owner = owner_of(host, *end); owner.vm) return owner;
  return {};
}

Owner owner_of(Host& host, const cim::ObjectPath& path) {
  const cim::ClassDecl* decl = cim::find_class(path.class_name);
  if (decl && decl->association) return owner_of_link(host, path);
  if (cim::is_a(path.class_name, "CIM_Service")) return {true, std::nullopt};
  const bool system = cim::is_a(path.class_name, "CIM_System");
  const auto key = path.keys.find(system ? "Name" : "InstanceID");
  if (key == path.keys.end()) return {};
  if (!system) return owner_by_id(host, key->second);
  const auto vm = Uuid::parse(key->second);
  return {true, vm ? std::optional(*vm) : std::nullopt};
}

class ClassProvider final : public cim::Provider {
 public:
  ClassProvider(const Entry& entry, Host& host, cim::XmlParser parse_xml)
      : entry_(entry), host_(host), parse_xml_(std::move(parse_xml)) {}

  std::string_view class_name() const override { return entry_.class_name; }

  Result<Instances> enumerate(const cim::Context&) override { return all_of({}); }

  Result<Instances> candidates(const cim::Context&, const cim::ObjectPath& keys) override {
    return all_of(owner_of(host_, keys));
  }

  // What belongs to the host is found even when libvirt does not answer.
  Result<std::optional<cim::Instance>> get(const cim::Context& context,
                                           const cim::ObjectPath& path) override {
    for (cim::Instance& instance : of_host())
      if (cim::path_of(instance).same(path)) return std::optional(std::move(instance));
    return entry_.of_vm || entry_.of_engine ? Provider::get(context, path) : std::optional<cim::Instance>();
  }

  Result<Instances> references(const cim::Context&, const cim::ObjectPath& object) override {
    const Owner owner = owner_of(host_, object);
    return all_of(entry_.host_end && !owner.vm ? Owner() : owner);
  }

  Result<cim::InvokeResult> invoke(const cim::Context& context, const cim::ObjectPath& path,
                                   const cim::Instance& instance, std::string_view method,
                                   const cim::Instance& parameters) override {
    if (!entry_.methods) return Provider::invoke(context, path, instance, method, parameters);
    return entry_.methods({host_, parse_xml_, path, instance, method, parameters});
  }

 private:
  // The host's, and those of the owner, or of every VM when it cannot be told.
  Result<Instances> all_of(const Owner& owner) {
    Instances found = of_host();
    if (owner.known && !owner.vm) return found;
    if (entry_.of_engine)
      for (const core::State& state : host_.engines(owner.vm)) entry_.of_engine(host_, state, found);
    if (!entry_.of_vm) return found;
    if (owner.vm) {
      const auto view = host_.vm(*owner.vm, limits::kHypervisorRead);
      if (view)
        entry_.of_vm(host_, *view, found);
      else if (view.error().code() != ErrorCode::not_found)
        return fail(view.error());
      return found;
    }
    US_TRY(const std::vector<VmView> views, host_.vms());
    for (const VmView& view : views) entry_.of_vm(host_, view, found);
    return found;
  }

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
