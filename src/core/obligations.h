// What an engine owes; plain values.
#pragma once

#include <string>
#include <vector>

namespace understudy::core {

// Things that must still be done whatever else happens; shown in health when they do not succeed.
struct Obligations {
  bool end_job = false;  // and resume a guest that the job's scratch made pause
  std::vector<std::string> delete_checkpoints;
  std::string hold;             // reason; empty = no hold to set
  bool lift_hold = false;       // the other side gave its failover up
  bool forget_changes = false;  // what was written to disks while the VM was off: a comparison covers it
  bool unwatch = false;         // nobody needs to know of such changes any more
  bool empty() const {
    return !end_job && delete_checkpoints.empty() && hold.empty() && !lift_hold && !forget_changes &&
           !unwatch;
  }
};

}  // namespace understudy::core
