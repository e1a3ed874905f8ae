// A guest whose file systems its agent keeps frozen for the moment of a cut; for this folder only.
#pragma once

#include <string_view>

#include "base/time.h"
#include "hypervisor/domain.h"
#include "hypervisor/guard.h"

namespace understudy::hypervisor {

class FrozenGuest {
 public:
  // Starts the guard, then asks the agent; bounded by limits::kAgentAnswer. `live_xml`: of the domain, which
  // outlives us. After an error the guest is not frozen, or the guard is at work to thaw it.
  static Result<FrozenGuest> freeze(virDomain* domain, std::string_view live_xml, const GuardTask& task);
  FrozenGuest(FrozenGuest&& other) noexcept
      : domain_(std::exchange(other.domain_, nullptr)),
        guard_(std::move(other.guard_)),
        since_(other.since_) {}
  ~FrozenGuest();  // thaws

  // Once. An error when the guest may have written before it: what was done meanwhile is not consistent.
  Status thaw();
  Monotonic since() const { return since_; }  // the freeze did not begin earlier

 private:
  FrozenGuest(virDomain* domain, Guard guard, Monotonic since)
      : domain_(domain), guard_(std::move(guard)), since_(since) {}
  virDomain* domain_;  // null: thawed
  Guard guard_;
  Monotonic since_;
};

// Asks the agent a harmless question, for at most limits::kAgentAnswer. Not while the guest is frozen by us.
Status agent_answers(virDomain* domain, std::string_view live_xml);

// Undoes a freeze of ours whose daemon and guard are both gone. What somebody else has frozen stays frozen.
Status thaw_left_over(virDomain* domain, const std::string& mark);

}  // namespace understudy::hypervisor
