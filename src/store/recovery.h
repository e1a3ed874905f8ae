// What a start finds on disk and makes of it (docs/spec/store.md, "Crash table"). Stateless; one thread a
// replica.
#pragma once

#include <optional>

#include "store/load.h"

namespace understudy::store {

struct Recovered {
  Loaded loaded;
  std::optional<StagingRecord> staging;
};

// Reads, finishes or undoes, checks, removes what nothing names. not_found: there is no replica.
Result<Recovered> recover(Files& files, const Layout& layout);

// A manifest that says `reverting`: moves the overlays aside that are still at their active paths, and writes
// it without. May be repeated.
Status finish_revert(Files& files, const Layout& layout, Manifest& manifest);

// Was the removal of this replica decided and not completed?
Result<bool> removal_begun(Files& files, const Layout& layout);
// May be repeated.
Status finish_removal(Files& files, const Layout& layout);

}  // namespace understudy::store
