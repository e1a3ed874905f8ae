#include "hypervisor/replica_domain.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "hypervisor/definition_parts.h"
#include "hypervisor/firmware.h"
#include "hypervisor/small_file.h"

namespace understudy::hypervisor {
namespace {

namespace fs = std::filesystem;

constexpr char kNvram[] = "nvram.fd";  // beside the disks

Result<std::set<std::string>> local_networks(virConnect* connection) {
  virNetwork** list = nullptr;
  const int count = virConnectListAllNetworks(connection, &list, 0);
  if (count < 0) return fail(libvirt_error("listing the networks"));
  std::set<std::string> names;
  for (int i = 0; i < count; ++i) {
    const NetworkRef network(list[i]);
    names.insert(virNetworkGetName(network.get()));
  }
  ::free(list);
  return names;
}

// The names that mean something here, by the map or because a network of the same name exists.
std::map<std::string, std::string> mapped(const VmDefinition& definition,
                                          const std::map<std::string, std::string>& map,
                                          const std::set<std::string>& local) {
  std::map<std::string, std::string> networks;
  for (const VmNic& nic : definition.nics) {
    if (nic.network.empty()) continue;
    const auto entry = map.find(nic.network);
    const std::string& name = entry == map.end() ? nic.network : entry->second;
    if (local.contains(name) || (entry != map.end() && name.rfind("bridge:", 0) == 0))
      networks[nic.network] = name;
  }
  return networks;
}

Status check_paths(const core::ReplicaRequest& request) {
  if (request.disk_paths.size() != request.definition.disks.size()) {
    return fail(ErrorCode::invalid_parameter, "the replica has " + std::to_string(request.disk_paths.size()) +
                                                  " images for " +
                                                  std::to_string(request.definition.disks.size()) + " disks");
  }
  const std::string below = request.store_directory + "/";
  for (const std::string& path : request.disk_paths) {
    const bool plain = path.find("/../") == std::string::npos && path.size() > below.size();
    if (path.rfind(below, 0) != 0 || below.front() != '/' || !plain) {
      return fail(ErrorCode::invalid_parameter,
                  "image " + path + " is not in the store " + request.store_directory);
    }
  }
  return {};
}

Status check_boot_files(const VmDefinition& d, const std::vector<std::string>& directories) {
  for (const std::string& path : {d.kernel, d.initrd}) {
    if (path.empty()) continue;
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error)
      return fail(ErrorCode::not_found, path + ", from which " + d.name + " boots, is not on this host",
                  "copy it to this host");
    const bool allowed =
        std::any_of(directories.begin(), directories.end(), [&](const std::string& directory) {
          const fs::path folder = fs::canonical(directory, error);
          return !error && real.string().rfind(folder.string() + "/", 0) == 0;
        });
    if (!allowed)
      return fail(ErrorCode::access_denied,
                  path + " leads out of the folders for kernels, to " + real.string());
  }
  return {};
}

// What libvirt says that a machine can be here.
Result<Element> capabilities(virConnect* connection, const VmDefinition& d) {
  const LibvirtText xml(virConnectGetDomainCapabilities(connection, nullptr, d.arch.c_str(),
                                                        d.machine.c_str(), d.type.c_str(), 0));
  if (xml == nullptr) {
    const Error error =
        libvirt_error("this host cannot run a " + d.type + " " + d.arch + " " + d.machine + " machine");
    if (error.code() == ErrorCode::not_available) return fail(error);
    return fail(ErrorCode::not_supported, error.message(),
                d.type == "kvm" ? "is /dev/kvm there, and QEMU as new as on the primary?"
                                : "install a QEMU as new as on the primary");
  }
  return parse_xml(xml.get());
}

Status check_cpu(const VmDefinition& d, const Element& caps) {
  const Element* cpu = caps.child("cpu");
  if (d.cpu_mode.empty() || cpu == nullptr) return {};
  for (const Element& mode : cpu->children) {
    if (mode.name != "mode" || mode.attribute("name") != d.cpu_mode) continue;
    if (mode.attribute("supported") != "yes") break;
    if (d.cpu_mode != "custom") return {};
    for (const Element& model : mode.children) {
      if (model.name != "model" || model.text != d.cpu_model) continue;
      if (model.attribute("usable") != "no") return {};
      return fail(ErrorCode::not_supported,
                  "this host's processor lacks what cpu model " + d.cpu_model + " has",
                  "give the VM an older cpu model: virsh edit " + d.name);
    }
    return fail(ErrorCode::not_supported, "cpu model " + d.cpu_model + " is not known to QEMU here",
                "give the VM an older cpu model: virsh edit " + d.name);
  }
  return fail(ErrorCode::not_supported, "cpu mode " + d.cpu_mode + " is not possible here",
              "virsh edit " + d.name);
}

Result<std::string> replica_xml(virConnect* connection, const HypervisorConfig& config,
                                const core::ReplicaRequest& request) {
  US_TRY(const std::set<std::string> local, local_networks(connection));
  ReplicaSite site;
  site.disk_paths = request.disk_paths;
  site.networks = mapped(request.definition, config.networks, local);
  site.nvram = request.store_directory + "/" + kNvram;
  if (!config.serial_log_directory.empty())
    site.serial_log = config.serial_log_directory + "/" + request.definition.name + ".console";
  return write_domain(request.definition, site);
}

// A domain of that id or name that we did not make is not ours to change.
Status check_ours(virConnect* connection, const VmDefinition& d) {
  const DomainRef same_name(virDomainLookupByName(connection, d.name.c_str()));
  if (same_name != nullptr) {
    char id[VIR_UUID_STRING_BUFLEN] = "";
    virDomainGetUUIDString(same_name.get(), id);
    if (d.id.lower() != id) {
      return fail(ErrorCode::in_use, "this host has another VM named " + d.name,
                  "rename one of them: virsh domrename " + d.name + " NEW");
    }
  }
  const Result<DomainRef> domain = find_domain(connection, d.id);
  if (!domain) return exists(domain.error()) ? Status(fail(domain.error())) : Status{};
  US_TRY(const std::string xml, domain_xml(domain->get(), VIR_DOMAIN_XML_INACTIVE));
  if (is_replica_domain(xml)) return {};
  return fail(
      ErrorCode::in_use,
      "VM " + name_of(domain->get()) + " with id " + d.id.lower() + " exists here and is no replica of ours",
      "if it is not needed: virsh undefine " + name_of(domain->get()));
}

void warn_of_size(virConnect* connection, const VmDefinition& d, std::vector<std::string>& warnings) {
  virNodeInfo node;
  if (virNodeGetInfo(connection, &node) != 0) return;
  if (d.memory_kib > node.memory) {
    warnings.push_back("it has " + std::to_string(d.memory_kib >> 10) + " MiB of memory, this host only " +
                       std::to_string(node.memory >> 10));
  }
  if (d.vcpus > node.cpus) {
    warnings.push_back("it has " + std::to_string(d.vcpus) + " processors, this host only " +
                       std::to_string(node.cpus));
  }
}

// An earlier replica domain of that id goes, with all that libvirt keeps about it but the NVRAM: what was
// saved or marked in a life before does not fit the disks and the devices of this one. False when there was
// one.
Result<bool> make_way(virConnect* connection, const VmDefinition& d) {
  const Result<DomainRef> domain = find_domain(connection, d.id);
  if (!domain && exists(domain.error())) return fail(domain.error());
  if (!domain) return true;
  const std::string name = name_of(domain->get());
  if (is_active(domain->get()))
    return fail(ErrorCode::invalid_state, "VM " + name + " is running", "virsh shutdown " + name);
  const bool plain = name == d.name && virDomainHasManagedSaveImage(domain->get(), 0) == 0 &&
                     virDomainListAllCheckpoints(domain->get(), nullptr, 0) == 0 &&
                     virDomainSnapshotNum(domain->get(), 0) == 0;
  constexpr unsigned kFlags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                              VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;
  if (plain || virDomainUndefineFlags(domain->get(), kFlags) == 0) return false;
  return fail(libvirt_error("undefining " + name));
}

Status put_nvram(const core::ReplicaRequest& request, const ImageOwner& owner) {
  if (request.definition.firmware.empty()) return remove_file(request.store_directory, kNvram);
  if (request.nvram.empty()) return {};
  return replace_file(request.store_directory, kNvram, as_text(request.nvram), 0600,
                      FileOwner{owner.user, owner.group});
}

}  // namespace

Result<std::vector<std::string>> check_replica(virConnect* connection, const HypervisorConfig& config,
                                               const core::ReplicaRequest& request) {
  const VmDefinition& d = request.definition;
  US_CHECK(check(d));
  US_CHECK(check_paths(request));
  US_CHECK(check_ours(connection, d));
  US_CHECK(check_boot_files(d, config.boot_directories));
  US_CHECK(check_firmware(d, host_firmware(config.firmware_directories), request.nvram.size()));
  US_TRY(const Element caps, capabilities(connection, d));
  US_CHECK(check_cpu(d, caps));
  US_TRY(const uint32_t most_vcpus, number32(caps.attribute_at("vcpu", "max"), UINT32_MAX));
  if (d.vcpus > most_vcpus) {
    return fail(ErrorCode::not_supported,
                "a " + d.machine + " machine has at most " + std::to_string(most_vcpus) + " processors here");
  }
  US_TRY(const std::set<std::string> local, local_networks(connection));
  const std::map<std::string, std::string> networks = mapped(d, config.networks, local);
  std::vector<std::string> warnings;
  for (const VmNic& nic : d.nics) {
    if (nic.network.empty() || networks.contains(nic.network)) continue;
    warnings.push_back("network card " + nic.mac + " will be unplugged: there is no network " + nic.network +
                       " here; map it to one in the configuration");
  }
  if (d.cpu_mode == "host-model" || d.cpu_mode == "host-passthrough" || d.cpu_mode == "maximum") {
    warnings.push_back("its processor (" + d.cpu_mode + ") will be this host's, which may differ");
  }
  warn_of_size(connection, d, warnings);
  return warnings;
}

Status define_replica(virConnect* connection, const HypervisorConfig& config,
                      const core::ReplicaRequest& request, const ImageOwner& owner) {
  const VmDefinition& d = request.definition;
  US_CHECK(check(d));
  US_CHECK(check_paths(request));
  US_CHECK(check_ours(connection, d));
  US_CHECK(check_firmware(d, host_firmware(config.firmware_directories), request.nvram.size()));
  US_TRY(const std::string xml, replica_xml(connection, config, request));
  US_TRY(const bool fresh, make_way(connection, d));
  US_CHECK(put_nvram(request, owner));
  const DomainRef domain(virDomainDefineXMLFlags(connection, xml.c_str(), 0));
  if (domain == nullptr) {
    const Error error = libvirt_error("defining the replica of " + d.name);
    if (fresh)
      static_cast<void>(remove_file(request.store_directory, kNvram));  // that error is the one to tell
    return fail(error);
  }
  if (virDomainSetAutostart(domain.get(), 0) != 0)
    return fail(libvirt_error("turning autostart off for " + d.name));
  return {};
}

Status undefine_replica(virConnect* connection, const Uuid& vm) {
  const Result<DomainRef> domain = find_domain(connection, vm);
  if (!domain) return exists(domain.error()) ? Status(fail(domain.error())) : Status{};
  const std::string name = name_of(domain->get());
  US_TRY(const std::string xml, domain_xml(domain->get(), VIR_DOMAIN_XML_INACTIVE));
  if (!is_replica_domain(xml))
    return fail(ErrorCode::access_denied, "VM " + name + " is no replica of ours: it is not undefined");
  if (is_active(domain->get()))
    return fail(ErrorCode::invalid_state, "VM " + name + " is running", "virsh shutdown " + name);
  constexpr unsigned kFlags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                              VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;
  if (virDomainUndefineFlags(domain->get(), kFlags) == 0) return {};
  const Error error = libvirt_error("undefining " + name);
  return exists(error) ? Status(fail(error)) : Status{};
}

Status disown_replica(virConnect* connection, const Uuid& vm) {
  const Result<DomainRef> domain = find_domain(connection, vm);
  if (!domain) return exists(domain.error()) ? Status(fail(domain.error())) : Status{};
  unsigned flags = VIR_DOMAIN_AFFECT_CONFIG;
  if (is_active(domain->get())) flags |= VIR_DOMAIN_AFFECT_LIVE;
  if (virDomainSetMetadata(domain->get(), VIR_DOMAIN_METADATA_ELEMENT, nullptr, nullptr, kNamespace.data(),
                           flags) == 0)
    return {};
  const Error error = libvirt_error("removing the mark of a replica from " + name_of(domain->get()));
  return exists(error) ? Status(fail(error)) : Status{};
}

}  // namespace understudy::hypervisor
