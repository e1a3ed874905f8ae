// A primary whose record of changes is lost, and what an operator may ask of any relationship: pause, go on,
// compare now, stop comparing. A cycle that may not go on is left at the next row of the table (give_way).
#include <algorithm>

#include "core/cycle.h"
#include "core/rules.h"

namespace understudy::core::rules {
namespace {

constexpr uint16_t kResume = 3;
constexpr uint16_t kSuspend = 7;
constexpr uint16_t kCancelResync = 9;

Error resync_required(const State& s) {
  return Error(ErrorCode::invalid_state, "resynchronization required: " + s.resync->why,
               "understudy resync " + s.name + " (the replica's points stay usable meanwhile)");
}

// From now on the replica is told apart by comparing. Its points stay, and stay usable.
void lose_sync(Step& step, const std::string& why) {
  State& s = step.state();
  forget_copy(s);
  Resync resync;
  resync.why = why;
  s.resync = resync;
  const Error error = resync_required(s);
  step.set_cause(error);
  fail_wanted_point(step, error);
  begin_settling(step);
}

bool in_window(const ReplicationSettings& settings, Wall now) {
  const uint32_t at = second_of_local_day(now);
  const uint32_t from = settings.auto_resynchronize_start;
  const uint32_t to = settings.auto_resynchronize_end;
  if (from == to) return true;
  return from < to ? at >= from && at < to : at >= from || at < to;
}

void reply_done(Step& step, CallId call, JobType type, std::string title) {
  Job& job = step.begin_job(type, std::move(title));
  job.state = JobState::completed;
  job.ended = step.now.wall;
  const Uuid id = job.id;
  step.persist();
  step.act(Reply{call, std::optional<Uuid>(id)});
}

void start_comparing(Step& step) {
  State& s = step.state();
  s.resync->running = true;
  s.resync->cancelled = false;
  s.resync->due.reset();
  s.suspended = false;
  forget_copy(s);
  s.obligations.forget_changes = true;  // the first checkpoint comes after it, and every byte is compared
  step.clear_cause();
  step.run().failures = 0;
}

}  // namespace

// --- how it comes to that ---

bool disks_changed(const Step& step) {
  return !step.state().copying() && !vm_of(step).changed_while_off.empty();
}
void lose_changed_disks(Step& step) {
  std::string disks;
  for (const std::string& disk : vm_of(step).changed_while_off) disks += (disks.empty() ? "" : ", ") + disk;
  lose_sync(step, "somebody wrote to " + disks + " of '" + step.state().name + "' while it was off");
}

bool base_lost(const Step& step) {
  const State& s = step.state();
  return !s.copying() && !usable(vm_of(step), s.base_checkpoint);
}
void lose_base(Step& step) {
  const State& s = step.state();
  const bool broken = has(vm_of(step).broken_checkpoints, s.base_checkpoint);
  lose_sync(step, broken ? "the change record of checkpoint '" + s.base_checkpoint +
                               "' is inconsistent: QEMU did not end cleanly"
                         : "checkpoint '" + s.base_checkpoint + "' is gone");
}

bool replica_elsewhere(const Step& step) {
  const State& s = step.state();
  const Holdings& r = *replica_of(step);
  return !s.copying() && (r.sender || r.lineage.sequence != s.base_sequence);
}
void lose_sequence(Step& step) {
  State& s = step.state();
  if (const auto& sender = replica_of(step)->sender)
    return lose_sync(step, "what " + s.settings.recovery_connection_point + " holds of '" + s.name +
                               "' was sent by '" + sender->name + "'");
  lose_sync(step, s.settings.recovery_connection_point + " holds sequence " +
                      std::to_string(replica_of(step)->lineage.sequence) + " of '" + s.name +
                      "', this host last saw sequence " + std::to_string(s.base_sequence) + " acknowledged");
}

// --- comparing ---

// What the replica has now is what it is compared with.
bool compares_with_another(const Step& step) {
  const State& s = step.state();
  return s.resync && s.resync->running && replica_of(step)->lineage.sequence != s.base_sequence;
}
void compare_with_what_is_there(Step& step) {
  State& s = step.state();
  forget_copy(s);
  s.base_sequence = replica_of(step)->lineage.sequence;
  s.lineage.sequence = std::max(s.lineage.sequence, s.base_sequence);
  begin_settling(step);
}

bool resync_due(const Step& step) {
  const State& s = step.state();
  if (s.suspended || s.resync->cancelled) return false;
  if (s.resync->due) return step.now.wall >= *s.resync->due;
  return s.settings.auto_resynchronize_enabled && in_window(s.settings, step.now.wall);
}
void begin_resync(Step& step) {
  start_comparing(step);
  State& s = step.state();
  if (step.running_job(JobType::resynchronize) == nullptr)
    step.begin_job(JobType::resynchronize,
                   "Resynchronizing " + s.name + " with " + s.settings.recovery_connection_point);
  begin_settling(step);
}

bool resync_waits(const Step& step) {
  const State& s = step.state();
  return s.resync && !s.resync->running;
}
bool settled_unsynced(const Step& step) {
  return step.as<Settled>().status.has_value() && resync_waits(step);
}
void wait_for_resync(Step& step) {
  State& s = step.state();
  s.phase = Phase::unsynced;
  step.set_cause(resync_required(s));  // whatever went wrong while it settled
  if (std::holds_alternative<Settled>(step.event())) {
    s.obligations = {};
    step.persist();
  }
  step.arm(resync_due(step) ? Duration() : limits::kRetryMost);
}

// --- an operator asks ---

bool can_resync(const Step& step) {
  const State& s = step.state();
  if (s.phase == Phase::unsynced) return true;
  return s.suspended && s.phase == Phase::idle && s.first_copy_done() && !s.copying();
}
void ask_for_resync(Step& step) {
  const auto& call = step.as<ResyncCall>();
  State& s = step.state();
  if (!s.resync) s.resync = Resync{"asked for", false, false, {}};
  const bool later = call.start && *call.start > step.now.wall;
  if (later) {
    s.resync->due = call.start;
    s.resync->cancelled = false;
    s.suspended = false;
    forget_copy(s);
    reply_done(step, call.call, JobType::resynchronize, "Scheduling a resynchronization of " + s.name);
  } else {
    start_comparing(step);
    const Uuid job = step.begin_job(JobType::resynchronize, "Resynchronizing " + s.name + " with " +
                                                                s.settings.recovery_connection_point)
                         .id;
    step.persist();
    step.act(Reply{call.call, std::optional<Uuid>(job)});
  }
  begin_settling(step);
}

// It is still settling, after a loss or a cancelled comparison: the new one begins when that is done.
void want_resync(Step& step) {
  const auto& call = step.as<ResyncCall>();
  State& s = step.state();
  s.resync->due = call.start.value_or(step.now.wall);
  s.resync->cancelled = false;
  if (*s.resync->due > step.now.wall)
    return reply_done(step, call.call, JobType::resynchronize, "Scheduling a resynchronization of " + s.name);
  const Job* wanted = step.running_job(JobType::resynchronize);  // asked for twice
  if (wanted == nullptr)
    wanted = &step.begin_job(JobType::resynchronize,
                             "Resynchronizing " + s.name + " with " + s.settings.recovery_connection_point);
  const Uuid job = wanted->id;
  step.persist();
  step.act(Reply{call.call, std::optional<Uuid>(job)});
}

bool suspends(const Step& step) {
  const State& s = step.state();
  const bool can = (s.phase >= Phase::idle && s.phase <= Phase::halted) || s.phase == Phase::waiting ||
                   s.phase == Phase::standby;
  return step.as<StateCall>().requested == kSuspend && !s.suspended && can;
}
void suspend(Step& step) {
  State& s = step.state();
  s.suspended = true;
  fail_wanted_point(step, Error(ErrorCode::cancelled, "replication of '" + s.name + "' was paused",
                                "understudy resume " + s.name));
  reply_done(step, step.as<StateCall>().call, JobType::change_state, "Pausing replication of " + s.name);
  if (s.phase == Phase::sending) step.act(StopSending{});
}

bool cancels_resync(const Step& step) {
  const State& s = step.state();
  return step.as<StateCall>().requested == kCancelResync && s.resync && s.resync->running;
}
void stop_comparing(Step& step) {
  State& s = step.state();
  s.resync->running = false;
  s.resync->cancelled = true;
  s.resync->due.reset();
  s.suspended = false;
  if (Job* job = step.running_job(JobType::resynchronize))
    step.terminate_job(*job,
                       Error(ErrorCode::cancelled, "the resynchronization of '" + s.name + "' was cancelled",
                             "understudy resync " + s.name));
  if (s.phase == Phase::sending) step.act(StopSending{});
}
void cancel_resync(Step& step) {
  stop_comparing(step);
  reply_done(step, step.as<StateCall>().call, JobType::stop_resync,
             "Cancelling the resynchronization of " + step.state().name);
}

bool may_not_go_on(const Step& step) {
  return step.state().suspended || resync_waits(step);
}
void suspend_and_give_way(Step& step) {
  suspend(step);
  give_way(step);
}
void cancel_and_give_way(Step& step) {
  cancel_resync(step);
  give_way(step);
}
// The cycle ends here, in good order. A cut is kept: the next inventory shows whether the replica has it, and
// what a pass has sent so far counts.
void give_way(Step& step) {
  State& s = step.state();
  if (resync_waits(step)) forget_copy(s);
  s.obligations.end_job = true;
  if (s.phase == Phase::queued) step.act(ReleaseSlot{});
  begin_settling(step);
}

// While nothing may go on, what is owed is still done. But of a copy that is held something may be owed that
// needs the VM to run: only an inventory can show that the hold may go.
bool owes_while_stopped(const Step& step) {
  const State& s = step.state();
  return may_not_go_on(step) && obligations_pending(step) && (s.suspended || !s.failover);
}
bool suspended(const Step& step) {
  return step.state().suspended;
}

bool resumes(const Step& step) {
  const State& s = step.state();
  return step.as<StateCall>().requested == kResume && (s.suspended || s.phase == Phase::halted);
}
void resume_replication(Step& step) {
  State& s = step.state();
  s.suspended = false;
  if (s.phase == Phase::halted) s.phase = Phase::idle;
  step.run().failures = 0;
  reply_done(step, step.as<StateCall>().call, JobType::change_state, "Resuming replication of " + s.name);
  if (is_primary(s.phase)) step.arm({});
}

// --- the other side ---

bool replica_paused(const Step& step) {
  const Holdings* r = replica_of(step);
  return r != nullptr && r->state == ReplicationState::suspended;
}
void back_off_paused(Step& step) {
  const State& s = step.state();
  retry_later(step,
              Error(ErrorCode::invalid_state,
                    "replication of '" + s.name + "' is paused on " + s.settings.recovery_connection_point,
                    "on " + s.settings.recovery_connection_point + ": understudy resume " + s.name));
}

// It gave its failover up: this copy may run again.
bool failover_given_up(const Step& step) {
  const State& s = step.state();
  const Holdings* r = replica_of(step);
  return s.failover && r != nullptr && r->mode == ReplicationMode::replica &&
         r->lineage.set == s.lineage.set && r->lineage.generation == s.lineage.generation;
}
void lift_own_hold(Step& step) {
  State& s = step.state();
  s.failover.reset();
  s.obligations.hold.clear();
  s.obligations.lift_hold = true;
  begin_settling(step);
}

}  // namespace understudy::core::rules
