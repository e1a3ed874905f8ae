#include "world.h"

#include <algorithm>

namespace understudy::sim {
namespace {
constexpr uint64_t kMostSteps = 60'000;
constexpr Duration kRest = Duration::seconds(4 * 3600);
}  // namespace

World::World(uint64_t of, bool print)
    : seed(of),
      random(of),
      trace(fibers, print),
      faults(*this),
      network(*this),
      oracle(*this),
      watch(*this),
      operations(*this) {
  set_scheduler(&fibers);
  draw_vm();
  for (int i = 0; i < 2; ++i) hosts[static_cast<size_t>(i)] = std::make_unique<Host>(*this, i);
  Vm& guest = primary().hypervisor.vm;
  guest.defined = true;
  guest.definition.id = vm;
  guest.definition.name = "vm1";
  guest.definition.type = "kvm";
  guest.definition.arch = "x86_64";
  guest.definition.machine = "pc-q35-7.2";
  guest.definition.clock_offset = "utc";
  guest.definition.memory_kib = guest.definition.current_memory_kib = 65536;
  guest.definition.vcpus = guest.definition.current_vcpus = 1;
  guest.definition.nics.push_back({"52:54:00:00:00:01", "virtio", "lan", "", 0, true});
  for (const DiskGeometry& disk : disks) {
    VmDisk of_definition;
    of_definition.target = disk.target;
    of_definition.bus = "virtio";
    of_definition.size = disk.size;
    guest.definition.disks.push_back(of_definition);
    guest.now.emplace_back(blocks_of(disk));
  }
  guest.flushed = guest.now;
  oracle.defined_as(guest.definition);
  (void)primary().hypervisor.power_on();
  primary().hypervisor.guest_writes(random.between(5, 40), false);
}

World::~World() {
  for (const auto& host : hosts) {
    host->dead = true;
    host->bury();
  }
  set_scheduler(nullptr);
}

void World::draw_vm() {
  std::array<uint8_t, 16> id{};
  id[0] = 0x2f;
  id[15] = static_cast<uint8_t>(seed);
  vm = Uuid::from_bytes(id);
  // 64 blocks in all; the last one of a disk may be short.
  const uint64_t second = random.one_in(3) ? 0 : random.between(3, 30);
  const uint64_t tail = random.one_in(2) ? 0 : random.between(1, 7) * kSector;
  disks.push_back({"vda", (64 - second) * kBlock - tail});
  if (second > 0) disks.push_back({"vdb", second * kBlock - (random.one_in(2) ? tail : 0)});
  granule = static_cast<uint32_t>(kBlock << (random.one_in(4) ? random.between(1, 4) : 0));
  constexpr uint64_t kSlowness[] = {1, 1, 30, 1000};
  slowness = kSlowness[random.below(4)];
  haste = random.one_in(3) ? 0 : random.between(8, 100);
  if (random.one_in(4)) throttle = std::make_shared<transfer::Throttle>(random.between(20'000, 400'000));
  cursor_every = kBlock * random.between(2, 24);
  settings.recovery_connection_point = "hostb";
  constexpr uint32_t kIntervals[] = {30, 300, 900};
  settings.replication_interval = kIntervals[random.below(3)];
  settings.recovery_history = static_cast<uint32_t>(random.one_in(2) ? 0 : random.below(6));
  settings.application_consistent_interval = random.one_in(3) ? 1 : 0;
  settings.compression_enabled = random.one_in(4);
  settings.auto_resynchronize_enabled = random.one_in(2);
  settings.auto_resynchronize_start = settings.auto_resynchronize_end = 0;
  for (const DiskGeometry& disk : disks) settings.included_disks.push_back(disk.target);
  const auto intervals = [&](uint64_t count) {
    return Duration::seconds(settings.replication_interval) * static_cast<int64_t>(count);
  };
  const uint64_t lasts = random.between(4, 14);
  ends_ = fibers.now() + intervals(lasts);
  Random apart(mix(seed) ^ 0x6c65617665);  // not from the one above: seeds that stay are what they were
  if (apart.one_in(8)) leaves_at = fibers.now() + intervals(lasts - apart.between(0, 4));
}

// --- one step ---

void World::settle_dead() {
  for (const auto& host : hosts)
    while (host->dead && host->has_daemon()) host->bury();
}

void World::turn() {
  ++steps;
  const size_t fibers_ready = fibers.ready();
  std::array<Host*, 2> with_events{};
  size_t events = 0;
  for (const auto& host : hosts)
    if (host->has_event()) with_events[events++] = host.get();
  if (fibers_ready + events == 0) return pass_time();
  const uint64_t chosen = random.below(fibers_ready + events);
  if (chosen < fibers_ready)
    fibers.run(chosen);
  else
    with_events[chosen - fibers_ready]->step();
  if (!quiet && haste != 0 && chosen >= fibers_ready && random.one_in(haste)) {
    if (random.one_in(2))
      faults.happen();
    else
      operations.act();
  }
}

void World::pass_time() {
  Monotonic next = fibers.now() + Duration::seconds(3600);
  const auto sooner = [&next](std::optional<Monotonic> at) {
    if (at) next = std::min(next, *at);
  };
  sooner(fibers.next_due());
  for (const auto& host : hosts) {
    sooner(host->next_timer());
    sooner(host->boots_at);
  }
  for (const Monotonic& at : due_) sooner(at);
  fibers.advance(next);
  for (const auto& host : hosts) {
    if (host->boots_at && *host->boots_at <= fibers.now()) {
      const bool over = host->phase() == core::Phase::failed_over;
      if (!quiet && random.one_in(over ? 2 : 6)) operations.behind_the_back(*host);
      host->boot();
    } else {
      host->fire_timers();
    }
  }
  const auto comes = [&](Turn turn, Duration again) {
    Monotonic& at = due_[static_cast<size_t>(turn)];
    if (at > fibers.now()) return false;
    at = fibers.now() + again;
    return true;
  };
  if (comes(Turn::guest, faults.until_next())) {
    if (random.one_in(3)) primary().hypervisor.guest_flushes();
    const bool zeroes = random.one_in(5);
    primary().hypervisor.guest_writes(random.between(1, 4), zeroes);
    if (random.one_in(25)) primary().hypervisor.change_hardware();
  }
  if (comes(Turn::trouble, faults.until_next())) faults.happen();
  if (quiet) {
    if (comes(Turn::operation, Duration::seconds(120))) operations.obey();
  } else if (comes(Turn::operation, operations.until_next())) {
    operations.act();
  }
}

bool World::run() {
  for (const auto& host : hosts) host->boot();
  operations.enable();
  faults.begin();
  while (!oracle.violation() && fibers.now() < ends_ && steps < kMostSteps) {
    turn();
    settle_dead();
    oracle.after_step();
  }
  if (!oracle.violation()) (void)come_to_rest();
  if (!oracle.violation()) oracle.at_rest();
  if (!oracle.violation()) oracle.look_at_everything();
  if (!oracle.violation() && !leaving()) look_with_product();
  return !oracle.violation();
}

// What merges have found of damage at rest: known_damage is what the daemon's own checker asks.
void World::look_around() {
  Host& host = replica();
  if (!host.up() || !core::is_replica(host.phase()) || faults.flipped()) return;
  core::Checked looked;
  const size_t damaged = oracle.known_damage();
  if (damaged > 0)
    looked.findings.push_back({ReplicationHealth::warning, "damage",
                               std::to_string(damaged) + " recovery points are damaged at rest",
                               "understudy store check"});
  host.post(vm, looked);
}

// --- the end: faults are over ---

// What the product says of its points is what the oracle reads from the files.
void World::look_with_product() {
  const auto store = replica().store();
  const std::string settings_text = "seed " + std::to_string(seed);
  if (store == nullptr || !store->set_settings(settings_text))
    return oracle.violate("a store at rest is usable", "not");
  for (const RecoveryPoint& point : store->points()) {
    const auto view = store->view(point.id);
    const auto chains = store->chains(point.id);
    const auto machine = store->machine(point.id);
    if (!view || !chains || !machine) return oracle.violate("a listed point can be read", point.id.lower());
    for (uint32_t disk = 0; disk < disks.size(); ++disk) {
      Bytes content(disks[disk].size);
      const Status read = (*view)->read(disk, 0, content);
      if (!read || !oracle.holds(point, disk, content))
        return oracle.violate("the product reads what the files hold", "point " + point.id.lower());
    }
  }
  for (const store::SetAside& aside : store->set_aside())
    if (aside.files.empty()) oracle.violate("what is set aside has files", std::to_string(aside.generation));
}

bool World::normal() {
  const core::State& state = primary().engine();
  return primary().up() && replica().up() && state.phase >= core::Phase::idle &&
         state.phase <= core::Phase::settling && state.first_copy_done() && !state.cause &&
         !state.suspended && !state.resync && replica().phase() == core::Phase::standby &&
         !oracle.newest_is_damaged();
}

bool World::removed() {
  return primary().up() && replica().up() && primary().phase() == core::Phase::none &&
         replica().phase() == core::Phase::none;
}

bool World::come_to_rest() {
  quiet = true;
  faults.stop();
  trace.note("quiet", -1);
  const Monotonic until = fibers.now() + kRest;
  const uint64_t most_steps = steps + kMostSteps;
  const uint64_t last_sequence = oracle.last_cut();
  while (!oracle.violation() && fibers.now() < until && steps < most_steps) {
    if (leaving() && removed()) return true;
    if (!leaving() && normal() && oracle.newest_durable() > last_sequence &&
        primary().phase() == core::Phase::idle && primary().engine().obligations.empty())
      return true;
    turn();
    settle_dead();
    oracle.after_step();
  }
  const auto words = [](const Host& host) {
    const core::State& state = host.engine();
    return host.name + (host.up() ? " " : " (down) ") + std::string(core::phase_name(state.phase)) +
           (state.suspended ? " suspended" : "") + (state.resync ? " resync" : "") +
           (state.cause ? " [" + state.cause->text() + "]" : "");
  };
  oracle.violate("once faults stop, the relationship comes to rest",
                 words(primary()) + "; " + words(replica()) + "; newest durable point " +
                     std::to_string(oracle.newest_durable()) + ", wanted above " +
                     std::to_string(last_sequence));
  return false;
}

}  // namespace understudy::sim
