#include "hypervisor/domain.h"

namespace understudy::hypervisor {

Result<DomainRef> find_domain(virConnect* connection, const Uuid& vm) {
  DomainRef domain(virDomainLookupByUUID(connection, vm.bytes().data()));
  if (domain == nullptr) return fail(libvirt_error("looking for VM " + vm.lower()));
  return domain;
}

Result<std::string> domain_xml(virDomain* domain, unsigned flags) {
  const std::string name = name_of(domain);
  const LibvirtText text(virDomainGetXMLDesc(domain, flags));
  if (text == nullptr) return fail(libvirt_error("reading the definition of " + name));
  return std::string(text.get());
}

std::string name_of(virDomain* domain) {
  const char* name = virDomainGetName(domain);
  return name == nullptr ? "?" : name;
}

bool is_active(virDomain* domain) {
  return virDomainIsActive(domain) == 1;
}

bool exists(const Error& error) {
  return error.code() != ErrorCode::not_found;
}

Result<std::vector<CheckpointRef>> checkpoints_of(virDomain* domain) {
  const std::string name = name_of(domain);
  virDomainCheckpoint** list = nullptr;
  const int count = virDomainListAllCheckpoints(domain, &list, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
  if (count < 0) return fail(libvirt_error("listing the checkpoints of " + name));
  std::vector<CheckpointRef> checkpoints;
  for (int i = 0; i < count; ++i) checkpoints.emplace_back(list[i]);
  ::free(list);
  return checkpoints;
}

std::string name_of(virDomainCheckpoint* checkpoint) {
  const char* name = virDomainCheckpointGetName(checkpoint);
  return name == nullptr ? "?" : name;
}

// libvirt tells of a broken bitmap only where it matters. Defining the checkpoint again as it is, with
// validation, asks just that and changes nothing.
Result<bool> is_whole(virDomain* domain, virDomainCheckpoint* checkpoint) {
  const std::string name = name_of(checkpoint);
  const LibvirtText xml(virDomainCheckpointGetXMLDesc(checkpoint, 0));
  if (xml == nullptr) return fail(libvirt_error("reading checkpoint " + name));
  constexpr unsigned kValidate =
      VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE | VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE;
  const CheckpointRef again(virDomainCheckpointCreateXML(domain, xml.get(), kValidate));
  if (again != nullptr) return true;
  Error error = libvirt_error("validating checkpoint " + name);
  if (error.code() == ErrorCode::corrupt) return false;
  return fail(std::move(error));
}

}  // namespace understudy::hypervisor
