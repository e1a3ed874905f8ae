// The side that runs the VM: make the relationship, copy, cut, send, settle. The rules here keep two
// promises: a checkpoint is retired only after the replica's durable acknowledgement of what follows it, and
// a backup job never stays open longer than the transfer it serves.
#include <algorithm>

#include "core/cycle.h"
#include "core/rules.h"

namespace understudy::core::rules {
namespace {

TransferKey key_of(const State& s) {
  TransferKey key;
  key.kind = *s.cut->kind;
  key.lineage = {s.lineage.set, s.lineage.generation, s.cut->sequence};
  key.from = key.kind == TransferKind::pass ? s.cut->pass : s.copying() ? 0 : s.base_sequence;
  return key;
}

Duration interval(const State& s) {
  return Duration::seconds(s.settings.replication_interval);
}

void send(Step& step) {
  State& s = step.state();
  s.phase = Phase::sending;
  const Job* job = step.running_job(s.resync ? JobType::resynchronize : JobType::send_initial);
  Send sending{
      step.await(), key_of(s), s.cut->point, s.cut->at, job != nullptr ? job->id : Uuid(), s.cut->type,
      s.cut->keep,  {}};
  if (s.resync && s.first_copy_done() && s.cut->kind == TransferKind::pass && s.cut->pass == 0)
    sending.compare_with = Lineage{s.lineage.set, s.lineage.generation, s.base_sequence};
  step.act(sending);
  if (s.cut->kind == TransferKind::pass) step.arm(limits::kJobOpenMost);  // passes go on in a new job
}

void count_success(Step& step, const RecoveryPoint& point, uint64_t bytes, Duration took) {
  State& s = step.state();
  s.times.last_replication = step.now.wall;
  s.times.last_cut = point.cut;
  s.times.last_type = point.type;
  if (point.type == PointType::application_consistent) s.times.last_consistent = point.cut;
  if (point.keep == PointKeep::hourly) s.times.last_hourly = point.cut;
  Statistics& n = s.statistics;
  ++n.successes;
  n.bytes += bytes;
  n.most_bytes = std::max(n.most_bytes, bytes);
  const auto seconds = static_cast<uint64_t>(std::max<int64_t>(took.whole_seconds(), 0));
  n.latency_seconds += seconds;
  n.most_latency_seconds = std::max(n.most_latency_seconds, seconds);
}

}  // namespace

// --- awaited results ---

bool not_awaited(const Step& step) {
  const ActionId id = std::visit(
      [](const auto& event) -> ActionId {
        if constexpr (requires { event.id; })
          return event.id;
        else
          return 0;
      },
      step.event());
  return id != step.run().waiting || id == 0;
}

bool ok(const Step& step) {
  return std::visit(
      [](const auto& event) -> bool {
        if constexpr (requires { event.warnings; })
          return event.warnings.has_value();
        else if constexpr (requires { event.status; })
          return event.status.has_value();
        else if constexpr (std::is_same_v<std::decay_t<decltype(event)>, JobOpened>)
          return event.job.has_value();
        else if constexpr (std::is_same_v<std::decay_t<decltype(event)>, Published>)
          return event.point.has_value();
        else
          return false;
      },
      step.event());
}

// --- making the relationship ---

void prepare_peer(Step& step) {
  step.act(PreparePeer{step.await()});
}

void created(Step& step) {
  const auto& done = step.as<PreparedPeer>();
  State& s = step.state();
  s.phase = Phase::ready;
  s.warnings = *done.warnings;
  s.settings.recovery_host_system = done.recovery_host_system;
  s.definition = {};
  step.clear_cause();
  step.end_job(JobType::create_relationship, {});
  step.persist();
}

void create_failed(Step& step) {
  State& s = step.state();
  s.phase = Phase::none;
  step.end_job(JobType::create_relationship, tl::unexpected<Error>(step.as<PreparedPeer>().warnings.error()));
  s.definition = {};
  s.disks.clear();
  s.settings = {};
  s.lineage = {};
  step.persist();
}

// --- idle ---

void resume(Step& step) {
  State& s = step.state();
  s.phase = Phase::idle;
  s.slot = false;
  if (s.cut) s.cut->opened = step.now.monotonic;
  step.arm({});
}

bool vm_started(const Step& step) {
  return step.as<HypervisorNews>().what == VmEvent::started;
}
void due_now(Step& step) {
  step.run().failures = 0;
  step.arm({});
}

bool scratch_trouble(const Step& step) {
  const VmEvent what = step.as<HypervisorNews>().what;
  return (what == VmEvent::scratch_full || what == VmEvent::paused_io_error) && step.state().cut.has_value();
}

void take_inventory(Step& step) {
  step.state().phase = Phase::inventory;
  step.run().cycle_started = step.now.monotonic;
  step.act(TakeInventory{step.await()});
}

// --- what the inventory shows, in the order of the table ---

bool vm_unknown(const Step& step) {
  return !step.as<Inventoried>().vm;
}

bool vm_gone(const Step& step) {
  return !vm_of(step).exists;
}
void halt_vm_gone(Step& step) {
  State& s = step.state();
  s.obligations.delete_checkpoints.clear();
  s.cut.reset();
  halt(step, Error(ErrorCode::not_found, "VM '" + s.name + "' is no longer defined on this host",
                   "define it again (virsh define), then understudy resume " + s.name +
                       "; or fail over: understudy failover " + s.name + " on " +
                       s.settings.recovery_connection_point));
}

// Not decided yet: a failover that fails leaves the replica as it was.
bool replica_failing_over(const Step& step) {
  const Holdings* r = replica_of(step);
  return r != nullptr && r->lineage.set == step.state().lineage.set &&
         r->state == ReplicationState::failover_in_progress;
}
void back_off_failover(Step& step) {
  retry_later(step, Error(ErrorCode::in_use, "a failover of '" + step.state().name + "' is in progress on " +
                                                 step.state().settings.recovery_connection_point));
}

bool replica_failed_over(const Step& step) {
  const Holdings* r = replica_of(step);
  if (r == nullptr || r->lineage.set != step.state().lineage.set) return false;
  return r->lineage.generation > step.state().lineage.generation || r->state == ReplicationState::recovered ||
         r->state == ReplicationState::committed;
}
void halt_failed_over(Step& step) {
  State& s = step.state();
  Failover seen;
  seen.generation = replica_of(step)->lineage.generation;
  s.failover = seen;                // on a primary: it is known that the other side may write now
  s.obligations.lift_hold = false;  // of a failover before, which was given up
  s.obligations.hold = "VM '" + s.name + "' has been failed over to " + s.settings.recovery_connection_point +
                       ". Starting it here too would make two diverging copies. See: understudy show " +
                       s.name;
  halt(step, Error(ErrorCode::invalid_state,
                   "the replica of '" + s.name + "' on " + s.settings.recovery_connection_point +
                       " has been failed over; this copy is held so that only one runs",
                   "decide which copy to keep: understudy show " + s.name +
                       " on both hosts; for this one: understudy "
                       "revert " +
                       s.name + " on " + s.settings.recovery_connection_point + ", then understudy resume " +
                       s.name));
}

bool cut_acknowledged(const Step& step) {
  const State& s = step.state();
  const Holdings* r = replica_of(step);
  return r != nullptr && !r->sender && s.cut && s.cut->kind == TransferKind::delta &&
         r->lineage.set == s.lineage.set && r->lineage.sequence == s.cut->sequence;
}

bool vm_off(const Step& step) {
  return vm_of(step).power != VmPower::running && vm_of(step).power != VmPower::paused;
}
void wait_for_vm(Step& step) {
  State& s = step.state();
  s.phase = Phase::idle;
  step.set_cause(Error(ErrorCode::not_available,
                       "VM '" + s.name + "' is off: its changes are sent when it runs again",
                       "virsh start " + s.name));
  step.persist();
  step.arm(limits::kRetryMost);
}

bool obligations_pending(const Step& step) {
  return !step.state().obligations.empty();
}
void settle(Step& step) {
  begin_settling(step);
}

bool our_job_open(const Step& step) {
  return vm_of(step).job_open && !vm_of(step).job_foreign;
}

// Nobody can start the VM as long as this is owed.
bool hold_is_owed(const Step& step) {
  return step.state().obligations.lift_hold || !step.state().obligations.hold.empty();
}

bool job_is_stale(const Step& step) {
  const State& s = step.state();
  if (!our_job_open(step) || !s.cut || !s.cut->made) return false;
  return !replica_of(step) && step.now.monotonic - s.cut->opened > limits::kJobOpenMost;
}
void end_stale_job(Step& step) {
  step.state().obligations.end_job = true;
  begin_settling(step);
}

bool replica_unreachable(const Step& step) {
  return replica_of(step) == nullptr;
}
void back_off(Step& step) {
  const auto& found = step.as<Inventoried>();
  State& s = step.state();
  if (!found.vm) return retry_later(step, found.vm.error());
  ++s.statistics.network_failures;
  retry_later(step, found.replica.error().context("replica host " + s.settings.recovery_connection_point));
}

bool replica_gone(const Step& step) {
  const Holdings& r = *replica_of(step);
  return r.mode != ReplicationMode::replica || r.lineage.set != step.state().lineage.set;
}
void halt_gone(Step& step) {
  const State& s = step.state();
  const std::string host = s.settings.recovery_connection_point;
  const bool none = replica_of(step)->mode == ReplicationMode::none;
  halt(step, Error(ErrorCode::not_found,
                   none ? host + " holds no replica of '" + s.name + "' any more"
                        : "what " + host + " holds of '" + s.name + "' is not a replica of this copy",
                   "understudy show " + s.name + " on " + host +
                       "; when it is there again: understudy resume " + s.name));
}

// Of a first copy or a comparison there is nothing to lose but its own progress.
bool first_copy_lost(const Step& step) {
  const State& s = step.state();
  if (!s.copying()) return false;
  if (!vm_of(step).changed_while_off.empty()) return true;
  if (!s.base_checkpoint.empty() && !usable(vm_of(step), s.base_checkpoint)) return true;
  return s.cut && s.cut->made && s.cut->kind == TransferKind::pass && !usable(vm_of(step), s.cut->checkpoint);
}

// A closing increment on a replica without the passes would look like a whole copy there.
// So would one on passes that are not whole.
bool passes_lost(const Step& step) {
  const State& s = step.state();
  if (!s.copying() || s.passes == 0) return false;
  const auto& staging = replica_of(step)->staging;
  if (!staging) return true;
  const TransferKey& key = staging->key;
  if (key.kind != TransferKind::pass) return false;
  const bool last = key.from + 1 == s.passes;
  return key.from + 1 < s.passes || (last && staging->cursor.disk < s.disks.size());
}
void restart_first_copy(Step& step) {
  State& s = step.state();
  const bool replica_lost_it = passes_lost(step);
  forget_copy(s);
  s.obligations.forget_changes = !vm_of(step).changed_while_off.empty();
  step.set_cause(Error(ErrorCode::failed,
                       std::string(s.resync ? "the comparison" : "the first copy") + " of '" + s.name +
                           "' starts again: " +
                           (replica_lost_it ? "the replica host lost what it had received"
                                            : "QEMU lost the record of what changed since it began")));
  begin_settling(step);
}

bool job_still_open(const Step& step) {
  const State& s = step.state();
  return s.cut && s.cut->made && s.cut->kind && s.cut->opened.us != 0;
}

// A delta is bound to the instant of its own job; a pass may go on in another one.
bool cut_is_void(const Step& step) {
  const State& s = step.state();
  if (!s.cut) return false;
  if (!s.cut->made || !s.cut->kind) return true;
  return s.cut->kind == TransferKind::delta && !our_job_open(step);
}
void abandon_cut(Step& step) {
  drop_cut(step.state());
  begin_settling(step);
}

bool foreign_job(const Step& step) {
  return vm_of(step).job_foreign || (vm_of(step).job_open && !step.state().cut);
}
void back_off_foreign_job(Step& step) {
  retry_later(step,
              Error(ErrorCode::in_use, "another program has a backup job open on '" + step.state().name + "'",
                    "wait for it, or end it: virsh domjobabort " + step.state().name));
}

// --- cutting and sending ---

void request_slot(Step& step) {
  State& s = step.state();
  s.phase = Phase::queued;
  // opened says whether a job of ours is open at this moment: only then sending goes on in it.
  if (s.cut && !our_job_open(step)) s.cut->opened = {};
  step.act(RequestSlot{});
}

void open_job(Step& step) {
  State& s = step.state();
  s.phase = Phase::cutting;
  s.slot = true;
  OpenJobRequest request;
  request.vm = s.vm;
  for (const DiskGeometry& disk : s.disks) request.disks.push_back(disk.target);
  if (!s.base_checkpoint.empty()) request.from = s.base_checkpoint;
  if (!s.cut) {
    Cut cut;
    cut.sequence = ++s.lineage.sequence;
    cut.checkpoint =
        "understudy-" + std::to_string(s.lineage.generation) + "-" + std::to_string(cut.sequence);
    cut.point = step.new_id();
    request.freeze = choose_point(step, cut);
    request.new_checkpoint = cut.checkpoint;
    s.cut = cut;
  }
  step.persist();
  step.act(OpenJob{step.await(), request});
}

void send_cut(Step& step) {
  const auto& opened = step.as<JobOpened>();
  State& s = step.state();
  Cut& cut = *s.cut;
  cut.opened = step.now.monotonic;
  if (!cut.made) {
    cut.made = true;
    cut.at = opened.job->cut;
    note_freeze(step, *opened.job);
    // While much is left, the first copy goes on in passes; what is left then is the closing increment.
    const bool pass = s.copying() && s.passes < limits::kMostFirstCopyPasses &&
                      (s.passes == 0 || opened.bytes_to_send > limits::kClosingMost);
    cut.kind = pass ? TransferKind::pass : TransferKind::delta;
    cut.pass = s.passes;
  }
  step.persist();
  send(step);
}

void send_again(Step& step) {
  step.state().slot = true;
  send(step);
}

void cut_failed(Step& step) {
  State& s = step.state();
  const Error error = step.as<JobOpened>().job.error();
  ++s.statistics.failures;
  step.set_cause(error);
  if (s.cut && s.cut->keep == PointKeep::on_demand) fail_wanted_point(step, error);
  if (s.cut && !s.cut->made) drop_cut(s);
  s.obligations.end_job = true;
  begin_settling(step);
}

bool sent_pass(const Step& step) {
  return step.as<Sent>().point.has_value() && step.state().cut->kind == TransferKind::pass;
}
void pass_sent(Step& step) {
  State& s = step.state();
  ++s.passes;
  advance_base(s);
  step.clear_cause();
  step.run().failures = 0;
  step.run().next_cut = step.now.monotonic;
  begin_settling(step);
}

bool sent_delta(const Step& step) {
  return step.as<Sent>().point.has_value() && step.state().cut->kind == TransferKind::delta;
}
// By the replica's answer, or by what it holds when the answer was lost.
void acknowledged(Step& step) {
  State& s = step.state();
  RecoveryPoint point;
  point.cut = s.cut->at;
  point.type = s.cut->type;
  point.keep = s.cut->keep;
  uint64_t bytes = 0;
  Duration took;
  if (const auto* sent = std::get_if<Sent>(&step.event())) {
    point = **sent->point;
    bytes = sent->bytes;
    took = sent->took;
  }
  s.base_sequence = s.cut->sequence;
  if (s.cut->keep == PointKeep::on_demand) step.end_job(JobType::create_point, {});
  count_success(step, point, bytes, took);
  advance_base(s);
  step.clear_cause();
  step.run().failures = 0;
  step.end_job(JobType::send_initial, {});
  if (s.resync && s.resync->running) {
    s.resync.reset();
    step.end_job(JobType::resynchronize, {});
  }
  const Monotonic started = step.run().cycle_started.value_or(step.now.monotonic);
  const Monotonic next = started + interval(s);
  if (next < step.now.monotonic) ++s.statistics.misses;
  step.run().next_cut = std::max(next, step.now.monotonic);
  begin_settling(step);
}

bool cut_is_pass(const Step& step) {
  return step.state().cut->kind == TransferKind::pass;
}
void stop_sending(Step& step) {
  step.state().obligations.end_job = true;
  step.act(StopSending{});
}
void protect_guest(Step& step) {
  State& s = step.state();
  s.obligations.end_job = true;
  step.set_cause(Error(ErrorCode::no_space,
                       "the scratch space of the backup job of '" + s.name +
                           "' filled up; the cycle was broken so that the guest runs on",
                       "free space below the scratch directory, or set scratch_directory to a larger disk"));
  step.persist();
  step.act(StopSending{});
}
void send_interrupted(Step& step) {
  begin_settling(step);
}

// The view that was read is gone or cannot be trusted: a delta must be cut anew.
bool sent_for_nothing(const Step& step) {
  const auto& sent = step.as<Sent>();
  return !sent.point && step.state().cut->kind == TransferKind::delta &&
         (sent.point.error().code() == ErrorCode::corrupt ||
          sent.point.error().code() == ErrorCode::invalid_state);
}

// The replica may have it all the same, of a publication whose end it did not know itself: the next inventory
// tells, and abandons the cut or takes it as acknowledged.
void doubt_cut(Step& step) {
  State& s = step.state();
  ++s.statistics.failures;
  step.set_cause(step.as<Sent>().point.error());
  s.obligations.end_job = true;
  begin_settling(step);
}

// The job stays open for a while: a delta can only go on in its own.
void send_failed(Step& step) {
  const Error error = step.as<Sent>().point.error();
  ++step.state().statistics.failures;
  retry_later(step, error);
}

// --- settling ---

void settled(Step& step) {
  State& s = step.state();
  s.obligations = {};
  s.phase = Phase::idle;
  step.persist();
  if (s.suspended) return;
  if (s.cause) return step.arm(step.next_retry());
  if (point_is_wanted(step)) return step.arm({});
  const Monotonic next = step.run().next_cut.value_or(step.now.monotonic);
  step.act(Arm{std::max(next, step.now.monotonic)});
}

void settle_failed(Step& step) {
  if (const auto& left = step.as<Settled>().left) step.state().obligations = *left;
  retry_later(step, step.as<Settled>().status.error());
}

void settle_again(Step& step) {
  step.act(Settle{step.await(), step.state().obligations});
}

void halted_settled(Step& step) {
  const auto& done = step.as<Settled>();
  if (done.id != step.run().waiting) return;
  if (done.status)
    step.state().obligations = {};
  else if (done.left)
    step.state().obligations = *done.left;
  step.persist();
  if (!done.status) step.arm(step.next_retry());
}

}  // namespace understudy::core::rules
