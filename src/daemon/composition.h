// Puts the daemon together: which adapter stands behind which interface, and in which order things start and
// stop.
#pragma once

#include <memory>

#include "daemon/config.h"

namespace understudy::daemon {

class Composition {
 public:
  // Everything runs when it returns; an error leaves nothing running.
  static Result<std::unique_ptr<Composition>> start(const Config& config);
  // Stops in the order of docs/ARCHITECTURE.md, "Threads".
  virtual ~Composition() = default;
};

}  // namespace understudy::daemon
