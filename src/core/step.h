// What the rules of transitions.cc work with during one step: the event, the state, and the actions so far.
#pragma once

#include <string>

#include "base/assert.h"
#include "core/engine.h"

namespace understudy::core {

class Step {
 public:
  Step(Engine& engine, const Event& event, Now at) : engine_(engine), event_(event), now(at) {}

  State& state() { return engine_.state_; }
  const State& state() const { return engine_.state_; }
  Engine::Volatile& run() { return engine_.volatile_; }
  const Engine::Volatile& run() const { return engine_.volatile_; }
  Uuid new_id() { return engine_.ids_.next(); }
  template <class T>
  const T& as() const {
    const T* event = std::get_if<T>(&event_);
    US_ASSERT(event != nullptr);
    return *event;
  }
  const Event& event() const { return event_; }

  ActionId new_action() { return run().next_action++; }
  // A new action whose end the phase waits for.
  ActionId await() { return run().waiting = new_action(); }
  void act(Action action) { actions.push_back(std::move(action)); }
  void persist() { act(Persist{encode_state(state())}); }
  void forget() { act(Persist{}); }

  Job& begin_job(JobType type, std::string title);
  Job* running_job(JobType type);
  void end_job(JobType type, const Status& status);  // no error when none runs
  void terminate_job(Job& job, const Error& why);    // by request

  // Remembers why something did not work, with the time since when; `cleared` when it works again.
  void set_cause(const Error& error);
  void clear_cause();
  // Doubles from kRetryFirst to kRetryMost with every failure in a row.
  Duration next_retry();
  void arm(Duration from_now) { act(Arm{now.monotonic + from_now}); }

  Actions actions;

 private:
  Engine& engine_;
  const Event& event_;

 public:
  const Now now;
};

}  // namespace understudy::core
