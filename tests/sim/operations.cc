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

NicSettings some_settings(Random& random, const std::string& mac) {
  NicSettings card;
  card.mac = mac;
  const uint64_t kind = random.below(5);
  if (kind == 0) return card;  // taken back
  card.dhcp = kind == 1;
  const auto prefix = [&](const std::string& text) { card.addresses.push_back(*IpPrefix::parse(text)); };
  const std::string number = std::to_string(random.between(2, 250));
  if (!card.dhcp) prefix("192.0.2." + number + "/24");
  if (kind > 2) prefix("2001:db8::" + number + "/64");
  if (!card.dhcp && random.one_in(2)) card.gateways.push_back(*IpAddress::parse("192.0.2.1"));
  if (random.one_in(2)) card.name_servers.push_back(*IpAddress::parse("192.0.2.53"));
  return card;
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
  host.call(
      [&](core::CallId call) -> core::Event {
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
      },
      [this, &host](const core::Reply& reply) {
        if (reply.job && *reply.job && world_.random.one_in(4)) cancel(host, **reply.job);
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

// Of some of the cards that the VM has.
void Operations::set_network(Host& host) {
  core::NetworkCall call;
  for (const VmNic& nic : host.hypervisor.vm.definition.nics) {
    const NicSettings card = some_settings(world_.random, nic.mac);
    if (world_.random.one_in(2)) call.cards.push_back(card);
  }
  send_network(host, call);
}
void Operations::send_network(Host& host, core::NetworkCall call) {
  call.facts = facts(host);
  for (const VmNic& nic : host.hypervisor.vm.definition.nics) call.known.push_back(nic.mac);
  if (!host.up()) return;
  world_.oracle.network_asked(host.index, call);
  host.call(
      [&](core::CallId id) -> core::Event {
        call.call = id;
        return call;
      },
      [this, at = host.index](const core::Reply& reply) {
        world_.oracle.network_answered(at, reply.job.has_value());
      });
}

// One that runs, now and then one that has ended or never was.
void Operations::cancel_job(Host& host) {
  std::vector<Uuid> jobs;
  for (const Job& job : host.engine().jobs)
    if (!job.finished() || world_.random.one_in(8)) jobs.push_back(job.id);
  if (jobs.empty()) jobs.push_back(host.ids.next());
  cancel(host, jobs[world_.random.below(jobs.size())]);
}
void Operations::cancel(Host& host, const Uuid& job) {
  host.call(
      [&](core::CallId call) -> core::Event {
        return core::CancelCall{call, job};
      },
      [this, &host, job](const core::Reply& reply) {
        if (reply.job) world_.oracle.cancelled(host.engine(), job);
      });
}
void Operations::reset_statistics(Host& host) {
  host.call([](core::CallId call) -> core::Event { return core::StatisticsCall{call}; },
            [this, &host](const core::Reply& reply) {
              const core::Statistics& now = host.engine().statistics;
              if (reply.job && (now.since != host.clock.now().wall || now.successes + now.bytes != 0))
                world_.oracle.violate("statistics begin anew when that is asked for", "they do not");
            });
}

// Its next certificate has another name, which is of the same trust group on the replica's host.
void Operations::rename_primary() {
  std::string& name = world_.primary().certificate;
  name = name == "hosta" ? "hostc" : "hosta";
}

void Operations::start_at_once(Host& host) {
  if (!host.hypervisor.vm.defined || host.hypervisor.vm.power != core::VmPower::off) return;
  if (const Status started = host.hypervisor.power_on();
      !started && started.error().code() == ErrorCode::access_denied)
    world_.watch.saw(Rare::start_refused);
}

void Operations::behind_the_back(Host& host) {
  if (host.hypervisor.vm.power == core::VmPower::off)
    start_at_once(host);
  else
    host.hypervisor.power_off(true);
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
  const core::State& replica = world_.replica().engine();
  if (replica.phase == core::Phase::failed_over && random.one_in(2)) {
    const bool sets = replica.network.empty() || (world_.replica().hypervisor.runs() && random.one_in(2));
    if (!sets) {
      if (world_.replica().up() && random.one_in(4))
        world_.replica().kill(Death::daemon);  // and starts it himself
      return start_at_once(world_.replica());
    }
    // Whoever does it in haste corrects himself.
    for (uint64_t times = 1 + random.below(3); times > 0; --times) set_network(world_.replica());
    return;
  }
  switch (random.below(26)) {
    case 0:
    case 16:
      return fail_over();
    case 18:
      return change_settings();
    case 19:
    case 20:
      return set_network(random.one_in(4) ? world_.primary() : world_.replica());
    case 21:
    case 22:
      return cancel_job(any);
    case 23:
      return reset_statistics(any);
    case 24:
      return world_.look_around();
    case 25:
      return rename_primary();
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
  world_.look_around();
  if (world_.leaving()) {
    for (const auto& host : world_.hosts) {
      if (!host->up() || host->phase() == core::Phase::none) continue;
      if (says(core::health_of(host->engine(), host->clock.now().wall), "virsh start")) start_at_once(*host);
      remove(*host);
    }
    return;
  }
  enable();
  const bool mending = mend();
  for (const auto& host : world_.hosts) {
    if (!host->up()) continue;
    const core::State& state = host->engine();
    const core::Health health = core::health_of(state, host->clock.now().wall);
    if (says(health, "virsh start")) start_at_once(*host);
    if (says(health, "understudy resume") && !(host->index == 0 && mending)) ask_state(*host, kResume);
    if (says(health, "understudy resync")) resync(false);
    if (says(health, "decide which copy to keep")) {
      power(world_.replica(), false);
      revert();
      ask_state(world_.primary(), kResume);
    }
    if (says(health, "virsh define")) world_.primary().hypervisor.define_again();
    if (says(health, "virsh domjobabort")) world_.primary().hypervisor.vm.job.reset();
    if (state.phase == core::Phase::failed_over) {
      if (!network_is_settled(*host)) continue;
      if (host->hypervisor.vm.power != core::VmPower::off) power(*host, false);
      revert();
    }
    if (state.phase == core::Phase::halted && health.next.empty())
      world_.oracle.violate("a halted relationship names what to do", health.cause);
  }
}

// Before a failover is taken back, its guest shows that it takes what it was to be given. When health says
// why it does not, that is done away with, and the settings are given again.
bool Operations::network_is_settled(Host& host) {
  const core::State& state = host.engine();
  if (world_.oracle.guest_has_its_network()) return true;
  if (!host.hypervisor.runs()) {
    power(host, true);
    return false;
  }
  for (const core::Health& issue : core::health_issues(state, host.clock.now().wall)) {
    if (issue.cause.find("was not given its network settings") == std::string::npos) continue;
    core::NetworkCall again;
    again.cards = state.network;
    send_network(host, again);
  }
  return false;
}

// `understudy store check` says whether the newest point is damaged: what the primary has mends it.
bool Operations::mend() {
  Host& primary = world_.primary();
  const core::State& state = primary.engine();
  const bool needed = world_.replica().phase() == core::Phase::standby && world_.oracle.newest_is_damaged();
  if (!needed || !primary.up() || state.phase > core::Phase::settling || state.resync) return false;
  if (state.copying()) return false;  // that goes on first
  mends = true;
  if (state.suspended)
    resync(false);
  else if (!state.cause)
    ask_state(primary, kPause);
  return true;
}

}  // namespace understudy::sim
