// How code waits: the kernel's threads, unless a simulation puts a scheduler of its own below Thread,
// Condition and CancelToken. Then the same code runs on one thread, in an order and on a clock that the
// simulation chooses.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "base/time.h"

namespace understudy {

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual uint64_t start(const std::string& name, std::function<void()> body) = 0;
  virtual void join(uint64_t thread) = 0;
  // Until notify() of the same, or false when `most` has passed. May return for no reason.
  virtual bool wait(const void* what, Duration most) = 0;
  virtual void notify(const void* what) = 0;
  virtual Monotonic now() = 0;
};

// None, unless set before the first thread is made. Not changed while any lives.
Scheduler* scheduler();
void set_scheduler(Scheduler* scheduler);

// What waits are measured by.
Monotonic waiting_now();

// A condition variable for std::mutex.
class Condition {
 public:
  static constexpr Duration kForever{INT64_MAX};

  void notify_all() {
    if (Scheduler* below = scheduler())
      below->notify(this);
    else
      condition_.notify_all();
  }
  template <class Predicate>
  void wait(std::unique_lock<std::mutex>& lock, Predicate holds) {
    while (!holds()) wait_for(lock, kForever);
  }
  // What the predicate says in the end.
  template <class Predicate>
  bool wait_for(std::unique_lock<std::mutex>& lock, Duration most, Predicate holds) {
    const Monotonic start = waiting_now();
    while (!holds()) {
      const Duration left = most - (waiting_now() - start);
      if (left.us <= 0 || !wait_for(lock, left)) return holds();
    }
    return true;
  }
  // Once: false when `most` has passed. May return for no reason.
  bool wait_for(std::unique_lock<std::mutex>& lock, Duration most);

 private:
  std::condition_variable condition_;
};

}  // namespace understudy
