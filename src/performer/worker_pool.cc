#include "performer/worker_pool.h"

namespace understudy::performer {

WorkerPool::WorkerPool(const std::string& name, size_t threads, size_t most_queued)
    : most_queued_(most_queued) {
  for (size_t i = 0; i < threads; ++i)
    threads_.emplace_back(name + "-" + std::to_string(i), [this] { run(); });
}

WorkerPool::~WorkerPool() {
  stop();
}

Status WorkerPool::submit(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(ErrorCode::cancelled, "the daemon is stopping");
    if (queue_.size() >= most_queued_)
      return fail(ErrorCode::out_of_memory, "too much work is queued on this host");
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
  return {};
}

void WorkerPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  wake_.notify_all();
  for (Thread& thread : threads_) thread.join();
}

void WorkerPool::run() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace understudy::performer
