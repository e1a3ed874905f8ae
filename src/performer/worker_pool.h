// A fixed number of named threads that run blocking work, oldest first. Destroyed by its owner after stop().
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/thread.h"
#include "performer/executor.h"

namespace understudy::performer {

class WorkerPool final : public Executor {
 public:
  WorkerPool(const std::string& name, size_t threads, size_t most_queued);
  ~WorkerPool() override;
  Status submit(std::function<void()> work) override;
  void stop() override;

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  size_t most_queued_;
  bool stopping_ = false;
  std::vector<Thread> threads_;
};

// The daemon's: docs/ARCHITECTURE.md, "Threads".
struct WorkerPools {
  static constexpr size_t kMergers = 2;
  static constexpr size_t kMostQueued = limits::kMostVms * 4;
  WorkerPool workers{"worker", limits::kWorkers, kMostQueued};
  WorkerPool senders{"sender", limits::kMostTransfers, kMostQueued};
  WorkerPool mergers{"merger", kMergers, kMostQueued};
  Executors executors() { return {workers, senders, mergers}; }
};

}  // namespace understudy::performer
