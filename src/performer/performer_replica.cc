// The replica side of the performer: store, hold and domain.
#include "base/log.h"
#include "model/codec.h"
#include "performer/performer.h"

namespace understudy::performer {
namespace {

constexpr Duration kSetAsideKept = Duration::seconds(24 * 3600);  // a revert may turn out to be wrong
constexpr uint64_t kRoom = 256 << 20;  // at least, of what reverts set aside, when the disk is full

store::ReplicaIdentity identity_of(const core::PrepareReplica& action, const core::State& state) {
  return {state.vm,     action.definition.name, action.lineage.set,    action.lineage.generation,
          action.disks, state.primary_name,     encode(state.settings)};
}

std::vector<std::string> active_paths(const store::ReplicaStore& store) {
  std::vector<std::string> paths;
  for (uint32_t disk = 0; disk < store.identity().disks.size(); ++disk)
    paths.push_back(store.active_path(disk));
  return paths;
}

core::ReplicaRequest request_of(const VmDefinition& definition, const store::ReplicaStore& store,
                                Bytes nvram) {
  core::ReplicaRequest request;
  request.definition = definition;
  request.store_directory = store.directory();
  request.disk_paths = active_paths(store);
  request.nvram = std::move(nvram);
  return request;
}

std::string hold_reason(const std::string& name) {
  return "VM '" + name +
         "' is a replica kept by Understudy. It starts only after a failover: understudy failover " + name;
}

bool disk_is_full(const std::optional<Error>& error) {
  return error && error->code() == ErrorCode::no_space;
}

// Our primaries begin each copy with a pass. What an increment closes may have gone, with this daemon, since
// the primary asked what there was; alone it would look like a whole copy.
Status check_closes(const store::ReplicaStore& store, const TransferKey& key) {
  if (key.kind != TransferKind::delta || key.from != 0 || store.staging()) return {};
  return fail(ErrorCode::invalid_state,
              store.identity().name + ": the first copy that this increment closes is not here any more",
              "it begins again by itself");
}

void make_room(store::ReplicaStore& store, const std::string& name) {
  const auto freed = store.make_room(kRoom);
  if (freed && *freed == 0) return;
  log_warning("store", "the disk is full: what was set aside by reverts is dropped, oldest first",
              {{"vm", name}, {"bytes", freed ? std::to_string(*freed) : freed.error().text()}});
}

}  // namespace

void Performer::adopt(const State& state) {
  if (!core::is_replica(state.phase) || state.phase == core::Phase::preparing) return;
  const bool may_start = state.phase == core::Phase::releasing || state.phase == core::Phase::failed_over ||
                         state.phase == core::Phase::retiring;  // as it was, until that is done
  if (!may_start) {
    // Whatever became of the folder of holds.
    if (const Status held = ports_.hypervisor.hold(state.vm, hold_reason(state.name)); !held)
      log_error("performer", "a replica is not held", {{"vm", state.name}, {"error", held.error().text()}});
  }
  const RuntimePtr mine = runtime(state.vm);
  {
    const std::lock_guard lock(mine->mutex);
    mine->directory = state.directory;
  }
  if (const auto store = replica_store(state.vm); !store)
    log_error("store", "a replica cannot be opened", {{"vm", state.name}, {"error", store.error().text()}});
}

// What keeps it from being opened may pass, or be repaired: every use tries again.
Result<std::shared_ptr<store::ReplicaStore>> Performer::replica_store(const Uuid& vm) {
  const RuntimePtr mine = runtime(vm);
  const std::lock_guard opening(mine->opening);
  {
    const std::lock_guard lock(mine->mutex);
    if (mine->store) return mine->store;
    if (mine->directory.empty())
      return fail(ErrorCode::not_found, "this host has no store for VM " + vm.lower());
  }
  US_TRY(std::shared_ptr<store::ReplicaStore> store,
         store::ReplicaStore::open(ports_.files, mine->directory));
  const std::lock_guard lock(mine->mutex);
  mine->store = store;
  return store;
}

std::vector<RecoveryPoint> Performer::points(const Uuid& vm) {
  const auto store = replica_store(vm);
  if (!store) return {};
  if (const Status sure = (*store)->make_sure(); !sure)
    log_warning("store", "the disk does not say what it holds",
                {{"vm", (*store)->identity().name}, {"error", sure.error().text()}});
  return (*store)->points();
}

// Idempotent: the primary repeats it when it does not know how it ended. A store of another set is replaced
// as long as it holds no point. What a failure leaves is removed by the Retire that follows.
Result<std::vector<std::string>> Performer::prepare_replica(Runtime& mine, const core::PrepareReplica& action,
                                                            const State& state, bool& found) {
  std::shared_ptr<store::ReplicaStore> store;
  US_TRY(const bool there, ports_.files.exists(action.directory));
  if (there) {
    auto opened = store::ReplicaStore::open(ports_.files, action.directory);
    // A folder without a manifest is what a crash left of an earlier try; create() looks what is in it.
    if (!opened && opened.error().code() != ErrorCode::not_found)
      return fail(opened.error().context("folder " + action.directory));
    if (opened) store = std::move(*opened);
    found = store && is_of_use(*store, action.lineage.set);
    if (store && (!store->points().empty() || store->failed_over()))
      return fail(
          ErrorCode::invalid_parameter,
          "folder " + action.directory + " already holds recovery points of '" + store->identity().name + "'",
          "move the folder away, or remove that replica first");
    if (store && store->identity().set != action.lineage.set) {
      US_CHECK(undo_replica(state.vm, *store));
      store.reset();
    }
    found = store != nullptr;
  }
  if (!store) {
    US_TRY(store, store::ReplicaStore::create(ports_.files, action.directory, identity_of(action, state)));
  }
  const core::ReplicaRequest request = request_of(action.definition, *store, {});
  US_TRY(auto warnings, ports_.hypervisor.check_replica(request));
  US_CHECK(ports_.hypervisor.define_replica(request));
  US_CHECK(ports_.hypervisor.hold(state.vm, hold_reason(action.definition.name)));
  const std::lock_guard lock(mine.mutex);
  mine.store = store;
  mine.directory = action.directory;
  return warnings;
}

void Performer::on(const State& state, const core::PrepareReplica& action) {
  const RuntimePtr mine = runtime(state.vm);
  bool known = false;  // else what there may be is of an engine that was lost
  {
    const std::lock_guard lock(mine->mutex);
    known = !mine->directory.empty();
  }
  run(
      workers_, state.vm,
      [this, mine, state, action]() -> core::Event {
        bool found = false;
        auto warnings = prepare_replica(*mine, action, state, found);
        return core::PreparedReplica{action.id, std::move(warnings), found};
      },
      [id = action.id, known](const Error& error) -> core::Event {
        return core::PreparedReplica{id, fail(error), !known};
      });
}

void Performer::on(const State& state, const core::OpenStaging& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, vm = state.vm, name = state.name, cause = state.cause, action]() -> core::Event {
        const auto store = replica_store(vm);
        if (!store) return core::StagingOpened{action.id, fail(store.error())};
        std::shared_ptr<StagingSink> before;
        {
          const std::lock_guard lock(mine->mutex);
          before = std::move(mine->sink);
        }
        if (before) before->close();  // a connection that is cut may not have noticed yet
        if (disk_is_full(cause)) make_room(**store, name);
        if (const Status closes = check_closes(**store, action.key); !closes)
          return core::StagingOpened{action.id, fail(closes.error())};
        auto cursor = (*store)->begin(action.key, action.granule, action.sender);
        if (!cursor) {
          if (disk_is_full(cursor.error())) make_room(**store, name);  // the next try finds it
          return core::StagingOpened{action.id, fail(cursor.error())};
        }
        const std::lock_guard lock(mine->mutex);
        mine->sink = std::make_shared<StagingSink>(
            *store, ports_.clock, [this, vm](const Error& error) { post_(vm, core::ReceiveFailed{error}); });
        return core::StagingOpened{action.id, *cursor};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::StagingOpened{id, fail(error)};
      });
}

Result<RecoveryPoint> Performer::publish(Runtime& mine, const State& state, const core::Publish& action) {
  US_TRY(const std::shared_ptr<store::ReplicaStore> store, replica_store(state.vm));
  store::PointRequest request{action.key, action.point,    action.type,
                              action.cut, action.received, action.keep};
  {
    const std::lock_guard lock(mine.mutex);
    if (mine.sink) {
      store::Machine machine = mine.sink->machine();
      request.definition = std::move(machine.definition);
      request.nvram = std::move(machine.nvram);
    }
  }
  US_TRY(const RecoveryPoint point, store->finish(request, {state.settings.recovery_history}));
  if (const Status dropped = store->drop_set_aside({action.received.us - kSetAsideKept.us}); !dropped)
    log_warning("store", "what a revert set aside stays", {{"error", dropped.error().text()}});
  return point;
}

void Performer::on(const State& state, const core::Publish& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, action]() -> core::Event {
        auto point = publish(*mine, state, action);
        if (!point) return core::Published{action.id, fail(point.error()), false};
        const auto store = replica_store(state.vm);
        return core::Published{action.id, *point, store && (*store)->merge_due()};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::Published{id, fail(error), false};
      });
}

void Performer::on(const State& state, const core::StopReceiving& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, vm = state.vm, action]() -> core::Event {
        std::shared_ptr<StagingSink> sink;
        {
          const std::lock_guard lock(mine->mutex);
          sink = std::move(mine->sink);
        }
        if (sink) sink->close();
        core::Stopped stopped{action.id, {}};
        if (const auto store = replica_store(vm)) {
          if (const Status dropped = (*store)->drop_staging(); !dropped)
            log_warning("store", "an incomplete cycle stays", {{"error", dropped.error().text()}});
          stopped.points = points(vm);
        }
        return stopped;
      },
      [id = action.id](const Error&) -> core::Event {
        return core::Stopped{id, {}};
      });
}

void Performer::on(const State& state, const core::Merge& action) {
  const RuntimePtr mine = runtime(state.vm);
  CancelToken cancel;
  {
    const std::lock_guard lock(mine->mutex);
    mine->merging = cancel;
    if (stopping_.cancelled()) mine->merging.cancel();
  }
  run(
      mergers_, state.vm,
      [this, vm = state.vm, action, cancel]() -> core::Event {
        const auto store = replica_store(vm);
        if (!store) return core::Merged{action.id, fail(store.error())};
        auto merged = (*store)->merge(cancel);
        // Stopped, or another change needs the chain: it is run again after the next point.
        const bool put_off = !merged && (merged.error().code() == ErrorCode::cancelled ||
                                         merged.error().code() == ErrorCode::in_use);
        if (put_off) merged = 0;
        return core::Merged{action.id, merged};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::Merged{id, fail(error)};
      });
}

void Performer::on(const State& state, const core::StopMerging&) {
  const RuntimePtr mine = runtime(state.vm);
  const std::lock_guard lock(mine->mutex);
  mine->merging.cancel();
}

// What can fail without a trace comes first: libvirt says who QEMU is, and takes the VM as it was at the
// point.
Status Performer::fail_over(store::ReplicaStore& store, const core::FailOver& action) {
  US_CHECK(ports_.give_to_guest({}));
  US_TRY(store::Machine machine, store.machine(action.point));
  if (!machine.definition.empty()) {
    US_TRY(const VmDefinition definition, decode<VmDefinition>(machine.definition));
    US_CHECK(ports_.hypervisor.define_replica(request_of(definition, store, std::move(machine.nvram))));
  }
  US_CHECK(store.fail_over(action.point, action.generation));
  return ports_.give_to_guest(active_paths(store));
}

// One that cannot be completed gives its generation up, so that the replica goes on receiving; also when it
// is an earlier try, before a restart, that has raised it.
core::FailedOver Performer::fail_over_or_undo(const State& state, const core::FailOver& action) {
  const auto store = replica_store(state.vm);
  if (!store) return {action.id, fail(store.error()), false};
  Status done = fail_over(**store, action);
  if (done) return {action.id, {}, false};
  const Status undone = (*store)->revert(ports_.clock.now().wall);
  if (!undone)
    log_error("store", "a failover that failed cannot be undone",
              {{"vm", state.name}, {"error", undone.error().text()}});
  return {action.id, std::move(done), undone.has_value()};
}

void Performer::on(const State& state, const core::FailOver& action) {
  run(
      workers_, state.vm, [this, state, action]() -> core::Event { return fail_over_or_undo(state, action); },
      [id = action.id](const Error& error) -> core::Event {
        return core::FailedOver{id, fail(error), false};
      });
}

// Held first: from the moment the generation is given up nobody may start what the guest wrote.
core::Reverted Performer::revert(const State& state, const core::Revert& action) {
  core::Reverted reverted{action.id, {}, {}, {}};
  const auto store = replica_store(state.vm);
  reverted.status = store ? ports_.hypervisor.hold(state.vm, hold_reason(state.name)) : fail(store.error());
  if (reverted.status) reverted.status = ports_.hypervisor.remove_managed_save(state.vm);
  if (reverted.status) reverted.status = (*store)->revert(ports_.clock.now().wall);
  if (!store) return reverted;
  if ((*store)->make_sure()) reverted.failed_over = (*store)->failed_over();
  reverted.newest = (*store)->newest();
  return reverted;
}

void Performer::on(const State& state, const core::Revert& action) {
  run(
      workers_, state.vm, [this, state, action]() -> core::Event { return revert(state, action); },
      [id = action.id](const Error& error) -> core::Event {
        return core::Reverted{id, fail(error), {}, {}};
      });
}

// A managed-save image would start the VM on the disks of another time.
void Performer::on(const State& state, const core::Release& action) {
  run(
      workers_, state.vm,
      [this, vm = state.vm, action]() -> core::Event {
        Status done = ports_.hypervisor.remove_managed_save(vm);
        if (done) done = ports_.hypervisor.lift_hold(vm);
        return core::Released{action.id, done};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::Released{id, fail(error)};
      });
}

// To whom asked for what could not be prepared: its own first copy, under way when the database was lost,
// too.
bool Performer::is_of_use(const store::ReplicaStore& store, const Uuid& set) {
  return !store.points().empty() || store.failed_over() || (store.staging() && store.identity().set == set);
}

// Without a point nobody can use anything of it. A VM of that id which is not a replica is not ours to touch.
Status Performer::undo_replica(const Uuid& vm, store::ReplicaStore& store) {
  const Status undefined = ports_.hypervisor.undefine(vm);
  if (!undefined && undefined.error().code() != ErrorCode::access_denied) return undefined;
  return store.destroy();
}

// With a point nothing that may be the only copy is removed.
Status Performer::retire_store(const Uuid& vm, store::ReplicaStore& store) {
  US_CHECK(store.make_sure());
  const std::vector<RecoveryPoint> points = store.points();
  if (points.empty()) return undo_replica(vm, store);
  if (!store.failed_over()) {
    US_CHECK(fail_over(store, {0, points.back().id, store.generation_spent() + 1}));
  } else {  // its VM may run; what an earlier try began is completed
    US_CHECK(store.fail_over(store.failover_point(), store.generation()));
    US_CHECK(ports_.give_to_guest(active_paths(store)));
  }
  return store.retire();
}

Status Performer::retire(const State& state, bool unprepared) {
  const Uuid& vm = state.vm;
  const RuntimePtr mine = runtime(vm);
  std::shared_ptr<StagingSink> sink;
  {
    const std::lock_guard lock(mine->mutex);
    sink = std::move(mine->sink);
    mine->directory = state.directory;
  }
  if (sink) sink->close();
  const auto store = replica_store(vm);
  // Not there any more: an earlier try came that far.
  if (!store && store.error().code() != ErrorCode::not_found) return fail(store.error());
  if (unprepared && store && is_of_use(**store, state.lineage.set)) return {};
  const Status done = store ? retire_store(vm, **store) : Status();
  {
    const std::lock_guard lock(mine->mutex);
    mine->store.reset();  // also when it broke off: the next try asks the disk how far this one came
    if (done) mine->directory.clear();
  }
  US_CHECK(done);
  US_CHECK(ports_.hypervisor.disown(vm));
  return ports_.hypervisor.lift_hold(vm);
}

void Performer::on(const State& state, const core::Retire& action) {
  run(
      workers_, state.vm,
      [this, state, action]() -> core::Event {
        return core::Retired{action.id, retire(state, action.unprepared)};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::Retired{id, fail(error)};
      });
}

// The turn: when other settings are asked for meanwhile, the guest takes one after the other. Those that come
// to it late are given to nobody: newer ones may be there.
void Performer::on(const State& state, const core::GiveNetwork& action) {
  const RuntimePtr mine = runtime(state.vm);
  {
    const std::lock_guard lock(mine->mutex);
    mine->network = action.id;
  }
  run(
      workers_, state.vm,
      [this, mine, vm = state.vm, cards = state.network, action]() -> core::Event {
        const Turn turn(*mine);
        {
          const std::lock_guard lock(mine->mutex);
          if (mine->network != action.id)
            return core::NetworkGiven{action.id, fail(ErrorCode::cancelled, "others are to be given")};
        }
        return core::NetworkGiven{action.id, ports_.hypervisor.give_network(vm, cards, stopping_)};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::NetworkGiven{id, fail(error)};
      });
}

}  // namespace understudy::performer
