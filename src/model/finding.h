// What a look at a host or a VM found: good, or what is wrong with it and what to do. Plain values.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "model/states.h"

namespace understudy {

struct Finding {
  ReplicationHealth level = ReplicationHealth::ok;  // ok, warning or critical
  std::string check;                                // a word: what was looked at; one finding for each
  std::string cause;                                // a sentence
  std::string next;                                 // a command or a step; may be empty
  Wall since = {};                                  // when it was found first; never: just now
  bool operator==(const Finding&) const = default;
};

// What a host tells the other one of itself whenever they reconcile.
struct HostState {
  Wall clock;
  std::vector<Finding> findings;  // that are not good, at most limits::kMostFindings
  bool operator==(const HostState&) const = default;
};

}  // namespace understudy
