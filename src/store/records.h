// What a replica writes about itself: the manifest, which is the truth about its points, and the cursor,
// which says what is half received. JSON, versioned, with a checksum line at the end (docs/spec/store.md,
// "Manifest" and "Cursor"). Decoding checks every field against its range; what comes out of it may be
// believed to be consistent, not to be true. Plain values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/holdings.h"
#include "model/recovery_point.h"
#include "store/layout.h"
#include "store/replica_store.h"

namespace understudy::store {

// One file of every disk's chain.
struct ChainLink {
  FileNumber number;
  uint32_t cluster_size = 0;
  bool operator==(const ChainLink&) const = default;
};

struct ListedPoint {
  RecoveryPoint point;
  uint64_t from = 0;                  // of the transfer that made it
  std::optional<FileNumber> machine;  // the file of the VM as of then; none was ever given
  bool operator==(const ListedPoint&) const = default;
};

inline FileNumber file_of(const ListedPoint& listed) {
  return {listed.point.lineage.generation, listed.point.lineage.sequence};
}

struct Failover {
  uint64_t generation = 0;
  Uuid point;
  bool complete = false;  // every active overlay is in its place
  bool operator==(const Failover&) const = default;
};

// A failover that was taken back: its overlays, as far as they were made, have reverted_name.
struct Reverted {
  uint64_t generation = 0;
  Wall since;
  FileNumber on;  // what the overlays are on: that file is kept as long as they are
  bool operator==(const Reverted&) const = default;
};

struct Manifest {
  ReplicaIdentity identity;
  std::vector<ChainLink> chain;     // bottom first; the last one is where the newest point ends
  std::vector<ListedPoint> points;  // oldest first
  uint64_t spent = 0;               // the highest generation given to a failover, or that of the data
  std::optional<Failover> failover;
  std::vector<Reverted> set_aside;  // generations rise
  bool reverting = false;           // overlays of the last one set aside may still be at their active paths

  uint64_t newest() const { return chain.empty() ? 0 : chain.back().number.sequence; }
  // A listed point ends in it, or what was set aside is on it.
  bool keeps(FileNumber file) const;
  std::optional<size_t> index_of(FileNumber file) const;
  bool operator==(const Manifest&) const = default;
};

std::string encode_manifest(const Manifest& manifest);
Result<Manifest> decode_manifest(std::string_view text);  // corrupt, or not_supported for a newer version

// One layer of staged images, a file per disk in incoming/.
struct StagedLayer {
  TransferKey key;
  Cursor cursor;  // everything before it is durable in these files
  ChainLink link;
  uint64_t bytes = 0;  // of data, received up to the cursor
  bool operator==(const StagedLayer&) const = default;
};

struct StagingRecord {
  std::optional<StagedLayer> base;   // the passes of a first copy, one image a disk
  std::optional<StagedLayer> delta;  // on the base if there is one, else on the chain
  bool empty() const { return !base && !delta; }
  const StagedLayer& top() const { return delta ? *delta : *base; }
  bool operator==(const StagingRecord&) const = default;
};

std::string encode_cursor(const StagingRecord& record);
Result<StagingRecord> decode_cursor(std::string_view text);

}  // namespace understudy::store
