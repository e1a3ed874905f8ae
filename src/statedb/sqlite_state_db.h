// The state database in one SQLite file: a table of (kind, key, text). Write-ahead log, synchronous FULL:
// what put() returned from survives a power cut. Any thread.
#pragma once

#include <memory>
#include <string>

#include "core/ports/state_db.h"

namespace understudy::statedb {

// Makes the file (0600) when it is not there. A file of a newer version is refused, never changed.
Result<std::unique_ptr<core::StateDb>> open_state_db(const std::string& path);

}  // namespace understudy::statedb
