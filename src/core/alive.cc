#include "core/alive.h"

#include <algorithm>

namespace understudy::core {
namespace {

constexpr Duration kLate = Duration::seconds(30);

Duration alive_for(const State& state) {
  return Duration::seconds(state.settings.replication_interval) * 2 + kLate;
}

}  // namespace

PrimarySeen primary_seen(const State& state, std::optional<Monotonic> received, Monotonic now) {
  PrimarySeen seen;
  if (!is_replica(state.phase)) return seen;
  const std::optional<Monotonic> last = std::max(state.heard, received);  // none is below all
  if (!last) return seen;
  seen.heard = std::max(now - *last, Duration{});
  seen.alive = *seen.heard <= alive_for(state);
  return seen;
}

}  // namespace understudy::core
