// A fixed number of named threads that run blocking work, oldest first. Destroyed by its owner after stop().
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread.h"

namespace understudy::performer {

class WorkerPool {
 public:
  WorkerPool(const std::string& name, size_t threads, size_t most_queued);
  ~WorkerPool();
  // out_of_memory when the queue is full, cancelled after stop(). Any thread.
  Status submit(std::function<void()> work);
  // Running work ends (its owner cancels it), queued work is dropped.
  void stop();

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  size_t most_queued_;
  bool stopping_ = false;
  std::vector<Thread> threads_;
};

}  // namespace understudy::performer
