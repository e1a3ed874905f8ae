// What the exit code of `understudy` says, once: the help, docs/reference/exit-codes.md and the man page show
// this table, and tests compare them. Which error has which code is a column of base/errors.def.
#pragma once

#include <array>
#include <string_view>

namespace understudy::cli {

struct ExitCode {
  int code;
  std::string_view meaning;
};

inline constexpr std::array kExitCodes = {
    ExitCode{0, "done"},
    ExitCode{1, "failed, or broken off by the user"},
    ExitCode{2, "wrong usage or parameter, or not confirmed"},
    ExitCode{3, "refused: not possible in this state, in use, or not supported"},
    ExitCode{4, "not found"},
    ExitCode{5, "access denied"},
    ExitCode{6, "not reachable, or out of time"},
    ExitCode{7, "check: there are warnings"},
    ExitCode{8, "check: a failover would fail, or lose what it need not"},
};

}  // namespace understudy::cli
