// One front: a listener, its clients, and the daemon at the other end of a control channel. Every byte of a
// client ends here; the daemon gets values (docs/spec/processes.md).
#pragma once

#include "ipc/control.h"
#include "ipc/setup.h"

namespace understudy::front {

// Takes the setup and serves, in a process that is confined already and ends when the daemon is gone. It
// returns only with an error.
Status serve(ipc::Control& control);

}  // namespace understudy::front
