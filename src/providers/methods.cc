// What all methods share, and those of systems and jobs.
#include "providers/methods.h"

#include <algorithm>

#include "cim/embedded.h"
#include "cim/schema.h"
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

// CIM_ConcreteJob and CIM_EnabledLogicalElement have their own small set.
constexpr uint32_t kNotSupported = 1, kNotInTime = 3, kFailed = 4, kInvalidParameter = 5,
                   kInvalidTransition = 4097;

tl::unexpected<Error> invalid_parameter(std::string what, std::string hint = {}) {
  return fail(ErrorCode::invalid_parameter, std::move(what), std::move(hint));
}

bool in_value_map(std::string_view class_name, std::string_view method, std::string_view parameter,
                  uint64_t number) {
  const cim::ParameterDecl* decl = cim::find_class(class_name)->method(method)->parameter(parameter);
  for (const cim::ValueName& v : decl->values)
    if (static_cast<int64_t>(number) >= v.low && static_cast<int64_t>(number) <= v.high) return true;
  return false;
}

// One of those that the method's value map has.
Result<uint64_t> requested_state(const Call& call) {
  const auto state = call.parameters.get("RequestedState").number();
  if (!state) return invalid_parameter("RequestedState is missing");
  if (!in_value_map(call.target.class_name, call.method, "RequestedState", *state))
    return invalid_parameter("RequestedState " + std::to_string(*state) + " is not known");
  return *state;
}

struct JobOfVm {
  Uuid vm;
  Job job;
};
Result<JobOfVm> target_job(const Call& call) {
  const std::string name = call.target_instance.get("InstanceID").text().value_or("");
  const auto id = Uuid::parse(name);
  if (const auto vm = id ? call.host.vm_of_job(*id) : std::nullopt) {
    for (const core::State& state : call.host.engines(vm)) {
      const auto found = std::ranges::find(state.jobs, *id, &Job::id);
      if (found != state.jobs.end()) return JobOfVm{*vm, *found};
    }
  }
  return fail(ErrorCode::not_found, "there is no job " + name + " any more");
}

// Whole numbers of the error's own set are the same in every answer, so a job tells as much as a method.
Result<cim::InvokeResult> get_error(const Call& call) {
  US_TRY(const JobOfVm found, target_job(call));
  cim::InvokeResult result;
  if (!found.job.error) return result;
  const std::string text = cim::format_embedded(error_instance(*found.job.error, vm_path(found.vm)));
  if (call.method == "GetError")
    result.out.set("Error", text);
  else
    result.out.set("Errors", array_of({text}));
  return result;
}

uint32_t state_change_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_supported:
      return kNotSupported;
    case ErrorCode::invalid_parameter:
      return kInvalidParameter;
    case ErrorCode::timeout:
      return kNotInTime;
    case ErrorCode::invalid_state:
    case ErrorCode::not_found:
      return kInvalidTransition;
    default:
      return kFailed;
  }
}

MethodResult change_job(const Call& call) {
  constexpr uint64_t kTerminate = 4;
  US_TRY(const uint64_t state, requested_state(call));
  if (state != kTerminate)
    return fail(ErrorCode::not_supported,
                "RequestedState " + std::to_string(state) + " of a job is not supported",
                "4 terminates it, where that is possible");
  US_TRY(const JobOfVm found, target_job(call));
  return call.host.cancel_job(found.vm, found.job.id);
}

Result<cim::InvokeResult> change_job_state(const Call& call) {
  const MethodResult changed = change_job(call);
  if (!changed) return refused(state_change_code(changed.error().code()), changed.error());
  return cim::InvokeResult{};
}

Result<Uuid> target_vm(const Call& call) {
  const auto name = call.target_instance.get("Name").text().value_or("");
  auto vm = Uuid::parse(name);
  if (!vm)
    return fail(ErrorCode::not_supported,
                "'" + name + "' is the host: " + std::string(call.method) + " is for VMs");
  return vm;
}

Result<cim::InvokeResult> request_power(const Call& call) {
  US_TRY(const uint64_t state, requested_state(call));
  US_TRY(const Uuid vm, target_vm(call));
  if (state != 2 && state != 3)
    return fail(ErrorCode::not_supported, "RequestedState " + std::to_string(state) +
                                              " is not supported: 2 (start) and 3 (turn off) are");
  return answer(call.host.request_power(vm, state == 2));
}

Result<cim::InvokeResult> request_replication_state(const Call& call) {
  US_TRY(const auto relationship, relationship_argument(call));
  US_TRY(const uint64_t state, requested_state(call));
  US_TRY(const Uuid vm, target_vm(call));
  US_CHECK(check_relationship(vm, relationship));
  return answer(call.host.request_replication_state(vm, static_cast<uint16_t>(state)));
}

}  // namespace

Result<cim::Instance> embedded(const Call& call, std::string_view parameter) {
  const cim::MethodDecl& method = *cim::find_class(call.target.class_name)->method(call.method);
  const auto text = call.parameters.get(parameter).text();
  if (!text) return invalid_parameter(std::string(parameter) + " is missing");
  auto instance = cim::parse_embedded(call.parse_xml, *text, method.parameter(parameter)->embedded_class);
  if (!instance) return fail(instance.error().context(parameter));
  return instance;
}

Result<Uuid> vm_argument(const Call& call) {
  const auto path = call.parameters.get("ComputerSystem").path();
  if (!path) return invalid_parameter("ComputerSystem is missing");
  const auto name = path->keys.find("Name");
  if (!cim::is_a("Msvm_ComputerSystem", path->class_name) || name == path->keys.end())
    return invalid_parameter("ComputerSystem is no path of an Msvm_ComputerSystem");
  if (cim::same_name(name->second, call.host.name()))
    return fail(ErrorCode::not_supported, "ComputerSystem names the host '" + name->second + "' and no VM");
  const auto id = Uuid::parse(name->second);
  if (!id)
    return invalid_parameter("ComputerSystem names '" + name->second.substr(0, 64) + "', which is no GUID");
  return *id;
}

Result<std::optional<std::string>> relationship_argument(const Call& call) {
  if (call.parameters.get("ReplicationRelationship").text().value_or("").empty())
    return std::optional<std::string>();
  US_TRY(const cim::Instance given, embedded(call, "ReplicationRelationship"));
  return std::optional(given.get("InstanceID").text().value_or(""));
}

Status check_relationship(const Uuid& vm, const std::optional<std::string>& relationship) {
  if (!relationship) return {};
  const auto number = relationship_number(vm, *relationship);
  if (!number)
    return invalid_parameter(
        "ReplicationRelationship '" + relationship->substr(0, 128) + "' is no relationship of this VM",
        "its InstanceID is " + relationship_id(vm));
  if (*number != 0)
    return invalid_parameter("this VM has no extended relationship (" + relationship->substr(0, 128) + ")",
                             "leave ReplicationRelationship out");
  return {};
}

Result<VmView> view_of(const Call& call, const Uuid& vm) {
  auto view = call.host.vm(vm, limits::kHypervisorAnswer);
  if (!view && view.error().code() == ErrorCode::not_found)
    return invalid_parameter("there is no VM " + vm.upper() + " on this host", view.error().hint());
  return view;
}

Result<cim::InvokeResult> answer(MethodResult result) {
  if (!result) return fail(std::move(result).error());
  cim::InvokeResult answer;
  if (!*result) return answer;
  answer.return_value = 4096;
  answer.out.set("Job", instance_path("Msvm_ConcreteJob", (*result)->upper()));
  return answer;
}

cim::InvokeResult refused(uint32_t return_value, Error error) {
  return {return_value, {}, std::move(error)};
}

// Older methods have a small set of their own, in which 1 says so.
Result<cim::InvokeResult> not_supported(const Call& call) {
  const cim::MethodDecl* method = cim::find_class(call.target.class_name)->method(call.method);
  for (const cim::ValueName& v : method->values)
    if (v.low == kNotSupported && v.name == "Not Supported")
      return refused(kNotSupported,
                     Error(ErrorCode::not_supported, call.target.class_name + "." + std::string(call.method) +
                                                         " is not supported by this version"));
  return fail(ErrorCode::not_supported,
              call.target.class_name + "." + std::string(call.method) + " is not supported by this version");
}

Result<cim::InvokeResult> system_methods(const Call& call) {
  if (call.method == "RequestStateChange") return request_power(call);
  if (call.method == "RequestReplicationStateChange" || call.method == "RequestReplicationStateChangeEx")
    return request_replication_state(call);
  return not_supported(call);
}

Result<cim::InvokeResult> job_methods(const Call& call) {
  if (call.method == "RequestStateChange") return change_job_state(call);
  if (call.method == "GetError" || call.method == "GetErrorEx") return get_error(call);
  if (call.method == "KillJob")
    return refused(kNotSupported, Error(ErrorCode::not_supported, "a job is not killed",
                                        "RequestStateChange(4) terminates it, where that is possible"));
  return not_supported(call);
}

}  // namespace understudy::providers
