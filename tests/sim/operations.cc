#include "operations.h"

#include "core/health.h"
#include "world.h"

namespace understudy::sim {
namespace {

constexpr uint16_t kResume = 3;
constexpr uint16_t kPause = 7;
constexpr uint16_t kCancelResync = 9;

bool says(const core::Health& health, std::string_view what) {
  return health.next.find(what) != std::string::npos;
}

}  // namespace

core::CallFacts Operations::facts(Host& host) {
  core::CallFacts found = host.hypervisor.facts();
  const CallVerdict verdict = world_.faults.call(host.index, "find", false);
  if (verdict.error && !host.dead) found.hypervisor = *verdict.error;
  return found;
}

void Operations::create() {
  world_.primary().call([this](core::CallId call) -> core::Event {
    core::CreateCall create;
    create.call = call;
    create.facts = facts(world_.primary());
    create.settings = world_.settings;
    create.definition = world_.primary().hypervisor.vm.definition;
    create.disks = world_.disks;
    return create;
  });
}
void Operations::start_copy() {
  world_.primary().call([this](core::CallId call) -> core::Event {
    return core::StartCall{call, facts(world_.primary())};
  });
}

void Operations::fail_over() {
  Host& host = world_.replica();
  const auto store = host.store();
  if (store == nullptr) return;
  host.call([&](core::CallId call) -> core::Event {
    core::FailoverCall failover;
    failover.call = call;
    failover.facts = facts(host);
    failover.points = store->points();
    failover.generation_spent = store->generation_spent();
    if (!failover.points.empty() && world_.random.one_in(2))
      failover.point = failover.points[world_.random.below(failover.points.size())].id;
    if (world_.random.one_in(10)) failover.point = host.ids.next();
    if (world_.random.one_in(2)) failover.primary_running = world_.primary().hypervisor.runs();
    return failover;
  });
}
void Operations::revert() {
  Host& host = world_.replica();
  host.call([&](core::CallId call) -> core::Event { return core::RevertCall{call, facts(host)}; });
}
void Operations::ask_state(Host& host, uint16_t requested) {
  host.call([&](core::CallId call) -> core::Event { return core::StateCall{call, facts(host), requested}; });
}
void Operations::resync(bool later) {
  Host& host = world_.primary();
  host.call([&](core::CallId call) -> core::Event {
    core::ResyncCall resync{call, facts(host), {}};
    if (later)
      resync.start =
          host.clock.now().wall + Duration::seconds(static_cast<int64_t>(world_.random.below(600)));
    return resync;
  });
}
void Operations::make_point() {
  Host& host = world_.primary();
  host.call([&](core::CallId call) -> core::Event {
    return core::PointCall{call, facts(host), world_.random.one_in(2)};
  });
}
// Never more history than the world's own, which the oracle goes by.
void Operations::change_settings() {
  Host& host = world_.primary();
  host.call([&](core::CallId call) -> core::Event {
    core::ModifyCall modify{call, facts(host), host.engine().settings, host.engine().settings};
    constexpr uint32_t kIntervals[] = {30, 300, 900};
    modify.settings.replication_interval = kIntervals[world_.random.below(3)];
    modify.settings.recovery_history =
        static_cast<uint32_t>(world_.random.below(world_.settings.recovery_history + 1ULL));
    modify.settings.auto_resynchronize_enabled = world_.random.one_in(2);
    return modify;
  });
}
void Operations::power(Host& host, bool on) {
  host.call([&](core::CallId call) -> core::Event { return core::PowerCall{call, facts(host), on}; });
}

void Operations::remove(Host& host) {
  host.call([&](core::CallId call) -> core::Event { return core::RemoveCall{call, facts(host)}; });
}

void Operations::start_at_once(Host& host) {
  if (!host.hypervisor.vm.defined || host.hypervisor.vm.power != core::VmPower::off) return;
  if (const Status started = host.hypervisor.power_on();
      !started && started.error().code() == ErrorCode::access_denied)
    world_.watch.saw(Rare::start_refused);
}

void Operations::enable() {
  if (!world_.primary().up()) return;
  const core::Phase phase = world_.primary().phase();
  if (phase == core::Phase::none) create();
  if (phase == core::Phase::ready) start_copy();
}

Duration Operations::until_next() {
  const auto most = static_cast<uint64_t>(world_.settings.replication_interval) * 2000;
  return Duration::millis(static_cast<int64_t>(world_.random.between(100, most)));
}

void Operations::act() {
  Random& random = world_.random;
  if (!world_.leaving()) enable();
  Host& any = *world_.hosts[random.below(2)];
  if (world_.leaving() && random.one_in(2)) return remove(any);
  const core::State& primary = world_.primary().engine();
  if (primary.phase == core::Phase::sending && random.one_in(3))
    return ask_state(world_.primary(), primary.resync && random.one_in(2) ? kCancelResync : kPause);
  switch (random.below(19)) {
    case 0:
    case 16:
      return fail_over();
    case 18:
      return change_settings();
    case 17:
      if (world_.leaving()) return remove(any);
      return random.one_in(2) ? create() : start_copy();
    case 1:
    case 2:
      return revert();
    case 3:
      return ask_state(any, kPause);
    case 4:
    case 5:
      return ask_state(any, kResume);
    case 6:
      return ask_state(any, kCancelResync);
    case 7:
      return resync(false);
    case 8:
      return resync(true);
    case 9:
      return power(any, true);
    case 10:
      return power(any, false);
    case 11:
    case 12:
      return start_at_once(any);
    default:
      return make_point();
  }
}

// What each host says is to be done, in its own words; and what anybody does: a VM that should run is
// started.
void Operations::obey() {
  if (world_.leaving()) {
    for (const auto& host : world_.hosts) {
      if (!host->up() || host->phase() == core::Phase::none) continue;
      if (says(core::health_of(host->engine(), host->clock.now().wall), "virsh start")) start_at_once(*host);
      remove(*host);
    }
    return;
  }
  enable();
  for (const auto& host : world_.hosts) {
    if (!host->up()) continue;
    const core::State& state = host->engine();
    const core::Health health = core::health_of(state, host->clock.now().wall);
    if (says(health, "virsh start")) start_at_once(*host);
    if (says(health, "understudy resume")) ask_state(*host, kResume);
    if (says(health, "understudy resync")) resync(false);
    if (says(health, "decide which copy to keep")) {
      power(world_.replica(), false);
      revert();
      ask_state(world_.primary(), kResume);
    }
    if (says(health, "virsh define")) world_.primary().hypervisor.define_again();
    if (says(health, "virsh domjobabort")) world_.primary().hypervisor.vm.job.reset();
    if (state.phase == core::Phase::failed_over) {
      if (host->hypervisor.vm.power != core::VmPower::off) power(*host, false);
      revert();
    }
    if (state.phase == core::Phase::halted && health.next.empty())
      world_.oracle.violate("a halted relationship names what to do", health.cause);
  }
}

}  // namespace understudy::sim
