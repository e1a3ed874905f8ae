#include "daemon/vm_finder.h"

#include <chrono>

#include "base/waiting.h"

namespace understudy::daemon {

VmFinder::VmFinder(Find find, Duration deadline)
    : find_(std::move(find)), deadline_(deadline), thread_("vm-finder", [this] { run(); }) {}

VmFinder::~VmFinder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Result<core::VmSummary> VmFinder::find(const Uuid& vm) {
  std::future<Result<core::VmSummary>> answer;
  {
    const std::lock_guard lock(mutex_);
    questions_.push_back({vm, waiting_now() + deadline_, {}});
    answer = questions_.back().answer.get_future();
  }
  wake_.notify_all();
  if (answer.wait_for(std::chrono::microseconds(deadline_.us)) == std::future_status::ready)
    return answer.get();
  return fail(ErrorCode::not_available, "libvirt has not answered within " + age_text(deadline_),
              "is libvirtd running? systemctl status libvirtd");
}

void VmFinder::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
    if (stopping_) return;
    Question next = std::move(questions_.front());
    questions_.pop_front();
    if (waiting_now() >= next.until) continue;  // nobody waits for it any more
    lock.unlock();
    next.answer.set_value(find_(next.vm));
    lock.lock();
  }
}

}  // namespace understudy::daemon
