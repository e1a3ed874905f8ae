// What a replica knows of its primary's life. Only the primary connects, so it is when it last asked or sent
// something. One rule, for what is shown and for what a failover is told.
#pragma once

#include <optional>

#include "base/time.h"
#include "core/state.h"

namespace understudy::core {

struct PrimarySeen {
  std::optional<Duration> heard;  // so long ago; none: never in this run of the daemon
  // Heard within two replication intervals and 30 s: a primary that replicates asks once an interval, or once
  // a minute while its VM is off, and one cycle may be late. Its VM may run then: the newest cut (Times) is
  // the last instant at which it is known to have run, and nothing tells that it was turned off since.
  bool alive = false;
};

// `received`: when data of a transfer that goes on came last. A long one has no questions in it.
PrimarySeen primary_seen(const State& state, std::optional<Monotonic> received, Monotonic now);

}  // namespace understudy::core
