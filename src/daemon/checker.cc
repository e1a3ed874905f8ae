#include "daemon/checker.h"

#include <algorithm>
#include <chrono>

#include "daemon/place_check.h"
#include "model/codec.h"

namespace understudy::daemon {
namespace {

using enum ReplicationHealth;
using providers::HostFinding;

constexpr Duration kTick = Duration::seconds(5);
constexpr Duration kLookMost = Duration::seconds(300);  // between two looks at one VM, whatever its interval
constexpr Duration kThorough = Duration::seconds(24 * 3600);
constexpr Duration kConnect = Duration::seconds(10);

bool receives(const core::State& state) {
  return state.phase == core::Phase::waiting || state.phase == core::Phase::standby;
}

Finding from_error(ReplicationHealth level, const char* check, const std::string& what, const Error& error) {
  return {level, check, what + error.message(), error.hint()};
}

uint64_t size_of(const std::vector<DiskGeometry>& disks) {
  uint64_t size = 0;
  for (const DiskGeometry& disk : disks) size += disk.size;
  return size;
}

// It was not told when replication was enabled.
bool is_new(const core::State& state, const std::string& warning) {
  return std::ranges::find(state.warnings, warning) == state.warnings.end();
}

void keep_bad(std::vector<Finding>& findings) {
  std::erase_if(findings, [](const Finding& f) { return f.level == ok; });
  if (findings.size() > limits::kMostFindings) findings.resize(limits::kMostFindings);
}

}  // namespace

void Checker::start() {
  thread_ = Thread("checker", [this] { run(); });
}

void Checker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Checker::look_again(const Uuid& vm) {
  {
    const std::lock_guard lock(mutex_);
    asked_.insert(vm);
  }
  wake_.notify_all();
}

void Checker::run() {
  for (;;) {
    std::set<Uuid> asked;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::microseconds(kTick.us),
                     [this] { return stopping_ || !asked_.empty(); });
      if (stopping_) return;
      asked.swap(asked_);
    }
    const std::vector<core::State> states = parts_.core.states();
    for (const core::State& state : states) {
      if (core::mode_of(state) == ReplicationMode::none) {
        if (looked_.erase(state.vm) > 0) parts_.observe(state, {});
        continue;
      }
      const Monotonic now = parts_.clock.now().monotonic;
      Looked& looked = looked_[state.vm];
      if (asked.contains(state.vm)) looked = {};
      const Duration every = std::min(Duration::seconds(state.settings.replication_interval), kLookMost);
      if (!looked.last || now - *looked.last >= every) {
        looked.last = now;
        look(state, looked);
      }
      parts_.observe(state, core::health_of(state, parts_.clock.now().wall));
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
  }
}

// The windows of statistics begin at MonitoringStartTime and go on by MonitoringInterval.
Wall Checker::statistics_window() const {
  const ServiceSettings settings = parts_.registry.settings();
  const int64_t now = parts_.clock.now().wall.us / 1'000'000;
  const int64_t start = settings.monitoring_start_time;
  const int64_t interval = std::max<int64_t>(settings.monitoring_interval, 3600);
  return Wall{(now - ((now - start) % interval)) * 1'000'000};
}

void Checker::look(const core::State& state, Looked& looked) {
  std::vector<Finding> findings = of_host(state);
  if (!looked.whole || *looked.last - *looked.whole >= kThorough) {
    const std::vector<Finding> found = thorough(state);
    const bool good = std::ranges::all_of(found, [](const Finding& f) { return f.level == ok; });
    looked.whole = good && !found.empty() ? looked.last : std::nullopt;
    findings.insert(findings.end(), found.begin(), found.end());
  }
  std::vector<Finding> more = core::is_primary(state.phase) ? of_primary(state) : of_replica(state, false);
  findings.insert(findings.end(), more.begin(), more.end());
  keep_bad(findings);
  parts_.core.post_known(state.vm, core::Checked{std::move(findings), statistics_window()});
}

std::vector<Finding> Checker::of_host(const core::State& state) {
  std::vector<Finding> findings;
  const Wall now = parts_.clock.now().wall;
  for (size_t i = 0; i < parts_.certificates.size(); ++i) {
    findings.push_back(check_certificate(parts_.certificates[i], now));
    if (i > 0) findings.back().check = "authority";
  }
  if (auto kerberos = parts_.kerberos()) findings.push_back(std::move(*kerberos));
  if (!core::is_replica(state.phase)) return findings;
  const bool enabled = parts_.registry.settings().recovery_server_enabled;
  if (!enabled)
    findings.push_back({critical, "listener",
                        "this host is not enabled as a recovery server: nothing is received",
                        "understudy server enable"});
  else if (!parts_.listening())
    findings.push_back({critical, "listener", "the listener for replication does not run",
                        "see why: journalctl -u understudyd; then: systemctl restart understudyd"});
  else
    findings.push_back({ok, "listener", "replication is listened for", {}});
  return findings;
}

// What can change on a primary without a cycle noticing it.
std::vector<Finding> Checker::of_primary(const core::State& state) {
  if (const auto definition = parts_.hypervisor.definition(state.vm); !definition) {
    if (definition.error().code() == ErrorCode::not_available ||
        definition.error().code() == ErrorCode::not_found)
      return {};  // the cycle tells it
    return {from_error(
        critical, "definition",
        "the definition of '" + state.name + "' can no longer travel, and points go on with the one before: ",
        definition.error())};
  }
  return {{ok, "definition", "the definition of '" + state.name + "' can travel", {}}};
}

std::vector<Finding> Checker::of_replica(const core::State& state, bool known) {
  std::vector<Finding> findings;
  if (!receives(state)) return findings;
  const auto store = parts_.core.performer().replica_store(state.vm);
  if (!store) return {from_error(critical, "store", "", store.error())};
  const std::string directory = (*store)->directory();
  if (const auto owner = parts_.hypervisor.image_owner())
    findings.push_back(check_location(directory, owner->user, owner->group));
  findings.push_back(check_space(directory, size_of(state.disks)));
  findings.push_back(check_damage(parts_.files, directory, state.name));
  if (const auto held = parts_.hypervisor.held(state.vm); held && !*held)
    findings.push_back({critical, "hold",
                        "nothing holds the replica of '" + state.name + "': it could be started here",
                        "set it again: systemctl restart understudyd"});
  const std::vector<RecoveryPoint> points = parts_.core.performer().points(state.vm);
  if (points.empty()) return findings;
  auto machine = (*store)->machine(points.back().id);
  if (!machine) {
    findings.push_back(from_error(critical, "definition", "", machine.error()));
    return findings;
  }
  if (machine->definition.empty()) return findings;
  const auto definition = decode<VmDefinition>(machine->definition);
  if (!definition) {
    findings.push_back(
        from_error(critical, "definition", "the VM as of the newest point: ", definition.error()));
    return findings;
  }
  findings.push_back(check_memory(definition->memory_kib));
  core::ReplicaRequest request;
  request.definition = *definition;
  request.store_directory = directory;
  request.nvram = std::move(machine->nvram);
  for (uint32_t disk = 0; disk < (*store)->identity().disks.size(); ++disk)
    request.disk_paths.push_back((*store)->active_path(disk));
  const auto warnings = parts_.hypervisor.check_replica(request);
  if (!warnings) {
    if (warnings.error().code() != ErrorCode::not_available)
      findings.push_back(from_error(critical, "definition",
                                    "'" + state.name + "' would not start here: ", warnings.error()));
    return findings;
  }
  std::string different;
  for (const std::string& warning : *warnings)
    if (known || is_new(state, warning)) different += (different.empty() ? "" : "; ") + warning;
  if (different.empty())
    findings.push_back(
        {ok, "definition", "'" + state.name + "' as of its newest point would start here", {}});
  else
    findings.push_back({warning, "definition", "'" + state.name + "' would start here, but: " + different,
                        "make here what it has there, or map the network: [hypervisor] networks"});
  return findings;
}

// What takes longer, or disturbs a little. Nothing, and it is tried again, when the VM is off or libvirt does
// not answer.
std::vector<Finding> Checker::thorough(const core::State& state) {
  if (!core::is_primary(state.phase)) {
    if (!receives(state)) return {};
    const Status hook = parts_.hypervisor.hook_in_force();
    if (hook) return {{ok, "hook", "libvirtd asks our hook before it starts a VM", {}}};
    if (hook.error().code() == ErrorCode::not_available) return {};
    return {
        {critical, "hook", hook.error().message() + ": the replica of '" + state.name + "' could be started",
         "put it back: systemctl restart understudyd; then (VMs keep running): systemctl restart libvirtd"}};
  }
  const auto vm = parts_.hypervisor.find(state.vm);
  if (!vm || vm->power != core::VmPower::running) return {};
  std::vector<Finding> findings;
  if (const Status agent = parts_.hypervisor.agent_answers(state.vm); !agent)
    findings.push_back(from_error(state.settings.application_consistent_interval > 0 ? warning : ok, "agent",
                                  "application-consistent points cannot be made: ", agent.error()));
  else
    findings.push_back({ok, "agent", "the guest's agent answers", {}});
  if (const auto fit = parts_.hypervisor.replicable(state.vm, state.settings.included_disks); !fit)
    findings.push_back(from_error(warning, "source", "", fit.error()));
  else
    findings.push_back(
        {ok, "source", "its disks can be read, holds are in force, there is scratch space", {}});
  return findings;
}

// Every cycle asks this; here it is for whoever asks between two.
Finding Checker::of_checkpoints(const core::State& state) {
  const auto facts = parts_.hypervisor.inspect(state.vm);
  if (!facts) return from_error(critical, "hypervisor", "", facts.error());
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  if (state.base_checkpoint.empty())
    return {warning, "checkpoints", "there is no checkpoint yet that changes are counted from", {}};
  if (!has(facts->checkpoints, state.base_checkpoint) ||
      has(facts->broken_checkpoints, state.base_checkpoint) || !facts->changed_while_off.empty())
    return {warning, "checkpoints",
            "what changed since the newest point is not known: both sides have to be compared",
            "understudy resync " + state.name};
  return {ok, "checkpoints", "checkpoint " + state.base_checkpoint + " is whole", {}};
}

// The replica's host is asked as a cycle does it; what it says of itself it has looked for within its
// interval.
std::vector<HostFinding> Checker::of_neighbour(const core::State& state) {
  const std::string& to = state.settings.recovery_connection_point;
  const auto peer =
      parts_.connector.connect(to, state.settings.recovery_server_port, kConnect, CancelToken());
  if (!peer)
    return {{parts_.name, from_error(critical, "replica", "the replica host " + to + ": ", peer.error())}};
  const std::string& host = (*peer)->hello().host;
  const auto held = (*peer)->query({state.vm});
  if (!held)
    return {{parts_.name, from_error(critical, "replica", "the replica host " + to + ": ", held.error())}};
  std::vector<HostFinding> found;
  const bool ours = held->mode == ReplicationMode::replica && held->lineage.set == state.lineage.set;
  found.push_back(
      {parts_.name, ours ? Finding{ok, "replica", to + " answers, and holds the replica", {}}
                         : Finding{critical, "replica", to + " holds no replica that this host sends to",
                                   "understudy show " + state.name + " on " + to}});
  const std::string& version = (*peer)->hello().product_version;
  found.push_back(
      {host, version == UNDERSTUDY_VERSION
                 ? Finding{ok, "version", "both hosts run version " + version, {}}
                 : Finding{warning, "version",
                           "it runs version " + version + ", " + parts_.name + " " + UNDERSTUDY_VERSION,
                           "bring both hosts to the same version of Understudy"}});
  if (!held->host) return found;
  for (const Finding& finding : held->host->findings) found.push_back({host, finding});
  if (held->host->findings.empty())
    found.push_back(
        {host,
         {ok,
          "host",
          "it finds nothing wrong; for all it looked at: understudy check " + state.name + " there",
          {}}});
  return found;
}

Result<std::vector<HostFinding>> Checker::check(const Uuid& vm) {
  const auto state = parts_.core.state(vm);
  if (!state || core::mode_of(*state) == ReplicationMode::none)
    return fail(ErrorCode::invalid_state, "the VM is not replicated on this host", "understudy list");
  std::vector<HostFinding> all;
  core::State relationship = *state;  // what was found before is looked for again
  relationship.findings.clear();
  relationship.neighbour.findings.clear();
  const core::Health health = core::health_of(relationship, parts_.clock.now().wall);
  all.push_back({parts_.name, health.level == ok ? Finding{ok, "health", "replication is healthy", {}}
                                                 : Finding{health.level, "health", health.cause, health.next,
                                                           health.since}});
  std::vector<Finding> here = of_host(*state);
  const bool primary = core::is_primary(state->phase);
  const std::vector<Finding> more = primary ? of_primary(*state) : of_replica(*state, true);
  here.insert(here.end(), more.begin(), more.end());
  if (primary) here.push_back(of_checkpoints(*state));
  const std::vector<Finding> longer = thorough(*state);
  here.insert(here.end(), longer.begin(), longer.end());
  look_again(vm);
  for (Finding& finding : here) all.push_back({parts_.name, std::move(finding)});
  if (!primary) return all;
  const std::vector<HostFinding> there = of_neighbour(*state);
  all.insert(all.end(), there.begin(), there.end());
  return all;
}

}  // namespace understudy::daemon
