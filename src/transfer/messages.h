// What two hosts say to each other (docs/spec/wire.md gives the encoding). Plain values; JSON on the wire,
// bounded and versioned; unknown members are ignored, missing mandatory ones refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/holdings.h"
#include "model/recovery_point.h"
#include "model/settings.h"
#include "model/vm_definition.h"
#include "transfer/block_hash.h"

namespace understudy::transfer {

inline constexpr uint32_t kProtocolVersion = 1;

struct Hello {
  uint32_t least_version = 1;
  uint32_t most_version = kProtocolVersion;
  std::vector<std::string> features;  // "zstd"; what both name is used
  std::string host;                   // the sender's name for itself
  std::string product_version;
  Wall clock;  // for the skew shown in health
};
struct PrepareRequest {  // make the replica VM and its empty store
  VmDefinition definition;
  ReplicationSettings settings;
  Lineage lineage;  // set and generation; sequence 0
  std::vector<DiskGeometry> disks;
};
struct PrepareAnswer {
  std::string recovery_host_system;
  std::vector<std::string> warnings;  // what starts differently there: an unmapped network
};
struct QueryRequest {
  Uuid vm;
  // As the primary has them now; the replica takes them. None from a primary of before they travelled.
  std::optional<ReplicationSettings> settings = std::nullopt;
  std::optional<HostState> host = std::nullopt;
};
struct BeginRequest {
  Uuid vm;
  TransferKey key;
  uint32_t granule = 0;
  uint64_t bytes_total = 0;  // of data, for the replica's progress
};
struct FinishRequest {
  Uuid vm;
  TransferKey key;
  Uuid point_id;
  PointType type = PointType::standard;
  Wall cut;
  PointKeep keep = PointKeep::no;
  std::optional<VmDefinition> definition = std::nullopt;  // as of the cut
  Bytes nvram = {};  // as of the cut, only with a definition; at most limits::kMostNvram
};
struct HashesRequest {  // of what the replica holds
  Uuid vm;
  Lineage newest;       // the point whose bytes are meant; anything else is refused (invalid_state)
  uint32_t disk = 0;    // the range: of one disk, from a multiple of `block` to another or to the end,
  uint64_t offset = 0;  // at most limits::kMostHashRange
  uint64_t length = 0;
  uint32_t block = 0;  // the granule, 4096..65536
  Bytes secret;        // of HashSecret
};
struct HashesAnswer {
  std::vector<HashRun> runs;  // exactly the blocks of the range, in order
};

}  // namespace understudy::transfer
