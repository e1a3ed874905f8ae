// The methods of the classes: parameters are checked in the documented order (wrong type, invalid parameter,
// not supported), then Host decides. What is refused is a ReturnValue with the reason beside it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cim/object_manager.h"
#include "cim/xml_tree.h"
#include "providers/host.h"

namespace understudy::providers {

// One call: everything lives at least until it returns.
struct Call {
  Host& host;
  const cim::XmlParser& parse_xml;
  const cim::ObjectPath& target;
  const cim::Instance& target_instance;
  std::string_view method;
  const cim::Instance& parameters;  // typed as the schema declares them
};
using Methods = Result<cim::InvokeResult> (*)(const Call& call);

Result<cim::InvokeResult> service_methods(const Call& call);      // Msvm_ReplicationService
Result<cim::InvokeResult> own_service_methods(const Call& call);  // Understudy_ReplicationService
Result<cim::InvokeResult> system_methods(const Call& call);       // Msvm_ComputerSystem
Result<cim::InvokeResult> job_methods(const Call& call);          // Msvm_ConcreteJob
Result<cim::InvokeResult> management_methods(const Call& call);   // Msvm_VirtualSystemManagementService

// A parameter that carries an embedded instance, of the class that the schema declares.
Result<cim::Instance> embedded(const Call& call, std::string_view parameter);
// The VM of the ComputerSystem parameter, before it is looked up: not missing, no other class, not the host.
Result<Uuid> vm_argument(const Call& call);
// InstanceID of the ReplicationRelationship parameter; none when it is left out: the VM's only one.
Result<std::optional<std::string>> relationship_argument(const Call& call);
// invalid_parameter unless it is the VM's only one.
Status check_relationship(const Uuid& vm, const std::optional<std::string>& relationship);
// invalid_parameter when this host has no such VM.
Result<VmView> view_of(const Call& call, const Uuid& vm);

// ReturnValue 0, or 4096 with the job.
Result<cim::InvokeResult> answer(MethodResult result);
// A ReturnValue from the class's own set that errors.def does not have.
cim::InvokeResult refused(uint32_t return_value, Error error);
Result<cim::InvokeResult> not_supported(const Call& call);

}  // namespace understudy::providers
