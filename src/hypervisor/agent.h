// A guest's agent (qemu-guest-agent), for this folder only: is there one that could be asked, and programs
// that it runs in the guest.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/time.h"
#include "hypervisor/domain.h"
#include "model/json.h"

namespace understudy::hypervisor {

// What can be known without asking the agent. `live_xml`: of the running domain. not_supported: the VM has no
// channel for one; not_available: none runs in the guest; invalid_state: the VM is paused.
Status check_agent(const std::string& name, virDomain* domain, std::string_view live_xml);

struct GuestProgram {
  std::string path;
  std::vector<std::string> arguments;  // each reaches the program as it is: no shell is between
  std::string input;                   // its standard input
};
struct GuestResult {
  int64_t exit_code = 0;  // -1: ended by a signal
  std::string out, err;   // up to limits::kMostGuestText of each
};
// What the agent's answer returns, and what that of guest-exec-status says: nothing while the program runs.
Result<JsonObject> read_reply(std::string_view text);
Result<std::optional<GuestResult>> read_status(const JsonObject& status);

// Runs it to its end. timeout, not_available: the agent did not answer; failed: it refused, or the program
// did not end within `most`; cancelled. A program that is not waited for any more runs on.
Result<GuestResult> run_in_guest(virDomain* domain, const GuestProgram& program, Duration most,
                                 const CancelToken& cancel);

}  // namespace understudy::hypervisor
