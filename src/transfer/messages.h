// What two hosts say to each other (docs/spec/wire.md gives the encoding). Plain values; JSON on the wire,
// bounded and versioned; unknown members are ignored, missing mandatory ones refused.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/holdings.h"
#include "model/recovery_point.h"
#include "model/settings.h"
#include "model/vm_definition.h"

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
};

}  // namespace understudy::transfer
