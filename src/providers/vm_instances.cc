// A VM as a system: itself, its settings, its recovery points and its disks.
#include <map>

#include "base/assert.h"
#include "cim/schema.h"
#include "cim/typed.h"
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

constexpr uint64_t kSector = 512;

struct Shown {
  uint64_t enabled_state;  // CIM_EnabledLogicalElement.EnabledState
  const char* description;
};
Shown shown(const VmView& view) {
  if (!view.listed) return {0, "libvirt does not list this VM"};
  switch (view.vm.power) {
    case core::VmPower::off:
      return {3, "Operating normally"};
    case core::VmPower::running:
      return {2, "Operating normally"};
    case core::VmPower::paused:
      return {9, "Operating normally"};
    case core::VmPower::other:
      break;
  }
  return {1, "In a state that is neither on, off nor paused"};
}

const char* system_type(PointType type) {
  switch (type) {
    case PointType::application_consistent:
      return "Microsoft:Hyper-V:Snapshot:Replica:ApplicationConsistent";
    case PointType::planned:
      return "Microsoft:Hyper-V:Snapshot:Replica:PlannedFailover";
    default:
      return "Microsoft:Hyper-V:Snapshot:Replica:Standard";
  }
}

const char* keep_note(PointKeep keep) {
  switch (keep) {
    case PointKeep::hourly:
      return "Kept as an hourly point";
    case PointKeep::on_demand:
      return "Kept because it was asked for";
    case PointKeep::no:
      break;
  }
  return nullptr;
}

cim::Instance settings_base(const VmView& view, const Uuid& id, const char* type) {
  cim::Instance i = with_defaults("Msvm_VirtualSystemSettingData");
  i.set("InstanceID", settings_id(id)).set("ConfigurationID", id.upper());
  i.set("VirtualSystemIdentifier", view.vm.id.upper()).set("VirtualSystemType", type);
  i.set("IsSaved", false);
  return i;
}

// What the schema says, read once.
cim::Instance made_of_defaults(const cim::ClassDecl& decl) {
  cim::Instance instance{std::string(decl.name)};
  for (const cim::PropertyDecl& p : decl.properties) {
    if (!p.has_default) continue;
    std::vector<cim::Value::Scalar> values;
    std::string_view rest = p.default_value;
    for (bool more = true; more;) {
      const size_t comma = p.array ? rest.find(',') : std::string_view::npos;
      auto value = cim::scalar_from_text(p.type, rest.substr(0, comma));
      US_ASSERT(value.has_value());
      values.push_back(std::move(*value));
      more = comma != std::string_view::npos;
      if (more) rest.remove_prefix(comma + 1);
    }
    if (p.array)
      instance.set(p.name, cim::Value(std::move(values)));
    else
      instance.set(p.name, std::visit([](auto v) { return cim::Value(std::move(v)); }, values.front()));
  }
  return instance;
}

}  // namespace

cim::Instance with_defaults(std::string_view class_name) {
  static const std::map<std::string_view, cim::Instance, cim::NameLess> all = [] {
    std::map<std::string_view, cim::Instance, cim::NameLess> made;
    for (const cim::ClassDecl& decl : cim::all_classes()) made.emplace(decl.name, made_of_defaults(decl));
    return made;
  }();
  const auto found = all.find(class_name);
  US_ASSERT(found != all.end());
  return found->second;
}

cim::Value array_of(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  return cim::Value(std::vector<cim::Value::Scalar>(texts.begin(), texts.end()));
}

void system(Host&, const VmView& view, Instances& out) {
  const core::State& s = view.state;
  const Shown power = shown(view);
  cim::Instance i = with_defaults("Msvm_ComputerSystem");
  i.set("CreationClassName", "Msvm_ComputerSystem").set("Name", view.vm.id.upper());
  i.set("ElementName", view.vm.name).set("Caption", "Virtual Machine");
  i.set("Description", "Microsoft Virtual Machine");
  // Clients tell the host from a VM by InstallDate being NULL; when a VM was made is not known.
  i.set("InstallDate", cim::DateTime::at(Wall{}));
  i.set("EnabledState", power.enabled_state).set("RequestedState", 5U);
  i.set("OperationalStatus", std::vector<cim::Value::Scalar>{uint64_t{view.listed ? 2U : 3U}});
  i.set("StatusDescriptions", array_of({power.description})).set("Status", view.listed ? "OK" : "Degraded");
  if (view.vm.process_id > 0) i.set("ProcessID", view.vm.process_id);
  if (power.enabled_state == 3) i.set("OnTimeInMilliseconds", 0U);
  i.set("NumberOfNumaNodes", 1U).set("EnhancedSessionModeState", 3U);

  const auto state = core::published_state(s);
  i.set("ReplicationMode", static_cast<unsigned>(core::mode_of(s)));
  i.set("ReplicationState", static_cast<unsigned>(state));
  i.set("ReplicationHealth", static_cast<unsigned>(view.health.level));
  i.set("FailedOverReplicationType", static_cast<unsigned>(failed_over_type(s)));
  i.set("LastReplicationType", static_cast<unsigned>(s.times.last_type));
  i.set("LastReplicationTime", cim::DateTime::at(s.times.last_replication));
  i.set("LastApplicationConsistentReplicationTime", cim::DateTime::at(last_application_consistent(view)));
  out.push_back(std::move(i));
}

void system_settings(Host&, const VmView& view, Instances& out) {
  cim::Instance realized = settings_base(view, view.vm.id, "Microsoft:Hyper-V:System:Realized");
  realized.set("ElementName", view.vm.name);
  realized.set("AutomaticStartupAction", view.vm.autostart ? 4U : 2U);
  const RecoveryPoint* under = applied_point(view);
  if (!under && !view.points.empty()) under = &view.points.back();
  if (under) realized.set("Parent", instance_path(realized.class_name(), settings_id(under->id)).text());
  out.push_back(std::move(realized));

  const RecoveryPoint* before = nullptr;
  for (const RecoveryPoint& point : view.points) {
    cim::Instance i = settings_base(view, point.id, system_type(point.type));
    i.set("Caption", "Recovery Point").set("Description", "Received " + iso_time(point.received));
    i.set("ElementName", view.vm.name + " - (" + iso_time(point.cut) + ")");
    i.set("CreationTime", cim::DateTime::at(point.cut));
    if (const char* note = keep_note(point.keep)) i.set("Notes", array_of({note}));
    if (before) i.set("Parent", instance_path(i.class_name(), settings_id(before->id)).text());
    before = &point;
    out.push_back(std::move(i));
  }
}

std::vector<DiskGeometry> known_disks(const VmView& view) {
  if (!view.state.disks.empty()) return view.state.disks;
  std::vector<DiskGeometry> disks;
  for (const VmDisk& disk : view.state.definition.disks) disks.push_back({disk.target, disk.size});
  return disks;
}

cim::Instance disk_instance(const Uuid& vm, const DiskGeometry& disk) {
  cim::Instance i = with_defaults("Msvm_StorageAllocationSettingData");
  i.set("InstanceID", disk_id(vm, disk.target)).set("ElementName", "Hard Disk Image " + disk.target);
  i.set("ResourceType", 31U).set("ResourceSubType", "Microsoft:Hyper-V:Virtual Hard Disk");
  i.set("Address", disk.target).set("AllocationUnits", "count(fixed size block)");
  i.set("VirtualResourceBlockSize", kSector).set("VirtualQuantity", disk.size / kSector);
  i.set("Reservation", disk.size / kSector).set("Limit", disk.size / kSector);
  return i;
}

// Nothing of a VM that only the engine knows: what it had is in its definition, not what it has.
void processors(Host&, const VmView& view, Instances& out) {
  if (view.vm.vcpus == 0) return;
  cim::Instance i = with_defaults("Msvm_ProcessorSettingData");
  i.set("InstanceID", processor_id(view.vm.id)).set("ElementName", "Processor");
  i.set("VirtualQuantity", view.vm.vcpus).set("VirtualQuantityUnits", "count");
  out.push_back(std::move(i));
}

void memory(Host&, const VmView& view, Instances& out) {
  if (view.vm.memory_kib == 0) return;
  const uint64_t mib = view.vm.memory_kib / 1024;
  cim::Instance i = with_defaults("Msvm_MemorySettingData");
  i.set("InstanceID", memory_id(view.vm.id)).set("ElementName", "Memory");
  i.set("VirtualQuantity", mib).set("Reservation", mib).set("Limit", mib);
  i.set("DynamicMemoryEnabled", false);
  out.push_back(std::move(i));
}

void disks(Host&, const VmView& view, Instances& out) {
  for (const DiskGeometry& disk : known_disks(view)) out.push_back(disk_instance(view.vm.id, disk));
}

}  // namespace understudy::providers
