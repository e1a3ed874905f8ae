// Domain XML as libvirt gives it: what is read of it passes the check of definitions, survives the way to the
// other host, and is what the replica's own domain reads as.
#include "fuzz/fuzz.h"
#include "hypervisor/backup_job.h"
#include "hypervisor/definition.h"
#include "hypervisor/guest_network.h"
#include "model/codec.h"

namespace {

using namespace understudy;

std::optional<VmDefinition> read(std::string_view xml) {
  auto reading = hypervisor::read_domain(xml);
  if (!reading) return std::nullopt;
  for (VmDisk& disk : reading->definition.disks) disk.size = 512;
  return std::move(reading->definition);
}

}  // namespace

US_FUZZER(domain, input) {
  (void)hypervisor::read_disks(input);
  (void)hypervisor::read_network_cards(input);
  (void)hypervisor::is_replica_domain(input);
  (void)hypervisor::is_our_job(std::string(input));
  const auto d = read(input);
  if (!d) return;
  US_ASSERT(check(*d));
  const auto travelled = decode<VmDefinition>(encode(*d));
  US_ASSERT(travelled && *travelled == *d);
  hypervisor::ReplicaSite site;
  for (const VmDisk& disk : d->disks) site.disk_paths.push_back("/store/" + disk.target + "-active.qcow2");
  for (const VmNic& nic : d->nics) site.networks[nic.network] = nic.network;
  site.nvram = "/nvram/a.fd";
  const auto again = read(write_domain(*d, site));
  US_ASSERT(again && *again == *d);
}
