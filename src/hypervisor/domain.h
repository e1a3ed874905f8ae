// Small steps on libvirt domains that the files of this folder share; for this folder only. Each of them, as
// every call of libvirt, forgets the last error: ask for names before the call whose error is to be told.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "hypervisor/libvirt_connection.h"

namespace understudy::hypervisor {

// Checkpoints of ours are named so; all others are foreign.
inline constexpr std::string_view kCheckpointPrefix = "understudy-";

Result<DomainRef> find_domain(virConnect* connection, const Uuid& vm);  // not_found
Result<std::string> domain_xml(virDomain* domain, unsigned flags);
std::string name_of(virDomain* domain);
bool is_active(virDomain* domain);
bool exists(const Error& error);  // false for not_found

// All checkpoints, parents first.
Result<std::vector<CheckpointRef>> checkpoints_of(virDomain* domain);
std::string name_of(virDomainCheckpoint* checkpoint);
// Has every disk of the checkpoint its bitmap, whole? The domain is running.
Result<bool> is_whole(virDomain* domain, virDomainCheckpoint* checkpoint);

}  // namespace understudy::hypervisor
