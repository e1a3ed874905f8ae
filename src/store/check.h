// Every byte of every listed point against its checksum (docs/spec/store.md, "Checksums"). Reads only; works
// with the daemon dead, and beside one that receives, merges and publishes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "store/load.h"

namespace understudy::store {

// A range of a disk that is not what was received.
struct Damage {
  uint32_t disk = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  std::string file;
  std::string what;
  bool operator==(const Damage&) const = default;
};

struct CheckedPoint {
  RecoveryPoint point;
  std::vector<Damage> damages;          // at most kMostDamages, in no order
  uint64_t damaged_bytes = 0;           // of all
  std::vector<std::string> unverified;  // files of it that have no checksums which could be used
  bool good() const { return damages.empty() && unverified.empty(); }
};
inline constexpr size_t kMostDamages = 64;

struct ReplicaCheck {
  Manifest manifest;
  std::vector<CheckedPoint> points;  // oldest first
  uint64_t bytes = 0;                // of data read and compared
};

// Called at least every 64 MiB: bytes done, of all; both are of files, with what is shared counted once.
using CheckProgress = std::function<void(uint64_t done, uint64_t total)>;

// An error when the replica cannot be read at all: manifest, machines and the shape of each chain are checked
// as at a start. Blocking; one thread.
Result<ReplicaCheck> check_replica(Files& files, const std::string& directory, const CheckProgress& progress,
                                   const CancelToken& cancel);
// Each listed point with what merges have found in it and marked; no data are read. Quick, and empty, where
// no merge ever found anything.
Result<std::vector<CheckedPoint>> known_damage(Files& files, const std::string& directory);

}  // namespace understudy::store
