// Other programs: started without a shell, with three descriptors and no more of ours, and never waited for
// without a deadline. Any thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "base/time.h"

namespace understudy {

struct Program {
  enum class Group { ours, own, session };  // of processes
  std::vector<std::string> words;           // the first: a path, or a name that is looked for in PATH
  // NAME=value; none: what this process has.
  std::optional<std::vector<std::string>> environment = std::nullopt;
  int input = -1;  // a descriptor, as the next two; -1: /dev/null
  int output = -1;
  int errors = -1;
  Group group = Group::ours;
};

// The caller waits for it (end_of()). ErrorCode::failed with errno's text.
Result<pid_t> start_program(const Program& program);

// Its status as waitpid(2) has it. None: it did not end within `most`, or was not waited for any longer, and
// was killed, with all its group when it has its own.
std::optional<int> end_of(pid_t child, Program::Group group, Duration most,
                          const CancelToken& cancel = CancelToken());

enum class Said { output, errors };
// Runs it, and hands over what it says there, piece by piece, until it ends. The status as that of end_of().
Result<std::optional<int>> run_program(Program program, Said where,
                                       const std::function<void(std::string_view)>& take, Duration most);

// The path of a program that is installed beside the running one.
Result<std::string> beside_this_program(const std::string& name);

bool ended_well(const std::optional<int>& status);  // by itself, with exit code 0

}  // namespace understudy
