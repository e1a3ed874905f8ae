// What happened, in order: as a hash always, as text when a seed is told.
#pragma once

#include <functional>
#include <string>

#include "core/state.h"
#include "fibers.h"

namespace understudy::sim {

class Host;

class Trace {
 public:
  Trace(const Fibers& fibers, bool print) : fibers_(const_cast<Fibers&>(fibers)), print_(print) {}
  void add(uint64_t value) { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15 + (hash_ >> 29); }
  void add(std::string_view text);
  void note(std::string_view what, int host, uint64_t value = 0);
  void step(const Host& host, std::string_view event, const core::State& before);
  void text(const std::function<std::string()>& make);
  uint64_t hash() const { return hash_; }
  bool printing() const { return print_; }

 private:
  Fibers& fibers_;
  const bool print_;
  uint64_t hash_ = 0x5eed;
};

}  // namespace understudy::sim
