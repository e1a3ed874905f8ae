// Names of objects: how the product's ids become keys, and back. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "cim/value.h"

namespace understudy::providers {

cim::ObjectPath system_path(std::string_view name);  // a VM's GUID in upper case, or the host's name
cim::ObjectPath vm_path(const Uuid& vm);
cim::ObjectPath service_path(std::string_view host_name);     // Msvm_ReplicationService
cim::ObjectPath management_path(std::string_view host_name);  // Msvm_VirtualSystemManagementService
// A class whose only key is InstanceID.
cim::ObjectPath instance_path(std::string_view class_name, std::string instance_id);

std::string settings_id(const Uuid& vm_or_point);              // Microsoft:GUID
std::string relationship_id(const Uuid& vm);                   // Microsoft:GUID\HVR\0
std::string disk_id(const Uuid& vm, std::string_view target);  // Microsoft:GUID\vda
std::string processor_id(const Uuid& vm);                      // Microsoft:GUID\B637F346-...\0
std::string memory_id(const Uuid& vm);                         // Microsoft:GUID\4764334D-...
std::string card_id(const Uuid& vm, std::string_view mac);     // Microsoft:GUID\525400ABCDEF
std::string failover_id(std::string_view card_id);             // with \Failover behind it
std::string service_settings_id(std::string_view host_name);
std::string authorization_id(std::string_view host_name, std::string_view primary);
std::string provider_id(std::string_view host_name);
cim::ObjectPath provider_path(std::string_view host_name);

inline constexpr std::string_view kProviderName = "22391CDC-272C-4DDF-BA88-9BEFB1A0975C";

// The GUID that an InstanceID begins with: Microsoft:GUID, or that and a backslash and more.
std::optional<Uuid> leading_guid(std::string_view instance_id);
// The GUID of Microsoft:GUID, nothing before and nothing after it.
std::optional<Uuid> settings_guid(std::string_view instance_id);
// Which of this VM's relationships it names: 0, or 1 for the extended one. Microsoft:GUID\HVR is 0.
std::optional<unsigned> relationship_number(const Uuid& vm, std::string_view instance_id);
// The target of a disk_id() of this VM.
std::optional<std::string> disk_target(const Uuid& vm, std::string_view instance_id);

}  // namespace understudy::providers
