// The replica side of the performer: store, hold and domain.
#include "base/log.h"
#include "performer/performer.h"

namespace understudy::performer {
namespace {

store::ReplicaIdentity identity_of(const core::PrepareReplica& action, const Uuid& vm) {
  return {vm, action.definition.name, action.lineage.set, action.lineage.generation, action.disks};
}

core::ReplicaRequest request_of(const core::PrepareReplica& action, const store::ReplicaStore& store) {
  core::ReplicaRequest request;
  request.definition = action.definition;
  request.store_directory = store.directory();
  for (uint32_t disk = 0; disk < action.disks.size(); ++disk)
    request.disk_paths.push_back(store.active_path(disk));
  return request;
}

std::string hold_reason(const std::string& name) {
  return "VM '" + name +
         "' is a replica kept by Understudy. It starts only after a failover: understudy failover " + name;
}

}  // namespace

// Idempotent: the primary repeats it when it does not know how it ended. A store of another set is replaced
// as long as it holds no point.
Result<std::vector<std::string>> Performer::prepare_replica(Runtime& mine, const core::PrepareReplica& action,
                                                            const Uuid& vm) {
  std::shared_ptr<store::ReplicaStore> store;
  US_TRY(const bool there, ports_.files.exists(action.directory));
  if (there) {
    auto opened = store::ReplicaStore::open(ports_.files, action.directory);
    if (!opened) return fail(opened.error().context("folder " + action.directory));
    store = std::move(*opened);
    if (!store->points().empty() || store->failed_over())
      return fail(
          ErrorCode::invalid_parameter,
          "folder " + action.directory + " already holds recovery points of '" + store->identity().name + "'",
          "move the folder away, or remove that replica first");
    if (store->identity().set != action.lineage.set) {
      US_CHECK(store->destroy());
      store.reset();
    }
  }
  if (store == nullptr) {
    US_TRY(store, store::ReplicaStore::create(ports_.files, action.directory, identity_of(action, vm)));
  }
  const core::ReplicaRequest request = request_of(action, *store);
  auto warnings = ports_.hypervisor.check_replica(request);
  Status done;
  if (!warnings)
    done = fail(warnings.error());
  else
    done = ports_.hypervisor.define_replica(request);
  if (done) done = ports_.hypervisor.hold(vm, hold_reason(action.definition.name));
  if (!done) {
    const Status removed = store->destroy();
    if (!removed)
      log_warning("store", "an unused replica folder stays",
                  {{"folder", action.directory}, {"error", removed.error().text()}});
    return fail(done.error());
  }
  const std::lock_guard lock(mine.mutex);
  mine.store = store;
  mine.store_error.reset();
  return warnings;
}

void Performer::on(const State& state, const core::PrepareReplica& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, vm = state.vm, action]() -> core::Event {
        return core::PreparedReplica{action.id, prepare_replica(*mine, action, vm)};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::PreparedReplica{id, fail(error)};
      });
}

void Performer::on(const State& state, const core::OpenStaging& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, vm = state.vm, action]() -> core::Event {
        const auto store = replica_store(vm);
        if (!store) return core::StagingOpened{action.id, fail(store.error())};
        std::shared_ptr<StagingSink> before;
        {
          const std::lock_guard lock(mine->mutex);
          before = std::move(mine->sink);
        }
        if (before) before->close();  // a connection that is cut may not have noticed yet
        auto cursor = (*store)->begin(action.key, action.granule);
        if (!cursor) return core::StagingOpened{action.id, fail(cursor.error())};
        const std::lock_guard lock(mine->mutex);
        mine->sink = std::make_shared<StagingSink>(*store);
        return core::StagingOpened{action.id, *cursor};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::StagingOpened{id, fail(error)};
      });
}

void Performer::on(const State& state, const core::Publish& action) {
  run(
      workers_, state.vm,
      [this, vm = state.vm, action]() -> core::Event {
        const auto store = replica_store(vm);
        if (!store) return core::Published{action.id, fail(store.error()), false};
        auto point = (*store)->finish({action.key, action.point, action.type, action.cut, action.received},
                                      store::Retention());
        if (!point) return core::Published{action.id, fail(point.error()), false};
        return core::Published{action.id, *point, (*store)->merge_due()};
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
          stopped.points = (*store)->points();
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

void Performer::on(const State& state, const core::FailOver& action) {
  run(
      workers_, state.vm,
      [this, vm = state.vm, action]() -> core::Event {
        const auto store = replica_store(vm);
        if (!store) return core::FailedOver{action.id, fail(store.error())};
        // What only libvirt knows is asked before the store changes: a failover that cannot be completed must
        // leave the replica able to receive.
        Status done = ports_.give_to_guest({});
        if (done) done = (*store)->fail_over(action.point, action.generation);
        std::vector<std::string> paths;
        for (uint32_t disk = 0; disk < (*store)->identity().disks.size(); ++disk)
          paths.push_back((*store)->active_path(disk));
        if (done) done = ports_.give_to_guest(paths);
        return core::FailedOver{action.id, done};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::FailedOver{id, fail(error)};
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

}  // namespace understudy::performer
