// One front: a listener, its clients, and the daemon at the other end of a control channel. Every byte of a
// client ends here; the daemon gets values (docs/spec/processes.md).
#pragma once

#include "ipc/control.h"
#include "ipc/setup.h"

namespace understudy::front {

// Takes the setup and serves; the process, which is confined already, ends when the daemon is gone. It returns
// only with an error, which has been told to the daemon.
Status run(ipc::Control& control);

}  // namespace understudy::front
