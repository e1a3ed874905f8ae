// All engines of the host and what they share: timers, transfer slots, stored intent, the performer. It has
// no thread, no queue and no wait: whoever owns it hands in one event at a time, fires the timers when they
// are due and takes what comes out. CoreLoop does so on the core thread, a simulation in an order it chooses.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "core/slots.h"
#include "performer/asker.h"

namespace understudy::performer {

class Core {
 public:
  struct Outlets {
    // To be handed to step() later, in the order of posting. Called from any thread.
    std::function<void(const Uuid& vm, core::Event event)> post;
    std::function<void(Answer answer)> answer;
    std::function<void(const core::State& state)> changed;
    // For who watches every step, after its state has changed and before its actions; may be empty.
    std::function<void(const core::State& before, const core::Event& event, const core::Engine& after)>
        stepped{};
  };

  // What the executors refer to, and what the outlets do, outlives this.
  Core(Ports ports, Executors executors, Outlets outlets);

  // Reads the stored engines, opens the stores, and posts a start to each engine. Once, before step().
  Status load();
  void step(const Uuid& vm, const core::Event& event);
  std::optional<Monotonic> next_timer() const;
  void fire_timers();
  Performer& performer() { return performer_; }
  const Performer& performer() const { return performer_; }

 private:
  void perform(const Uuid& vm, const core::Actions& actions);
  Status persist(const Uuid& vm, const core::Persist& action);
  // After a failed Persist the engine goes on from what is durable, as after a crash.
  void reload(const Uuid& vm, const core::Actions& undone, size_t from, const Error& error);
  core::Engine& engine(const Uuid& vm);

  Ports ports_;
  Outlets outlets_;
  core::Slots slots_;
  std::map<Uuid, core::Engine> engines_;
  std::map<Uuid, std::string> persisted_;
  std::map<Uuid, Monotonic> timers_;
  std::map<Uuid, Monotonic> restarts_;  // engines that go on after a failed Persist
  core::ActionId next_life_ = 1;
  Performer performer_;
};

}  // namespace understudy::performer
