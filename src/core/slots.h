// The host's scheduler in its first form: so many transfers at once, first come first served. Pure; core
// thread.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <set>

#include "base/ids.h"

namespace understudy::core {

class Slots {
 public:
  explicit Slots(size_t most) : most_(most) {}
  // True when granted at once; else the VM waits and is named by a later release().
  bool request(const Uuid& vm);
  // Also ends waiting. Returns who is granted a slot now.
  std::optional<Uuid> release(const Uuid& vm);

 private:
  size_t most_;
  std::set<Uuid> running_;
  std::deque<Uuid> waiting_;
};

}  // namespace understudy::core
