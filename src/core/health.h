// ReplicationHealth with its reason: never a level without cause, since when, and what to do
// (spec/replication.md 3.6). A function of the state and the clock, so that every view says the same.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "core/state.h"

namespace understudy::core {

struct Health {
  ReplicationHealth level = ReplicationHealth::not_applicable;
  std::string cause;  // a sentence; empty when ok
  std::string next;   // a command or a step; may be empty
  Wall since;
};

// The worst of what is wrong; ok when nothing is.
Health health_of(const State& state, Wall now);
// All that is wrong, the worst first: of the relationship, of this host, of the other one, of their clocks.
std::vector<Health> health_issues(const State& state, Wall now);

}  // namespace understudy::core
