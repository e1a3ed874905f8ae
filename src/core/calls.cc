// Method calls: what is refused and what starts a job.
#include <algorithm>

#include "core/network.h"
#include "core/rules.h"

namespace understudy::core::rules {
namespace {

struct CallView {
  CallId call = 0;
  const CallFacts* facts = nullptr;
};

CallView call_of(const Event& event) {
  if (const auto* e = std::get_if<CreateCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<StartCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<FailoverCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<PowerCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<RevertCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<RemoveCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<StateCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<ResyncCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<PointCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<NetworkCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<ModifyCall>(&event)) return {e->call, &e->facts};
  if (const auto* e = std::get_if<StatisticsCall>(&event)) return {e->call, nullptr};
  if (const auto* e = std::get_if<CancelCall>(&event)) return {e->call, nullptr};
  US_ASSERT(false);
  return {};
}

void refuse(Step& step, Error error) {
  step.act(Reply{call_of(step.event()).call, tl::unexpected<Error>(std::move(error))});
}

void accept(Step& step, CallId call, const Uuid& job) {
  step.persist();
  step.act(Reply{call, std::optional<Uuid>(job)});
}

std::string vm_words(const State& state) {
  return "VM '" + state.name + "'";
}

const char* role_words(const State& state) {
  switch (mode_of(state)) {
    case ReplicationMode::primary:
      return "this host is its primary";
    case ReplicationMode::replica:
      return "this host keeps its replica";
    default:
      return "it is not replicated on this host";
  }
}

// Why a call is not possible in this phase, and what to do instead.
struct Refusal {
  std::string what;
  std::string hint;
};

template <class Any>
Refusal refusal_of(const State&, const Any&) {
  US_ASSERT(false);
  return {};
}
Refusal refusal_of(const State&, const CreateCall&) {
  return {"replication can only be enabled for a VM that is not replicated", {}};
}
Refusal refusal_of(const State& s, const StartCall&) {
  return {"a first copy starts only from 'ready for replication'",
          s.phase == Phase::none ? "understudy enable " + s.name + " --to REPLICA-HOST" : ""};
}
Refusal refusal_of(const State& s, const FailoverCall&) {
  if (s.phase == Phase::waiting)
    return {"its first copy is not complete, there is nothing to fail over to", {}};
  if (s.phase == Phase::failed_over) return {"it is failed over already", "understudy vm start " + s.name};
  return {"a failover starts only on the replica host, from a replica that holds a complete point",
          is_primary(s.phase) ? "run it on the replica host " + s.settings.recovery_connection_point : ""};
}
Refusal refusal_of(const State& s, const RevertCall&) {
  return {"only a failover that was made here can be taken back",
          is_primary(s.phase) ? "run it on the replica host " + s.settings.recovery_connection_point : ""};
}
Refusal refusal_of(const State& s, const RemoveCall&) {
  if (s.phase == Phase::none) return {"there is no replication to remove", {}};
  return {"replication cannot be removed now", {}};
}
Refusal refusal_of(const State& s, const StateCall& call) {
  switch (call.requested) {
    case 3:
      if (s.resync && !s.resync->running)
        return {"what changed is not known, both sides must be compared", "understudy resync " + s.name};
      return {"there is nothing to resume: it is not paused", {}};
    case 7:
      if (s.suspended) return {"it is paused already", "understudy resume " + s.name};
      return {"only running replication can be paused", {}};
    case 9:
      return {"no resynchronization is running", {}};
    default:
      return {"the state " + std::to_string(call.requested) + " cannot be asked for now", {}};
  }
}
Refusal refusal_of(const State& s, const ResyncCall&) {
  if (s.resync && s.resync->running) return {"it is being resynchronized", {}};
  if (is_primary(s.phase) && !s.first_copy_done())
    return {"its first copy is not complete, and sends everything",
            "understudy " + std::string(s.suspended ? "resume " : "show ") + s.name};
  return {"only a primary that needs it, or whose replication is paused, can be resynchronized",
          is_primary(s.phase) ? "understudy pause " + s.name + ", then understudy resync " + s.name
                              : "run it on the primary host"};
}
Refusal refusal_of(const State& s, const ModifyCall&) {
  if (is_primary(s.phase)) return {"its settings cannot be changed while both sides are being compared", {}};
  return {"the settings of replication are changed on the primary host",
          is_replica(s.phase) ? "run it on the primary host " + s.primary_name : ""};
}
Refusal refusal_of(const State&, const StatisticsCall&) {
  return {"statistics are kept of a VM that is replicated", {}};
}
Refusal refusal_of(const State& s, const NetworkCall&) {
  return {"network settings are kept for a VM that is replicated",
          "understudy enable " + s.name + " --to REPLICA-HOST"};
}
Refusal refusal_of(const State& s, const PointCall& call) {
  if (is_primary(s.phase) && call.facts.vm.power == VmPower::off)
    return {"a point is made of a running VM", "virsh start " + s.name};
  return {"a point is made on the primary host, while replication is running",
          is_replica(s.phase) ? "run it on the primary host " + s.primary_name : ""};
}

}  // namespace

bool always(const Step&) {
  return true;
}
void nothing(Step&) {}

bool hypervisor_unknown(const Step& step) {
  return call_of(step.event()).facts->hypervisor.has_value();
}
void refuse_unavailable(Step& step) {
  refuse(step, *call_of(step.event()).facts->hypervisor);
}

bool busy(const Step& step) {
  return has_foreground_job(step.state()) || step.state().phase == Phase::preparing;
}
void refuse_busy(Step& step) {
  std::string what = "the host is preparing its replica";
  for (const Job& job : step.state().jobs)
    if (!job.finished()) what = "'" + job.title + "' is running";
  refuse(step, Error(ErrorCode::in_use, vm_words(step.state()) + " is in use: " + what,
                     "wait for it: understudy show " + step.state().name));
}

void refuse_receiving(Step& step) {
  refuse(step,
         Error(ErrorCode::in_use, vm_words(step.state()) + " is in use: a recovery point is being received",
               "try again in a moment, or first: understudy pause " + step.state().name));
}

void refuse_state(Step& step) {
  State& s = step.state();
  if (const CallFacts* facts = call_of(step.event()).facts; facts != nullptr && s.name.empty())
    s.name = facts->vm.name;
  const Refusal why = std::visit([&](const auto& call) { return refusal_of(s, call); }, step.event());
  refuse(step, Error(ErrorCode::invalid_state,
                     vm_words(s) + ": " + why.what + "; " + role_words(s) + " (ReplicationState " +
                         std::to_string(static_cast<int>(published_state(s))) + ")",
                     why.hint.empty() ? "understudy show " + s.name : why.hint));
}

bool power_is_so(const Step& step) {
  const auto& call = step.as<PowerCall>();
  const bool active = call.facts.vm.power != VmPower::off;
  return call.on == active;
}
void refuse_power(Step& step) {
  refuse(step,
         Error(ErrorCode::invalid_state,
               vm_words(step.state()) + (step.as<PowerCall>().on ? " runs already" : " is off already")));
}

bool start_is_held(const Step& step) {
  const Phase phase = step.state().phase;
  const bool replica = is_replica(phase) && phase != Phase::failed_over;
  return step.as<PowerCall>().on && (replica || (is_primary(phase) && step.state().failover));
}
void refuse_held(Step& step) {
  const State& s = step.state();
  if (is_primary(s.phase)) {
    refuse(step, Error(ErrorCode::invalid_state,
                       vm_words(s) + " is held: its replica on " + s.settings.recovery_host_system +
                           " has been failed over, and only one copy may run",
                       "understudy show " + s.name));
    return;
  }
  refuse(step, Error(ErrorCode::invalid_state,
                     vm_words(s) + " is a replica and held: it starts only after a failover",
                     "understudy failover " + s.name));
}

void create(Step& step) {
  const auto& call = step.as<CreateCall>();
  State& s = step.state();
  s.phase = Phase::creating;
  s.name = call.facts.vm.name;
  s.settings = call.settings;
  s.definition = call.definition;
  s.disks = call.disks;
  s.lineage = {step.new_id(), 1, 0};
  s.statistics = {};
  s.statistics.since = step.now.wall;
  const Uuid job = step.begin_job(JobType::create_relationship, "Enabling replication of " + s.name + " to " +
                                                                    s.settings.recovery_connection_point)
                       .id;
  accept(step, call.call, job);
  prepare_peer(step);
}

void start_first_copy(Step& step) {
  State& s = step.state();
  s.phase = Phase::idle;
  Job& start = step.begin_job(JobType::start_replication, "Starting the first copy of " + s.name);
  start.state = JobState::completed;
  start.ended = step.now.wall;
  const Uuid id = start.id;
  step.begin_job(JobType::send_initial,
                 "First copy of " + s.name + " to " + s.settings.recovery_connection_point);
  accept(step, step.as<StartCall>().call, id);
  step.arm({});
}

bool point_unknown(const Step& step) {
  const auto& call = step.as<FailoverCall>();
  if (!call.point) return call.points.empty();
  for (const RecoveryPoint& point : call.points)
    if (point.id == *call.point) return false;
  return true;
}
void refuse_point(Step& step) {
  const auto& call = step.as<FailoverCall>();
  refuse(step, Error(ErrorCode::invalid_parameter,
                     vm_words(step.state()) + ": " +
                         (call.point ? "no recovery point " + call.point->lower()
                                     : std::string("no recovery point is listed")),
                     "understudy show " + step.state().name));
}

void begin_failover(Step& step) {
  const auto& call = step.as<FailoverCall>();
  State& s = step.state();
  s.phase = Phase::stopping;
  Failover failover;
  if (call.point) failover.point = *call.point;
  failover.generation = std::max(s.lineage.generation, call.generation_spent) + 1;
  failover.primary_running = call.primary_running.value_or(false);
  s.failover = failover;
  Job& job = step.begin_job(JobType::initiate_failover, "Failover of " + s.name);
  if (failover.primary_running) job.title += " while the primary is alive and may still run this VM";
  accept(step, call.call, job.id);
  stop_receiving(step);
}

void change_power(Step& step) {
  const auto& call = step.as<PowerCall>();
  State& s = step.state();
  if (s.name.empty()) s.name = call.facts.vm.name;
  const Uuid job =
      step.begin_job(JobType::request_state_change, (call.on ? "Starting " : "Stopping ") + s.name).id;
  accept(step, call.call, job);
  const ActionId id = step.run().power = step.new_action();
  step.act(ChangePower{id, call.on});
}

bool vm_runs(const Step& step) {
  return call_of(step.event()).facts->vm.power != VmPower::off;
}
void refuse_running(Step& step) {
  const State& s = step.state();
  const bool revert = std::holds_alternative<RevertCall>(step.event());
  refuse(step,
         Error(ErrorCode::invalid_state,
               vm_words(s) + " runs: a failover is " + (revert ? "taken back" : "made") + " with the VM off",
               "virsh shutdown " + s.name + ", or at once: understudy vm stop " + s.name));
}

namespace {
const std::optional<Error>& files_of(const Event& event) {
  if (const auto* failover = std::get_if<FailoverCall>(&event)) return failover->files;
  return std::get<RevertCall>(event).files;
}
}  // namespace
bool files_missing(const Step& step) {
  return files_of(step.event()).has_value();
}
void refuse_files(Step& step) {
  refuse(step, files_of(step.event())->context(vm_words(step.state())));
}

void begin_revert(Step& step) {
  State& s = step.state();
  s.phase = Phase::reverting;
  end_network(step, "the failover of '" + s.name + "' is taken back");
  const Uuid job = step.begin_job(JobType::revert_failover, "Taking back the failover of " + s.name).id;
  accept(step, step.as<RevertCall>().call, job);
  revert_again(step);
}

bool can_modify(const Step& step) {
  const State& s = step.state();
  const bool comparing = s.resync && s.resync->running;
  return mode_of(s) == ReplicationMode::primary && s.phase != Phase::ending && !s.ends && !comparing;
}
// Two changes at once: the second was made of settings that hold no longer.
bool modified_meanwhile(const Step& step) {
  return can_modify(step) && step.as<ModifyCall>().before != step.state().settings;
}
void refuse_modified(Step& step) {
  refuse(step, Error(ErrorCode::in_use,
                     vm_words(step.state()) + " is in use: its settings were changed at the same time",
                     "look at them, and try again: understudy show " + step.state().name));
}
// A cycle that runs ends as it was begun. The replica hears of it with the next inventory.
void modify(Step& step) {
  const auto& call = step.as<ModifyCall>();
  State& s = step.state();
  s.settings = call.settings;
  step.persist();
  step.act(Reply{call.call, std::optional<Uuid>()});
  if (s.phase == Phase::unsynced) return step.arm({});
  if (s.phase != Phase::idle || s.suspended || s.cause) return;
  const Monotonic started = step.run().cycle_started.value_or(step.now.monotonic);
  const Monotonic next = started + Duration::seconds(s.settings.replication_interval);
  step.run().next_cut = std::max(next, step.now.monotonic);
  step.act(Arm{*step.run().next_cut});
}

bool is_replicated(const Step& step) {
  return mode_of(step.state()) != ReplicationMode::none;
}
void reset_statistics(Step& step) {
  Statistics& statistics = step.state().statistics;
  statistics = {};
  statistics.since = step.now.wall;
  step.persist();
  step.act(Reply{step.as<StatisticsCall>().call, std::optional<Uuid>()});
}

// What is found again is as old as it was; what is not found again is over.
void note_checked(Step& step) {
  const auto& checked = step.as<Checked>();
  State& s = step.state();
  std::vector<Finding> findings = checked.findings;
  for (Finding& finding : findings) {
    finding.since = step.now.wall;
    for (const Finding& known : s.findings)
      if (known.check == finding.check) finding.since = known.since;
  }
  s.findings = std::move(findings);
  if (s.statistics.since < checked.window) {
    s.statistics = {};
    s.statistics.since = checked.window;
    step.persist();
  }
}

void power_changed(Step& step) {
  const auto& done = step.as<PowerChanged>();
  if (done.id != step.run().power) return;
  step.run().power = 0;
  step.end_job(JobType::request_state_change, done.status);
  step.persist();
  if (step.state().phase == Phase::none) step.arm(limits::kJobKept);
}

// Of a VM that is not replicated.
void forget_jobs(Step& step) {
  const auto& jobs = step.state().jobs;
  if (jobs.empty())
    step.forget();
  else
    step.arm(limits::kJobKept);
}

}  // namespace understudy::core::rules
