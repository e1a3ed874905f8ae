// Looks at this host's files: certificates, and where a replica is kept. Plain functions; any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "model/finding.h"
#include "store/files.h"

namespace understudy::daemon {

// Ends in good time? Warning from 30 days before its end, critical from 7.
Finding check_certificate(const std::string& file, Wall now);

// May the user QEMU runs as pass through every folder on the way to `directory`?
Finding check_location(const std::string& directory, uid_t user, gid_t group);

// Is there room to receive, and for what a guest writes after a failover? `size`: of the VM's disks, bytes.
Finding check_space(const std::string& directory, uint64_t size);

// Would a guest of so much memory start now? Never more than a warning: others may be stopped first.
Finding check_memory(uint64_t wanted_kib);

// Has a merge found data that do not fit their checksums, and does a point of this replica read them?
// Critical when the newest one does.
Finding check_damage(store::Files& files, const std::string& directory, const std::string& name);

}  // namespace understudy::daemon
