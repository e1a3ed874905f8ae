// What all methods share, and those of systems and jobs.
#include "providers/methods.h"

#include "cim/embedded.h"
#include "cim/schema.h"
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {
namespace {

// CIM_ConcreteJob and CIM_EnabledLogicalElement have their own small set.
constexpr uint32_t kNotSupported = 1;

bool in_value_map(std::string_view class_name, std::string_view method, std::string_view parameter,
                  uint64_t number) {
  const cim::ParameterDecl* decl = cim::find_class(class_name)->method(method)->parameter(parameter);
  for (const cim::ValueName& v : decl->values)
    if (static_cast<int64_t>(number) >= v.low && static_cast<int64_t>(number) <= v.high) return true;
  return false;
}

// Whole numbers of the error's own set are the same in every answer, so a job tells as much as a method.
std::optional<Error> error_of_job(const Call& call) {
  const cim::Instance& job = call.target_instance;
  if (job.get("ErrorCode").number().value_or(0) == 0) return std::nullopt;
  auto views = call.host.vms();
  if (!views) return std::move(views.error());
  for (const VmView& view : *views)
    for (const Job& one : view.state.jobs)
      if (one.id.upper() == job.get("InstanceID").text()) return one.error;
  return std::nullopt;
}

}  // namespace

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

Result<cim::InvokeResult> not_supported(const Call& call) {
  return fail(ErrorCode::not_supported,
              call.target.class_name + "." + std::string(call.method) + " is not supported by this version");
}

Result<cim::InvokeResult> system_methods(const Call& call) {
  if (call.method != "RequestStateChange") return not_supported(call);
  const auto state = call.parameters.get("RequestedState").number();
  if (!state || !in_value_map(call.target.class_name, call.method, "RequestedState", *state))
    return fail(ErrorCode::invalid_parameter,
                state ? "RequestedState " + std::to_string(*state) + " is not known"
                      : std::string("RequestedState is missing"));
  const auto name = call.target_instance.get("Name").text().value_or("");
  const auto vm = Uuid::parse(name);
  if (!vm)
    return fail(ErrorCode::not_supported, "'" + name + "' is the host: it is not switched on or off here");
  if (*state != 2 && *state != 3)
    return fail(ErrorCode::not_supported, "RequestedState " + std::to_string(*state) +
                                              " is not supported: 2 (start) and 3 (turn off) are");
  return answer(call.host.request_power(*vm, *state == 2));
}

Result<cim::InvokeResult> job_methods(const Call& call) {
  const std::string id = call.target_instance.get("InstanceID").text().value_or("");
  if (call.method == "RequestStateChange" || call.method == "KillJob")
    return refused(kNotSupported, Error(ErrorCode::not_supported, "job " + id + " cannot be cancelled"));
  if (call.method != "GetError" && call.method != "GetErrorEx") return not_supported(call);
  cim::InvokeResult result;
  if (const auto error = error_of_job(call)) {
    const std::string text = cim::format_embedded(error_instance(*error, call.target));
    if (call.method == "GetError")
      result.out.set("Error", text);
    else
      result.out.set("Errors", array_of({text}));
  }
  return result;
}

}  // namespace understudy::providers
