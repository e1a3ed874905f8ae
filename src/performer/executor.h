// Where the performer's work runs: one kind of work each, oldest first. WorkerPool has threads of its own; a
// simulation runs the same work on one thread, in an order it chooses.
#pragma once

#include <functional>

#include "base/result.h"

namespace understudy::performer {

class Executor {
 public:
  virtual ~Executor() = default;
  // out_of_memory when too much is queued, cancelled after stop(). Any thread.
  virtual Status submit(std::function<void()> work) = 0;
  // Running work ends (its owner cancels it), queued work is dropped. May be called again.
  virtual void stop() = 0;
};

// All outlive the performer.
struct Executors {
  Executor& workers;  // short calls
  Executor& senders;  // one at a time for each transfer slot
  Executor& mergers;  // never in the way of a failover
};

}  // namespace understudy::performer
