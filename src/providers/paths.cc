#include "providers/paths.h"

#include <cctype>

namespace understudy::providers {
namespace {
constexpr std::string_view kPrefix = "Microsoft:";
constexpr size_t kGuidLength = 36;

bool has_prefix(std::string_view text) {
  return text.size() >= kPrefix.size() && cim::same_name(text.substr(0, kPrefix.size()), kPrefix);
}
std::string under_host(std::string_view host_name, std::string_view rest) {
  return std::string(kPrefix) + std::string(host_name) + "\\" + std::string(rest);
}
cim::ObjectPath service(const char* class_name, const char* name, std::string_view host_name) {
  return {class_name,
          {{"CreationClassName", class_name},
           {"Name", name},
           {"SystemCreationClassName", "Msvm_ComputerSystem"},
           {"SystemName", std::string(host_name)}}};
}
}  // namespace

cim::ObjectPath system_path(std::string_view name) {
  return {"Msvm_ComputerSystem", {{"CreationClassName", "Msvm_ComputerSystem"}, {"Name", std::string(name)}}};
}
cim::ObjectPath vm_path(const Uuid& vm) {
  return system_path(vm.upper());
}

cim::ObjectPath service_path(std::string_view host_name) {
  return service("Msvm_ReplicationService", "replicasvc", host_name);
}
cim::ObjectPath management_path(std::string_view host_name) {
  return service("Msvm_VirtualSystemManagementService", "vmms", host_name);
}

cim::ObjectPath instance_path(std::string_view class_name, std::string instance_id) {
  return {std::string(class_name), {{"InstanceID", std::move(instance_id)}}};
}

std::string settings_id(const Uuid& vm_or_point) {
  return std::string(kPrefix) + vm_or_point.upper();
}
std::string relationship_id(const Uuid& vm) {
  return settings_id(vm) + "\\HVR\\0";
}
std::string disk_id(const Uuid& vm, std::string_view target) {
  return settings_id(vm) + "\\" + std::string(target);
}
// The devices' GUIDs are those of every host.
std::string processor_id(const Uuid& vm) {
  return settings_id(vm) + "\\B637F346-6A0E-4DEC-AF52-BD70CB80A21D\\0";
}
std::string memory_id(const Uuid& vm) {
  return settings_id(vm) + "\\4764334D-E001-4176-82EE-5594EC9B530E";
}
std::string card_id(const Uuid& vm, std::string_view mac) {
  std::string digits;
  for (const char c : mac)
    if (c != ':') digits += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return settings_id(vm) + "\\" + digits;
}
std::string failover_id(std::string_view card_id) {
  return std::string(card_id) + "\\Failover";
}
std::string service_settings_id(std::string_view host_name) {
  return under_host(host_name, "ReplicationService");
}
std::string authorization_id(std::string_view host_name, std::string_view primary) {
  return under_host(host_name, "ReplicationAuthorization\\" + std::string(primary));
}
std::string provider_id(std::string_view host_name) {
  return under_host(host_name, "ReplicationProvider\\" + std::string(kProviderName));
}
cim::ObjectPath provider_path(std::string_view host_name) {
  cim::ObjectPath path = instance_path("Msvm_ReplicationProvider", provider_id(host_name));
  path.keys.emplace("Name", kProviderName);
  return path;
}

std::optional<Uuid> leading_guid(std::string_view instance_id) {
  const size_t end = kPrefix.size() + kGuidLength;
  if (instance_id.size() > end && instance_id[end] != '\\') return std::nullopt;
  return settings_guid(instance_id.substr(0, end));
}

std::optional<Uuid> settings_guid(std::string_view instance_id) {
  if (!has_prefix(instance_id) || instance_id.size() != kPrefix.size() + kGuidLength) return std::nullopt;
  const auto id = Uuid::parse(instance_id.substr(kPrefix.size()));
  return id ? std::optional(*id) : std::nullopt;
}

std::optional<unsigned> relationship_number(const Uuid& vm, std::string_view instance_id) {
  const size_t end = kPrefix.size() + kGuidLength;
  if (instance_id.size() < end || settings_guid(instance_id.substr(0, end)) != vm) return std::nullopt;
  const std::string_view rest = instance_id.substr(end);
  if (cim::same_name(rest, "\\HVR") || cim::same_name(rest, "\\HVR\\0")) return 0;
  if (cim::same_name(rest, "\\HVR\\1")) return 1;
  return std::nullopt;
}

std::optional<std::string> disk_target(const Uuid& vm, std::string_view instance_id) {
  const size_t slash = kPrefix.size() + kGuidLength;
  if (instance_id.size() < slash + 2 || instance_id[slash] != '\\') return std::nullopt;
  if (settings_guid(instance_id.substr(0, slash)) != vm) return std::nullopt;
  return std::string(instance_id.substr(slash + 1));
}

}  // namespace understudy::providers
