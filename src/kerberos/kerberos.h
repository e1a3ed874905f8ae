// understudy-kerberos: has this host's keys of Kerberos, and says whose a token is. Every token of a stranger
// is opened here; the daemon gets a name, or the reason why not (docs/spec/processes.md).
#pragma once

#include "ipc/control.h"

namespace understudy::kerberos {

// In the root of the process, its own: the tokens that were taken.
inline constexpr const char* kReplays = "replays";
inline constexpr size_t kMostReplays = 64 << 20;  // 16 bytes for a token of the last 300 s, hashed

// Takes the setup and serves, in a process that is confined already and ends when the daemon is gone. It
// returns only with an error.
Status serve(ipc::Control& control);

}  // namespace understudy::kerberos
