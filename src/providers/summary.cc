// Msvm_SummaryInformation, and the service that gives it: one look at a VM, for lists of many.
#include <algorithm>
#include <set>

#include "cim/schema.h"
#include "providers/instances.h"
#include "providers/methods.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

using cim::Value;
using Codes = std::set<uint64_t>;

// What a code of RequestedInformation fills in. The documented names are off by one from 117 on, so each of
// 114 to 123 stands for everything about replication.
struct Field {
  uint64_t low, high;
  std::string_view property;
};
constexpr Field kFields[] = {{0, 0, "Name"},
                             {1, 1, "ElementName"},
                             {2, 2, "CreationTime"},
                             {3, 3, "Notes"},
                             {4, 4, "NumberOfProcessors"},
                             {100, 100, "EnabledState"},
                             {103, 103, "MemoryUsage"},
                             {107, 107, "Snapshots"},
                             {108, 108, "AsynchronousTasks"},
                             {109, 109, "HealthState"},
                             {110, 110, "OperationalStatus"},
                             {111, 111, "StatusDescriptions"},
                             {114, 123, "ReplicationMode"},
                             {114, 123, "ReplicationState"},
                             {114, 123, "ReplicationHealth"},
                             {114, 123, "ReplicationStateEx"},
                             {114, 123, "ReplicationHealthEx"},
                             {114, 123, "ReplicationProviderId"}};

Value objects(const Instances& instances) {
  std::vector<Value::Scalar> all;
  for (const cim::Instance& one : instances) all.emplace_back(std::make_shared<const cim::Instance>(one));
  return all.empty() ? Value() : Value(std::move(all));
}

Value one_number(const Value& number) {
  return Value(std::vector<Value::Scalar>{number.number().value_or(0)});
}

// Everything that is known of a VM.
cim::Instance summary_of(Host& host, const VmView& view) {
  Instances found;
  system(host, view, found);
  const cim::Instance vm = std::move(found.front());
  cim::Instance i = with_defaults("Msvm_SummaryInformation");
  i.set("InstanceID", settings_id(view.vm.id)).set("HostComputerSystemName", host.name());
  for (const char* same :
       {"Name", "ElementName", "EnabledState", "OperationalStatus", "StatusDescriptions", "HealthState",
        "EnhancedSessionModeState", "ReplicationMode", "ReplicationState", "ReplicationHealth"})
    i.set(same, vm.get(same));
  i.set("ReplicationStateEx", one_number(vm.get("ReplicationState")));
  i.set("ReplicationHealthEx", one_number(vm.get("ReplicationHealth")));
  i.set("ReplicationProviderId", array_of({std::string(kProviderName)}));
  if (view.vm.vcpus > 0) i.set("NumberOfProcessors", view.vm.vcpus);
  if (view.vm.power == core::VmPower::running) i.set("MemoryUsage", view.vm.memory_kib / 1024);

  Instances settings, tasks;
  system_settings(host, view, settings);
  settings.erase(settings.begin());  // the realized one; the rest are the recovery points
  jobs(host, view.state, tasks);
  i.set("Snapshots", objects(settings)).set("AsynchronousTasks", objects(tasks));
  return i;
}

// One of the settings of this VM: its own, or those of a recovery point.
cim::Instance summary_of(Host& host, const VmView& view, const Uuid& id) {
  cim::Instance i = summary_of(host, view);
  const auto point = std::ranges::find(view.points, id, &RecoveryPoint::id);
  if (point == view.points.end()) return i;
  Instances settings;
  system_settings(host, view, settings);
  const cim::Instance& own = settings[1 + static_cast<size_t>(point - view.points.begin())];
  i.set("InstanceID", own.get("InstanceID")).set("ElementName", own.get("ElementName"));
  i.set("CreationTime", own.get("CreationTime"));
  return i.set("Snapshots", Value()).set("AsynchronousTasks", Value());
}

cim::Instance restricted(const cim::Instance& whole, const Codes& codes) {
  cim::Instance i = with_defaults(whole.class_name());
  i.set("InstanceID", whole.get("InstanceID"));
  for (const Field& field : kFields)
    if (codes.lower_bound(field.low) != codes.upper_bound(field.high))
      i.set(field.property, whole.get(field.property));
  return i;
}

// No SettingData: one for each VM, in no order that a client may count on.
Result<Instances> wanted_summaries(const Call& call) {
  Instances found;
  const std::vector<Value::Scalar>* references = call.parameters.get("SettingData").array();
  if (!references || references->empty()) {
    US_TRY(const std::vector<VmView> views, call.host.vms());
    for (const VmView& view : views) found.push_back(summary_of(call.host, view));
    return found;
  }
  for (const Value::Scalar& one : *references) {
    const auto* path = std::get_if<cim::ObjectPath>(&one);
    const auto key = path ? path->keys.find("InstanceID") : decltype(path->keys.end())();
    const auto id = path && key != path->keys.end() ? settings_guid(key->second) : std::nullopt;
    if (!id || !cim::is_a("Msvm_VirtualSystemSettingData", path->class_name))
      return fail(ErrorCode::invalid_parameter,
                  "SettingData holds a path that is none of Msvm_VirtualSystemSettingData");
    const Uuid vm = call.host.vm_of_point(*id).value_or(*id);
    US_TRY(const VmView view, view_of(call, vm));
    found.push_back(summary_of(call.host, view, *id));
  }
  return found;
}

Result<cim::InvokeResult> get_summary_information(const Call& call) {
  Codes codes;
  if (const auto* requested = call.parameters.get("RequestedInformation").array())
    for (const Value::Scalar& code : *requested) codes.insert(std::get<uint64_t>(code));
  US_TRY(Instances found, wanted_summaries(call));
  if (!codes.empty())
    for (cim::Instance& one : found) one = restricted(one, codes);
  cim::InvokeResult result;
  result.out.set("SummaryInformation", objects(found));
  return result;
}

}  // namespace

void summary(Host& host, const VmView& view, Instances& out) {
  out.push_back(summary_of(host, view));
}

void management_service_of_host(Host& host, Instances& out) {
  cim::Instance i = with_defaults("Msvm_VirtualSystemManagementService");
  out.push_back(std::move(i.set("SystemName", host.name())));
}

Result<cim::InvokeResult> management_methods(const Call& call) {
  return call.method == "GetSummaryInformation" ? get_summary_information(call) : not_supported(call);
}

}  // namespace understudy::providers
