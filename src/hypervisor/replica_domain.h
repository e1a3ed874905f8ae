// Domains of replicas: made from a checked definition, recognised by our mark; for this folder only.
#pragma once

#include <string>
#include <vector>

#include "core/ports/hypervisor.h"
#include "hypervisor/domain.h"
#include "hypervisor/libvirt_hypervisor.h"

namespace understudy::hypervisor {

Result<std::vector<std::string>> check_replica(virConnect* connection, const HypervisorConfig& config,
                                               const core::ReplicaRequest& request);
// `owner` gets the NVRAM file.
Status define_replica(virConnect* connection, const HypervisorConfig& config,
                      const core::ReplicaRequest& request, const ImageOwner& owner);
Status undefine_replica(virConnect* connection, const Uuid& vm);
Status disown_replica(virConnect* connection, const Uuid& vm);

}  // namespace understudy::hypervisor
