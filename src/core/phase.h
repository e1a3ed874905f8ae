// The internal state of a relationship on one host. Finer than what is published: several phases show the
// same ReplicationState, and one state (8, critical) has a cause beside it. docs/ARCHITECTURE.md shows the
// diagram made from transitions.cc.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "model/states.h"

namespace understudy::core {

enum class Phase : uint8_t {
  none,  // no relationship; the engine may still hold jobs of the VM
  // the VM runs here (primary)
  creating,   // the replica host is asked to prepare
  ready,      // created, first copy not asked for
  idle,       // between cycles: waits for the next one, or for a retry
  inventory,  // hypervisor and replica are asked what they hold
  queued,     // waits for one of the host's transfer slots
  cutting,    // a backup job is being opened, with a checkpoint unless a pass goes on
  sending,    // data goes to the replica, up to its durable acknowledgement
  settling,   // obligations are discharged: the job ended, old checkpoints deleted
  unsynced,   // what changed is not known: waits for a resync to be asked for, or for its time
  halted,     // needs somebody: the cause is in State::cause
  ending,     // the relationship is removed: what it left on the VM goes
  // this host keeps the copy (replica)
  preparing,     // store, hold and domain are being made
  waiting,       // no complete point yet
  standby,       // at least one point
  stopping,      // failover asked for: receiving and merging end
  failing_over,  // generation raised, overlays made
  releasing,     // hold lifted
  failed_over,   // may be started
  reverting,     // held again, then what the guest wrote is set aside
  retiring,      // the relationship is removed: the VM becomes an ordinary one
};

std::string_view phase_name(Phase phase);
Result<Phase> phase_from_name(std::string_view name);

bool is_primary(Phase phase);  // creating..ending; creating still shows mode 0
bool is_replica(Phase phase);

}  // namespace understudy::core
