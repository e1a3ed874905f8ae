// Merging of the two lowest files of a disk's chain. Blocking; one thread; may run again after any crash.
#pragma once

#include <string>

#include "store/qcow2_image.h"

namespace understudy::store {

// Writes what `upper` has (data and zero ranges) into `bottom`, in place, and syncs. `upper` is only read, so
// the chain above reads the same at every instant. Returns bytes of data written. `stop` is asked every 1
// MiB; when it ends the merge, `bottom` is closed cleanly.
Result<uint64_t> merge_into_bottom(Files& files, const std::string& bottom, const std::string& upper,
                                   const qcow2::StopCheck& stop);

}  // namespace understudy::store
