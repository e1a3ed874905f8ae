#include "host.h"

#include "base/assert.h"
#include "daemon/registry.h"
#include "model/codec.h"
#include "world.h"

namespace understudy::sim {

Status SimExecutor::submit(std::function<void()> work) {
  if (world_.hosts[host_]->dead) return fail(ErrorCode::cancelled, "the daemon is dead");
  if (world_.faults.queue_is_full()) return fail(ErrorCode::out_of_memory, "too much is queued");
  world_.fibers.start_for(host_, name_, [this, work = std::move(work)] {
    world_.fibers.rest(Duration{static_cast<int64_t>(world_.random.below(3000 * world_.slowness))});
    work();
  });
  return {};
}

struct Host::Daemon {
  Daemon(Host& host, World& world)
      : workers(world, host.index, "worker"),
        senders(world, host.index, "sender"),
        mergers(world, host.index, "merger"),
        registry(host.db),
        service(host, registry, host.name),
        core(host.ports(), {workers, senders, mergers},
             {[&host](const Uuid& vm, core::Event event) { host.post(vm, std::move(event)); },
              [&host](performer::Answer answer) { host.answered(std::move(answer)); },
              [&host](const core::State& state) { host.changed(state); },
              [&host](const core::State& before, const core::Event& event, const core::Engine& after) {
                host.stepped(before, event, after);
              }}) {}
  SimExecutor workers;
  SimExecutor senders;
  SimExecutor mergers;
  daemon::Registry registry;
  daemon::ReplicationService service;
  performer::Core core;
};

Host::Host(World& world, int at)
    : index(at),
      name(at == 0 ? "hosta" : "hostb"),
      certificate(name),
      clock(world.fibers),
      ids(mix(world.seed) + static_cast<uint64_t>(at)),
      db(world, at),
      hypervisor(world, at),
      connector(world, at),
      world_(world) {
  US_ASSERT(files.make_directory(kStorage) && files.sync_directory("/s"));
  files.judge([this](store::CrashFiles::Operation operation, const std::string& path) {
    return world_.faults.file(index, operation, path);
  });
  daemon::Registry registry(db);
  ServiceSettings settings;
  settings.recovery_server_enabled = true;
  settings.allowed_authentication_type = 2;
  US_ASSERT(registry.store_settings(settings) && registry.add_entry({"hosta", kStorage, "sim"}) &&
            registry.add_entry({"hostc", kStorage, "sim"}) &&
            registry.add_entry({"hostd", kStorage, "elsewhere"}));
}

Host::~Host() = default;

performer::Ports Host::ports() {
  return {hypervisor,
          connector,
          files,
          db,
          clock,
          ids,
          [this](const Uuid&, const std::vector<DiskGeometry>& disks, const std::optional<std::string>&) {
            return hypervisor.open_source(disks);
          },
          [this](const std::vector<std::string>&) -> Status {
            return world_.faults.call(index, "give_to_guest", false).error_or_nothing();
          },
          [this] {
            transfer::HashSecret secret;
            Random random(world_.random.next());
            for (std::byte& b : secret.bytes) b = static_cast<std::byte>(random.next());
            return secret;
          }};
}

void Host::boot() {
  US_ASSERT(daemon_ == nullptr);
  dead = false;
  boots_at.reset();
  published_ = {};
  steps = 0;
  daemon_ = std::make_unique<Daemon>(*this, world_);
  world_.trace.note("boot", index);
  if (index == 0) ++world_.boots;
  Status loaded = daemon_->registry.load();
  if (loaded) loaded = daemon_->core.load();
  if (dead) return;
  world_.faults.booted(*this, loaded);
  if (dead) return;
  if (loaded) return world_.oracle.restarted(*this);
  world_.trace.text([&] { return name + " does not start: " + loaded.error().text(); });
  kill(Death::daemon);
}

void Host::kill(Death how) {
  if (dead && death == Death::power) return;
  dead = true;
  death = how;
  world_.trace.note(how == Death::power ? "power cut" : "daemon dies", index);
}

void Host::bury() {
  world_.network.break_all();
  queue_.clear();
  world_.fibers.drain(index);
  daemon_.reset();
  waiting_.clear();
  told_.clear();
  queue_.clear();
  if (death == Death::power) {
    files.crash(world_.random.next());
    hypervisor.power_cut();
  } else {
    files.restart_process();
  }
  boots_at = world_.fibers.now() + Duration::seconds(static_cast<int64_t>(world_.random.between(1, 40)));
}

void Host::step() {
  auto [vm, event] = std::move(queue_.front());
  queue_.pop_front();
  daemon_->core.step(vm, event);
}

void Host::stepped(const core::State& before, const core::Event& event, const core::Engine& after) {
  world_.trace.step(*this, core::event_name(event.index()), before);
  world_.watch.stepped(*this, before, event, after);
  ++steps;
}

std::optional<Monotonic> Host::next_timer() const {
  return up() ? daemon_->core.next_timer() : std::nullopt;
}

void Host::fire_timers() {
  const auto due = next_timer();
  if (!due || *due > world_.fibers.now()) return;
  daemon_->core.fire_timers();
}

void Host::post(const Uuid& vm, core::Event event) {
  if (dead) return;
  queue_.emplace_back(vm, std::move(event));
  most_queued = std::max(most_queued, queue_.size());
}

void Host::news(core::VmEvent what) {
  if (up() && !published_.vm.nil()) post(published_.vm, core::HypervisorNews{what});
}

void Host::call(const std::function<core::Event(core::CallId)>& make, Then then) {
  if (!up()) return;
  const core::CallId call = next_call_++;
  post(world_.vm, make(call));
  if (then) told_[call] = std::move(then);
}

Result<performer::Answer> Host::ask(const Uuid& vm, const std::function<core::Event(core::CallId)>& make,
                                    Duration deadline) {
  if (dead) return fail(ErrorCode::cancelled, "the daemon is stopping");
  const core::CallId call = next_call_++;
  waiting_[call];
  post(vm, make(call));
  const Monotonic until = world_.fibers.now() + deadline;
  while (!waiting_.at(call)) {
    const Duration left = until - world_.fibers.now();
    if (dead || left.us <= 0) {
      waiting_.erase(call);
      return dead ? fail(ErrorCode::cancelled, "the daemon is stopping")
                  : fail(ErrorCode::timeout, "no answer");
    }
    (void)world_.fibers.wait(&waiting_, left);
  }
  performer::Answer answer = std::move(*waiting_.at(call));
  waiting_.erase(call);
  return answer;
}

std::optional<core::State> Host::state(const Uuid& vm) const {
  if (published_.vm != vm) return std::nullopt;
  return published_;
}

performer::Performer& Host::performer() {
  return daemon_->core.performer();
}

transfer::PeerService& Host::service() {
  return daemon_->service;
}

std::shared_ptr<store::ReplicaStore> Host::store() {
  if (!up()) return nullptr;
  auto found = daemon_->core.performer().replica_store(world_.vm);
  return found ? *found : nullptr;
}

void Host::changed(const core::State& state) {
  if (dead) return;
  published_ = state;
}

void Host::answered(performer::Answer answer) {
  if (dead) return;
  const core::CallId call = std::visit([](const auto& each) { return each.call; }, answer);
  if (const auto found = waiting_.find(call); found != waiting_.end()) {
    found->second = std::move(answer);
    world_.fibers.notify(&waiting_);
  } else if (const auto* reply = std::get_if<core::Reply>(&answer)) {
    world_.trace.text([&] {
      return name +
             " answers: " + (reply->job ? std::string("done") : "refused, " + reply->job.error().message());
    });
    if (auto told = told_.extract(call)) told.mapped()(*reply);
  }
}

}  // namespace understudy::sim
