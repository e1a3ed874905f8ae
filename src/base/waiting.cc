#include "base/waiting.h"

#include <chrono>

namespace understudy {
namespace {
Scheduler* g_scheduler = nullptr;
}

Scheduler* scheduler() {
  return g_scheduler;
}
void set_scheduler(Scheduler* scheduler) {
  g_scheduler = scheduler;
}

Monotonic waiting_now() {
  return g_scheduler != nullptr ? g_scheduler->now() : SystemClock().now().monotonic;
}

bool Condition::wait_for(std::unique_lock<std::mutex>& lock, Duration most) {
  if (g_scheduler != nullptr) {
    lock.unlock();
    const bool notified = g_scheduler->wait(this, most);
    lock.lock();
    return notified;
  }
  if (most == kForever) {
    condition_.wait(lock);
    return true;
  }
  return condition_.wait_for(lock, std::chrono::microseconds(most.us)) == std::cv_status::no_timeout;
}

}  // namespace understudy
