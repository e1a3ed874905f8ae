// The product's threads as fibers of one thread: each runs until it waits, and then the world chooses which
// one goes on. Time is a number that moves only when nobody can run.
#pragma once

#include <boost/context/fiber.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "base/waiting.h"

namespace understudy::sim {

using Owner = int;  // the host whose daemon a fiber belongs to

class Fibers final : public Scheduler {
 public:
  Fibers();
  ~Fibers() override;

  // --- Scheduler: from within a fiber, but for start() and notify() ---
  uint64_t start(const std::string& name, std::function<void()> body) override;  // of the caller's owner
  void join(uint64_t thread) override;
  bool wait(const void* what, Duration most) override;
  void notify(const void* what) override;
  Monotonic now() override { return now_; }

  void start_for(Owner owner, const std::string& name, std::function<void()> body);
  bool inside() const { return current_ != nullptr; }
  void rest(Duration time);  // lets time pass; 0: lets others run

  // --- the world ---
  size_t ready() const { return ready_.size(); }
  void run(size_t index);  // of those that are ready, until it waits
  std::optional<Monotonic> next_due() const;
  void advance(Monotonic to);
  // Runs those of the owner to their ends. All that they wait for fails; no time passes.
  void drain(Owner owner);
  std::string_view current() const;  // name; empty outside

 private:
  struct Fiber;
  void wake(Fiber& fiber, bool notified);
  bool suspend();  // says whether it was notified

  std::vector<std::unique_ptr<Fiber>> all_;  // in the order of their starts
  std::vector<Fiber*> ready_;
  Fiber* current_ = nullptr;
  boost::context::fiber world_;
  uint64_t last_id_ = 0;
  Monotonic now_{1'000'000};
};

}  // namespace understudy::sim
