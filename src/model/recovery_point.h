// A listed recovery point: every included disk at one instant of the primary (product rule 3).
#pragma once

#include "base/ids.h"
#include "base/time.h"
#include "model/lineage.h"
#include "model/states.h"

namespace understudy {

struct RecoveryPoint {
  Uuid id;  // names the point in Msvm_VirtualSystemSettingData.InstanceID
  Lineage lineage;
  PointType type = PointType::standard;
  Wall cut;            // instant of the cut, by the primary's clock
  Wall received;       // published here, by the replica's clock
  uint64_t bytes = 0;  // data received for it
  PointKeep keep = PointKeep::no;
  bool operator==(const RecoveryPoint&) const = default;
};

}  // namespace understudy
