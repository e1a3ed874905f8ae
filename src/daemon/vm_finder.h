// Asks libvirt for one VM with a deadline: a libvirtd that hangs is known as such after some 25 s only, and a
// method must not wait for that before it answers 32777. libvirt does not answer for a VM that it is starting
// either: while there are fewer of those than limits::kHypervisorAskers, nobody who asks for another one
// waits for that. Any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <vector>

#include "base/thread.h"
#include "core/ports/hypervisor.h"

namespace understudy::daemon {

class VmFinder {
 public:
  using Find = std::function<Result<core::VmSummary>(const Uuid&)>;  // may hang
  explicit VmFinder(Find find);
  ~VmFinder();  // waits for the answers that are on their way
  VmFinder(const VmFinder&) = delete;
  VmFinder& operator=(const VmFinder&) = delete;

  // not_found; not_available when the answer does not come within the deadline.
  Result<core::VmSummary> find(const Uuid& vm, Duration deadline);

 private:
  struct Question {
    Uuid vm;
    Monotonic until;
    std::promise<Result<core::VmSummary>> answer;
  };
  void run();
  std::optional<Question> next();  // with the lock held; of a VM that nobody is asking for

  const Find find_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Question> questions_;
  std::set<Uuid> asked_for_;
  bool stopping_ = false;
  std::vector<Thread> threads_;
};

}  // namespace understudy::daemon
