// What the failover of one VM and that of a whole host have in common.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"

namespace understudy::cli {

// The point that --point or --at names, else the latest.
Result<size_t> choose_point(const std::vector<cim::Instance>& points, const std::string& vm,
                            const Arguments& arguments);
// " --point 'x'", " --at 'y'": what was given of the two, for a command that is named to the user.
std::string chosen_options(const Arguments& arguments);

// Parameters of InitiateFailover. Without a point it is the latest at that time, which may be newer than what
// was shown.
cim::Instance failover_parameters(const cim::Instance& status, const std::optional<cim::Instance>& point);

// The primary may still run what is failed over, and --primary-is-running is not given. On a terminal `name`
// has to be typed, after "type the name of the WHAT: "; `--yes` alone, or nobody to ask, is `refusal`.
Status confirm_second_copy(Session& session, const Arguments& arguments, const std::string& what,
                           const std::string& name, Error refusal);

// Starts a VM and waits for it.
Status start_vm(Session& session, const cim::Instance& status);

}  // namespace understudy::cli
