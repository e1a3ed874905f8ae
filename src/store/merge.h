// Merging of two adjacent files of a disk's chain. Blocking; one thread; may run again after any crash.
#pragma once

#include <string>

#include "store/qcow2_image.h"

namespace understudy::store {

// Writes what `upper` has (data and zero ranges) into `lower`, the file under it, in place, and syncs.
// `upper` is only read, so the chain above reads the same at every instant. Returns bytes of data written.
// `stop` is asked every 1 MiB; when it ends the merge, `lower` is closed cleanly. With a backing file of its
// own `lower` needs clusters that those of `upper` cover whole.
Result<uint64_t> merge_into(Files& files, const std::string& lower, const std::string& upper,
                            const qcow2::StopCheck& stop);
bool can_merge(bool lower_is_bottom, uint64_t lower_cluster, uint64_t upper_cluster);

}  // namespace understudy::store
