// Where a copy of a VM's disks descends from (docs/spec/store.md, "Lineage"). A replica takes data only of
// its own set and generation, and only when it continues the sequence it holds.
#pragma once

#include <compare>
#include <cstdint>

#include "base/ids.h"

namespace understudy {

struct Lineage {
  Uuid set;  // the disk set: random at the first copy
  uint64_t generation =
      0;  // raised, durably, by the side that gains the right to write, before its hold is lifted
  uint64_t sequence = 0;  // of a cut; grows with every attempt, never used twice; 0 = nothing yet
  bool operator==(const Lineage&) const = default;
};

}  // namespace understudy
