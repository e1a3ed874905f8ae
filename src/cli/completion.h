// What may come next on a command line: for the completion of a shell, from the tables of the commands. Pure
// but for `names`.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"

namespace understudy::cli {

// The line that asks the shell to complete names of files.
inline constexpr std::string_view kCompleteFiles = "%files";

// Names of what there is now, by what an argument is called: "VM", "ID" (jobs), "PRIMARY" (authorized),
// "HOST" (primaries of the replicas here). Empty when the daemon does not answer.
using Names = std::function<std::vector<std::string>(std::string_view what)>;

// Candidates for the last of `words`, which may be empty; sorted, each once.
std::vector<std::string> complete(std::span<const Command> commands, std::span<const Option> global_options,
                                  const std::vector<std::string>& words, const Names& names);

}  // namespace understudy::cli
