// The engine of one VM on one host: pure, deterministic, without threads, clocks or adapters. It is told
// events and answers with actions; transitions.cc is its whole behaviour, one line per case.
#pragma once

#include <functional>
#include <optional>

#include "base/time.h"
#include "core/action.h"
#include "core/state.h"

namespace understudy::core {

struct Transition;

// Ids are injected, so that one seed gives one trace.
class Ids {
 public:
  virtual ~Ids() = default;
  virtual Uuid next() = 0;
};

class Engine {
 public:
  // `ids` outlives the engine. Action ids count up from `first_action`: different for each life of an engine,
  // so that a late result of an earlier one is not taken for its own.
  Engine(State state, Ids& ids, ActionId first_action = 1) : state_(std::move(state)), ids_(ids) {
    volatile_.next_action = first_action;
  }

  Actions step(const Event& event, Now now);
  const State& state() const { return state_; }
  // The row of the table that was taken by the last step; null when none fitted.
  const Transition* row() const { return row_; }

 private:
  friend class Step;
  // Known only within one run of the daemon.
  struct Volatile {
    ActionId next_action = 1;
    ActionId waiting = 0;     // the one action of the phase whose end is awaited
    ActionId merging = 0;     // a merge that runs beside receiving
    ActionId power = 0;       // a start or stop that runs
    ActionId network = 0;     // a GiveNetwork that runs
    ActionId staging = 0;     // an OpenStaging or Publish that runs
    CallId staging_call = 0;  // who waits for it
    std::string sender;       // whose staging it opens
    CallId prepare_call = 0;
    uint64_t finish_bytes = 0;
    uint32_t failures = 0;  // in a row, for the back-off
    std::optional<Monotonic> next_cut;
    std::optional<Monotonic> cycle_started;
    Monotonic network_since{};  // when the guest's agent was first waited for
  };
  State state_;
  Volatile volatile_;
  const Transition* row_ = nullptr;
  Ids& ids_;
};

}  // namespace understudy::core
