// What other rules of a failed-over VM need of its network settings; network.cc has the rules themselves.
#pragma once

#include "core/step.h"

namespace understudy::core::rules {

// When they are due and the VM runs: asks the guest to take them, under a job. Does nothing else.
void begin_network(Step& step);
// Nobody waits for the guest any more; a job that did ends with this. Does not persist.
void end_network(Step& step, const std::string& why);

}  // namespace understudy::core::rules
