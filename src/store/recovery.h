// What a start finds on disk and makes of it (docs/spec/store.md, "Crash table"). Stateless; one thread a
// replica.
#pragma once

#include <optional>
#include <vector>

#include "store/records.h"

namespace understudy::store {

struct Recovered {
  Manifest manifest;
  std::vector<bool> merged;  // per disk: the second file of the chain has already taken the bottom into it
  std::optional<StagingRecord> staging;
};

// Reads, finishes or undoes, checks, removes what nothing names. not_found: there is no replica.
Result<Recovered> recover(Files& files, const Layout& layout);

// Was the removal of this replica decided and not completed?
Result<bool> removal_begun(Files& files, const Layout& layout);
// May be repeated.
Status finish_removal(Files& files, const Layout& layout);

// Is `path` a qcow2 image of this size with exactly this backing name (empty: none)? Everything else is
// corrupt. `cluster_size` 0: any.
Status check_image(Files& files, const std::string& path, uint64_t size, uint32_t cluster_size,
                   const std::string& backing);

}  // namespace understudy::store
