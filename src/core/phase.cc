#include "core/phase.h"

#include <array>

#include "core/state.h"

namespace understudy::core {
namespace {
constexpr std::array<std::string_view, 21> kNames = {
    "none",    "creating", "ready",        "idle",      "inventory",   "queued",    "cutting",
    "sending", "settling", "unsynced",     "halted",    "ending",      "preparing", "waiting",
    "standby", "stopping", "failing_over", "releasing", "failed_over", "reverting", "retiring"};
}  // namespace

std::string_view phase_name(Phase phase) {
  return kNames.at(static_cast<size_t>(phase));
}

Result<Phase> phase_from_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Phase>(i);
  return fail(ErrorCode::corrupt, "unknown phase '" + std::string(name) + "'");
}

bool is_primary(Phase phase) {
  return phase >= Phase::creating && phase <= Phase::ending;
}
bool takes_settings(const State& state) {
  return state.phase == Phase::waiting || state.phase == Phase::standby;
}
bool is_replica(Phase phase) {
  return phase >= Phase::preparing;
}

bool note_power(Failover& failover, bool runs, Wall now) {
  if (runs == !failover.running_since.never()) return false;
  if (!runs) failover.ran_seconds = ran_seconds(failover, now);
  failover.running_since = runs ? now : Wall();
  return true;
}

uint64_t ran_seconds(const Failover& failover, Wall now) {
  const bool runs = !failover.running_since.never() && failover.running_since < now;
  return failover.ran_seconds +
         (runs ? static_cast<uint64_t>((now - failover.running_since).whole_seconds()) : 0);
}

ReplicationMode mode_of(const State& state) {
  switch (state.phase) {
    case Phase::none:
    case Phase::creating:
    case Phase::preparing:
      return ReplicationMode::none;
    default:
      return is_primary(state.phase) ? ReplicationMode::primary : ReplicationMode::replica;
  }
}

namespace {
// Of a phase in which a relationship is at work or waits: what an operator has asked for comes first.
ReplicationState working_state(const State& state) {
  const bool comparing = state.resync && state.resync->running;
  if (state.suspended) return comparing ? ReplicationState::resync_suspended : ReplicationState::suspended;
  if (comparing) return ReplicationState::resynchronizing;
  if (state.resync) {
    const bool will =
        state.resync->cancelled || state.resync->due || state.settings.auto_resynchronize_enabled;
    return will ? ReplicationState::waiting_for_resync : ReplicationState::critical;
  }
  return state.first_copy_done() ? ReplicationState::replicating : ReplicationState::waiting_to_complete;
}
}  // namespace

ReplicationState published_state(const State& state) {
  switch (state.phase) {
    case Phase::none:
    case Phase::creating:
    case Phase::preparing:
      return ReplicationState::disabled;
    case Phase::ready:
      return ReplicationState::ready;
    case Phase::halted:
      return state.suspended ? ReplicationState::suspended : ReplicationState::critical;
    case Phase::waiting:
      return state.suspended ? ReplicationState::suspended : ReplicationState::waiting_to_complete;
    case Phase::standby:
      return state.suspended ? ReplicationState::suspended : ReplicationState::replicating;
    case Phase::stopping:
    case Phase::failing_over:
    case Phase::releasing:
      return ReplicationState::failover_in_progress;
    case Phase::failed_over:
    case Phase::reverting:
      return ReplicationState::recovered;
    case Phase::ending:
    case Phase::retiring:
      return ReplicationState::suspended;  // nothing flows any more
    default:
      return working_state(state);
  }
}

bool has_foreground_job(const State& state) {
  for (const Job& job : state.jobs) {
    const bool background = job.type == JobType::send_delta || job.type == JobType::receive_delta ||
                            job.type == JobType::apply_log || job.type == JobType::send_initial ||
                            job.type == JobType::resynchronize || job.type == JobType::create_point ||
                            job.type == JobType::give_network;
    if (!job.finished() && !background) return true;
  }
  return false;
}

const Job* find_job(const State& state, const Uuid& id) {
  for (const Job& job : state.jobs)
    if (job.id == id) return &job;
  return nullptr;
}

}  // namespace understudy::core
