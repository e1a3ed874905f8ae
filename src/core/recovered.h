// The engine of a replica, rebuilt from what its store says of itself: for a host that lost its database
//. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/state.h"

namespace understudy::core {

struct FoundReplica {
  Uuid vm;
  std::string name;
  std::string directory;
  std::string primary;   // certificate name
  std::string settings;  // as the engine gave them to the store; empty: none
  std::vector<DiskGeometry> disks;
  Lineage newest;
  std::vector<RecoveryPoint> points;  // oldest first
  struct OpenFailover {
    Uuid point;
    uint64_t generation = 0;
    bool complete = false;
  };
  std::optional<OpenFailover> failover;
};

// Does a stored engine know of a relationship? One that is kept only for its last jobs does not.
bool knows_relationship(std::string_view stored);

// Goes on where the store stands: receiving, or at the step of the failover that is not known to be done.
Result<State> recovered_state(const FoundReplica& found, Wall now);

}  // namespace understudy::core
