#include "daemon/vm_finder.h"

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "base/waiting.h"

namespace understudy::daemon {

VmFinder::VmFinder(Find find) : find_(std::move(find)) {
  for (size_t i = 0; i < limits::kHypervisorAskers; ++i)
    threads_.emplace_back("vm-finder", [this] { run(); });
}

VmFinder::~VmFinder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (Thread& thread : threads_) thread.join();
}

Result<core::VmSummary> VmFinder::find(const Uuid& vm, Duration deadline) {
  std::future<Result<core::VmSummary>> answer;
  {
    const std::lock_guard lock(mutex_);
    questions_.push_back({vm, waiting_now() + deadline, {}});
    answer = questions_.back().answer.get_future();
  }
  wake_.notify_all();
  if (answer.wait_for(std::chrono::microseconds(deadline.us)) == std::future_status::ready)
    return answer.get();
  return fail(ErrorCode::not_available, "libvirt has not answered within " + age_text(deadline),
              "is libvirtd running? systemctl status libvirtd");
}

std::optional<VmFinder::Question> VmFinder::next() {
  std::erase_if(questions_,
                [](const Question& q) { return waiting_now() >= q.until; });  // nobody waits any more
  const auto found =
      std::ranges::find_if(questions_, [this](const Question& q) { return !asked_for_.contains(q.vm); });
  if (found == questions_.end()) return std::nullopt;
  Question question = std::move(*found);
  questions_.erase(found);
  return question;
}

void VmFinder::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::optional<Question> question = next();
    if (!question) {
      wake_.wait(lock);
      continue;
    }
    asked_for_.insert(question->vm);
    lock.unlock();
    question->answer.set_value(find_(question->vm));
    lock.lock();
    asked_for_.erase(question->vm);
    wake_.notify_all();
  }
}

}  // namespace understudy::daemon
