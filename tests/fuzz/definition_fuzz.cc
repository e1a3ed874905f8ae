// A definition as a peer sends it: when it passes the check, the domain made from it is one of ours that
// reads as a definition again; numbers that say nothing of their device are gone, and from then on it stays
// the same.
#include <optional>

#include "fuzz/fuzz.h"
#include "hypervisor/definition.h"
#include "model/codec.h"

namespace {

using namespace understudy;

hypervisor::ReplicaSite site_of(const VmDefinition& d) {
  hypervisor::ReplicaSite site;
  for (const VmDisk& disk : d.disks) site.disk_paths.push_back("/store/" + disk.target + "-active.qcow2");
  for (const VmNic& nic : d.nics) site.networks[nic.network] = nic.network;
  site.nvram = d.firmware.empty() ? "" : "/nvram/a.fd";
  return site;
}

// By way of the replica's domain; sizes are not in the document.
std::optional<VmDefinition> through_domain(const VmDefinition& d) {
  const std::string xml = write_domain(d, site_of(d));
  US_ASSERT(hypervisor::is_replica_domain(xml));
  auto reading = hypervisor::read_domain(xml);
  if (!reading || reading->definition.disks.size() != d.disks.size()) return std::nullopt;
  for (VmDisk& disk : reading->definition.disks) disk.size = 512;
  return std::move(reading->definition);
}

}  // namespace

US_FUZZER(definition, input) {
  const auto decoded = decode<VmDefinition>(input, limits::kMostControlPayload);
  if (!decoded) return;
  const auto travelled = decode<VmDefinition>(encode(*decoded));
  US_ASSERT(travelled && *travelled == *decoded);
  if (!check(*decoded)) return;
  const auto read = through_domain(*decoded);
  US_ASSERT(read && check(*read));
  US_ASSERT(through_domain(*read) == read);
}
