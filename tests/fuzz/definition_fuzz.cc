// A definition as a peer sends it: when it passes the check, the domain made from it is one that reads as the
// same definition, marked as ours.
#include <algorithm>

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

// What the document does not say, or in its own order.
VmDefinition as_read(VmDefinition d) {
  for (VmDisk& disk : d.disks) disk.size = 512;
  d.secure_boot = d.enrolled_keys = false;
  std::sort(d.features.begin(), d.features.end());
  return d;
}

}  // namespace

US_FUZZER(definition, input) {
  const auto decoded = decode<VmDefinition>(input, limits::kMostControlPayload);
  if (!decoded) return;
  const auto travelled = decode<VmDefinition>(encode(*decoded));
  US_ASSERT(travelled && *travelled == *decoded);
  if (!check(*decoded)) return;
  const std::string xml = write_domain(*decoded, site_of(*decoded));
  US_ASSERT(hypervisor::is_replica_domain(xml));
  const auto reading = hypervisor::read_domain(xml);
  US_ASSERT(reading);
  US_ASSERT(as_read(reading->definition) == as_read(*decoded));
}
