// The core thread: all engines of the host, one event at a time. Owns engines, timers, transfer slots and
// whoever waits for an answer; hands actions to the performer. docs/ARCHITECTURE.md, "Threads".
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

#include "base/thread.h"
#include "core/slots.h"
#include "performer/performer.h"

namespace understudy::performer {

using Answer =
    std::variant<core::Reply, core::PrepareReply, core::QueryReply, core::BeginReply, core::FinishReply>;

class CoreLoop {
 public:
  explicit CoreLoop(Ports ports);
  ~CoreLoop();

  // Reads the stored engines and opens the stores. Before start().
  Status load();
  void start();
  void stop();  // ends the performer and the core thread; whoever waits gets ErrorCode::cancelled

  // --- any thread ---
  void post(const Uuid& vm, core::Event event);
  // The same for news that only matter to a VM that has an engine.
  void post_known(const Uuid& vm, core::Event event);
  // Posts what `make` gives for a new call id, and waits for its answer.
  Result<Answer> ask(const Uuid& vm, const std::function<core::Event(core::CallId)>& make, Duration deadline);
  // Copies, with the progress of running jobs filled in.
  std::vector<core::State> states() const;
  std::optional<core::State> state(const Uuid& vm) const;
  Performer& performer() { return performer_; }

 private:
  struct Item {
    Uuid vm;
    core::Event event;
  };
  void run();
  void step(const Item& item);
  void perform(const Uuid& vm, const core::Actions& actions);
  Status persist(const Uuid& vm, const core::Persist& action);
  // After a failed Persist the engine goes on from what is durable, as after a crash.
  void reload(const Uuid& vm, const core::Actions& undone, size_t from, const Error& error);
  void answer(Answer answer);
  void publish(const core::State& state);
  void fill_progress(core::State& state) const;
  core::Engine& engine(const Uuid& vm);
  std::optional<Monotonic> next_timer() const;
  void fire_timers();

  Ports ports_;
  core::Slots slots_;
  std::map<Uuid, core::Engine> engines_;   // core thread
  std::map<Uuid, std::string> persisted_;  // core thread
  std::map<Uuid, Monotonic> timers_;       // core thread
  std::map<Uuid, Monotonic> restarts_;     // core thread: engines that go on after a failed Persist
  core::ActionId next_life_ = 1;           // core thread

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  core::CallId next_call_ = 1;
  std::map<core::CallId, std::promise<Answer>> waiting_;
  std::map<Uuid, core::State> published_;

  Performer performer_;
  Thread thread_;
};

}  // namespace understudy::performer
