// An Understudy_ReplicationStatus in words. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "cim/value.h"

namespace understudy::cli {

std::string state_text(const cim::Instance& status);  // "replicating", "first copy 25 %"; "-": not replicated
std::string newest_age(const cim::Instance& status);  // of the newest recovery point: "14 s"; "-": none
std::string other_host(const cim::Instance& status);  // the primary's, or the replica's
std::string health_note(const cim::Instance& status);  // "warning: CAUSE. Next: STEP"; "" when it is Ok

// All VMs as a table, and under it what is wrong with them.
std::string list_text(const std::vector<cim::Instance>& all);

}  // namespace understudy::cli
