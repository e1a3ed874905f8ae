// The core thread: one event at a time for all engines of the host. Owns the queue and whoever waits for an
// answer. docs/ARCHITECTURE.md, "Threads".
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <vector>

#include "base/thread.h"
#include "performer/core.h"
#include "performer/worker_pool.h"

namespace understudy::performer {

class CoreLoop final : public Asker {
 public:
  explicit CoreLoop(Ports ports);
  ~CoreLoop() override;

  // Reads the stored engines and opens the stores. Before start().
  Status load();
  void start();
  void stop();  // ends the performer and the core thread; whoever waits gets ErrorCode::cancelled

  // --- any thread ---
  void post(const Uuid& vm, core::Event event);
  // The same for news that only matter to a VM that has an engine.
  void post_known(const Uuid& vm, core::Event event);
  Result<Answer> ask(const Uuid& vm, const std::function<core::Event(core::CallId)>& make,
                     Duration deadline) override;
  // Copies, with the progress of running jobs filled in.
  std::vector<core::State> states() const;
  std::optional<core::State> state(const Uuid& vm) const override;
  std::optional<Uuid> vm_of_job(const Uuid& job) const;  // whose engine keeps the job
  std::vector<Uuid> replicas() const;                    // those of which this host holds a replica
  Performer& performer() override { return core_.performer(); }

 private:
  struct Item {
    Uuid vm;
    core::Event event;
  };
  void run();
  void answer(Answer answer);
  void publish(const core::State& state);
  void fill_progress(core::State& state) const;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  core::CallId next_call_ = 1;
  std::map<core::CallId, std::promise<Answer>> waiting_;
  std::map<Uuid, core::State> published_;

  WorkerPools pools_;
  Clock& clock_;
  Core core_;  // core thread, but for its performer
  Thread thread_;
};

}  // namespace understudy::performer
