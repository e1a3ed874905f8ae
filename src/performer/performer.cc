#include "performer/performer.h"

#include "base/assert.h"
#include "base/fault_point.h"
#include "base/log.h"

namespace understudy::performer {

Status StagingSink::write(uint32_t disk, uint64_t offset, ByteView data) {
  const std::lock_guard lock(mutex_);
  if (store_ == nullptr) return fail(ErrorCode::cancelled, "receiving has been ended on this host");
  bytes_ += data.size();
  return store_->write(disk, offset, data);
}
Status StagingSink::zero(uint32_t disk, uint64_t offset, uint64_t length) {
  const std::lock_guard lock(mutex_);
  if (store_ == nullptr) return fail(ErrorCode::cancelled, "receiving has been ended on this host");
  return store_->zero(disk, offset, length);
}
Status StagingSink::advance(Cursor cursor) {
  const std::lock_guard lock(mutex_);
  if (store_ == nullptr) return fail(ErrorCode::cancelled, "receiving has been ended on this host");
  return store_->advance(cursor);
}
void StagingSink::close() {
  const std::lock_guard lock(mutex_);
  store_.reset();
}
uint64_t StagingSink::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

Performer::Performer(Ports ports, Executors executors, Post post)
    : ports_(std::move(ports)),
      post_(std::move(post)),
      workers_(executors.workers),
      senders_(executors.senders),
      mergers_(executors.mergers) {}

Performer::~Performer() {
  stop();
}

void Performer::stop() {
  stopping_.cancel();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [vm, runtime] : runtimes_) {
      const std::lock_guard runtime_lock(runtime->mutex);
      runtime->sending.cancel();
      runtime->merging.cancel();
      if (runtime->sink) runtime->sink->close();
    }
  }
  senders_.stop();
  mergers_.stop();
  workers_.stop();
}

Performer::RuntimePtr Performer::runtime(const Uuid& vm) {
  const std::lock_guard lock(mutex_);
  RuntimePtr& found = runtimes_[vm];
  if (!found) found = std::make_shared<Runtime>();
  return found;
}

void Performer::adopt(const State& state) {
  if (!core::is_replica(state.phase) || state.phase == core::Phase::preparing) return;
  const RuntimePtr mine = runtime(state.vm);
  auto opened = store::ReplicaStore::open(ports_.files, state.directory);
  const std::lock_guard lock(mine->mutex);
  if (opened) {
    mine->store = std::move(*opened);
    return;
  }
  log_error("store", "a replica cannot be opened", {{"vm", state.name}, {"error", opened.error().text()}});
  mine->store_error = opened.error();
}

Result<std::shared_ptr<store::ReplicaStore>> Performer::replica_store(const Uuid& vm) {
  const RuntimePtr mine = runtime(vm);
  const std::lock_guard lock(mine->mutex);
  if (mine->store) return mine->store;
  if (mine->store_error) return fail(*mine->store_error);
  return fail(ErrorCode::not_found, "this host has no store for VM " + vm.lower());
}

std::shared_ptr<StagingSink> Performer::sink(const Uuid& vm) {
  const RuntimePtr mine = runtime(vm);
  const std::lock_guard lock(mine->mutex);
  return mine->sink;
}

void Performer::perform(const State& state, const core::Action& action) {
  std::visit(
      [&](const auto& each) {
        if constexpr (requires { on(state, each); })
          on(state, each);
        else
          US_ASSERT(false);
      },
      action);
}

void Performer::run(Executor& executor, const Uuid& vm, std::function<core::Event()> work,
                    const std::function<core::Event(const Error&)>& refused) {
  const Status submitted = executor.submit([this, vm, work = std::move(work)] { post_(vm, work()); });
  if (!submitted && submitted.error().code() != ErrorCode::cancelled) post_(vm, refused(submitted.error()));
}

// --- primary ---

Result<transfer::Peer*> Performer::connected_peer(Runtime& mine, const State& state) {
  if (mine.peer == nullptr) {
    const uint16_t port = state.settings.recovery_server_port;
    US_TRY(mine.peer, ports_.connector.connect(state.settings.recovery_connection_point, port,
                                               limits::kLinkConnect, stopping_));
  }
  return mine.peer.get();
}

void Performer::on(const State& state, const core::PreparePeer& action) {
  const RuntimePtr mine = runtime(state.vm);
  const auto result = [id = action.id](Result<std::vector<std::string>> warnings, std::string host) {
    return core::PreparedPeer{id, std::move(warnings), std::move(host)};
  };
  run(
      workers_, state.vm,
      [this, mine, state, result]() -> core::Event {
        const auto peer = connected_peer(*mine, state);
        if (!peer) return result(fail(peer.error()), {});
        auto answer = (*peer)->prepare({state.definition,
                                        state.settings,
                                        {state.lineage.set, state.lineage.generation, 0},
                                        state.disks});
        mine->peer.reset();
        if (!answer) return result(fail(answer.error()), {});
        return result(std::move(answer->warnings), answer->recovery_host_system);
      },
      [result](const Error& error) -> core::Event { return result(fail(error), {}); });
}

Result<Holdings> Performer::ask_replica(Runtime& mine, const State& state) {
  US_TRY(transfer::Peer * peer, connected_peer(mine, state));
  auto held = peer->query(state.vm);
  if (!held) mine.peer.reset();
  return held;
}

void Performer::on(const State& state, const core::TakeInventory& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, id = action.id]() -> core::Event {
        mine->peer.reset();
        return core::Inventoried{id, ports_.hypervisor.inspect(state.vm), ask_replica(*mine, state)};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::Inventoried{id, fail(error), fail(error)};
      });
}

Result<transfer::Source*> Performer::opened_source(Runtime& mine, const State& state) {
  if (mine.source == nullptr) {
    std::optional<std::string> from;
    if (!state.base_checkpoint.empty()) from = state.base_checkpoint;
    US_TRY(mine.source, ports_.open_source(state.vm, state.disks, from));
  }
  return mine.source.get();
}

void Performer::on(const State& state, const core::OpenJob& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, action]() -> core::Event {
        mine->source.reset();
        auto opened = ports_.hypervisor.open_job(action.request);
        if (!opened) return core::JobOpened{action.id, fail(opened.error()), 0};
        if (const Status fault = fault_point("performer.job-opened"); !fault)
          return core::JobOpened{action.id, fail(fault.error()), 0};
        const auto source = opened_source(*mine, state);
        if (!source) return core::JobOpened{action.id, fail(source.error()), 0};
        const auto bytes = (*source)->bytes_to_send({});
        if (!bytes) return core::JobOpened{action.id, fail(bytes.error()), 0};
        return core::JobOpened{action.id, opened->cut, *bytes};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::JobOpened{id, fail(error), 0};
      });
}

core::Sent Performer::send(Runtime& mine, const State& state, const core::Send& action) {
  const Now start = ports_.clock.now();
  core::Sent sent{action.id, std::optional<RecoveryPoint>(), 0, {}};
  mine.peer.reset();  // the inventory's may have been idle too long while a slot was waited for
  const auto attempt = [&]() -> Result<std::optional<RecoveryPoint>> {
    US_TRY(transfer::Peer * peer, connected_peer(mine, state));
    US_TRY(transfer::Source * source, opened_source(mine, state));
    US_TRY(const uint64_t total, source->bytes_to_send({}));
    US_TRY(const Cursor from, peer->begin({state.vm, action.key, source->granule(), total}));
    US_TRY(const uint64_t left, source->bytes_to_send(from));
    const auto report = [&](uint64_t done, uint64_t) {
      progress_.report(action.job, action.key.lineage.sequence, total - left + done, total);
    };
    US_TRY(const transfer::SendSummary summary,
           peer->send(*source, from, state.settings.compression_enabled, report, mine.sending));
    sent.bytes = summary.data_bytes;
    log_info("transfer", "sent",
             {{"vm", state.name},
              {"sequence", action.key.lineage.sequence},
              {"data_bytes", summary.data_bytes},
              {"zero_bytes", summary.zero_bytes},
              {"wire_bytes", summary.wire_bytes}});
    if (action.key.kind == TransferKind::pass) return std::optional<RecoveryPoint>();
    US_TRY(RecoveryPoint point,
           peer->finish({state.vm, action.key, action.point, PointType::standard, action.cut}));
    return std::optional<RecoveryPoint>(point);
  };
  sent.point = attempt();
  sent.took = ports_.clock.now().monotonic - start.monotonic;
  if (!sent.point) {
    log_warning("transfer", "sending ended early",
                {{"vm", state.name}, {"error", sent.point.error().text()}});
    mine.peer.reset();
    mine.source.reset();
  }
  return sent;
}

void Performer::on(const State& state, const core::Send& action) {
  const RuntimePtr mine = runtime(state.vm);
  {
    const std::lock_guard lock(mine->mutex);
    mine->sending = CancelToken();
    if (stopping_.cancelled()) mine->sending.cancel();
  }
  run(
      senders_, state.vm, [this, mine, state, action]() -> core::Event { return send(*mine, state, action); },
      [id = action.id](const Error& error) -> core::Event {
        return core::Sent{id, fail(error), 0, {}};
      });
}

void Performer::on(const State& state, const core::StopSending&) {
  const RuntimePtr mine = runtime(state.vm);
  const std::lock_guard lock(mine->mutex);
  mine->sending.cancel();
}

// Everything is tried, so that one thing that cannot be done does not keep the others; the first error is
// told.
Status Performer::settle(Runtime& mine, const State& state, const core::Obligations& obligations) {
  mine.source.reset();
  mine.peer.reset();
  Status first;
  const auto note = [&first](Status status) {
    if (first && !status) first = std::move(status);
  };
  if (!obligations.hold.empty()) note(ports_.hypervisor.hold(state.vm, obligations.hold));
  if (obligations.end_job) note(ports_.hypervisor.end_job(state.vm));
  for (const std::string& name : obligations.delete_checkpoints)
    note(ports_.hypervisor.delete_checkpoint(state.vm, name));
  return first;
}

void Performer::on(const State& state, const core::Settle& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, action]() -> core::Event {
        return core::Settled{action.id, settle(*mine, state, action.obligations)};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::Settled{id, fail(error)};
      });
}

void Performer::on(const State& state, const core::ChangePower& action) {
  run(
      workers_, state.vm,
      [this, vm = state.vm, action]() -> core::Event {
        return core::PowerChanged{action.id,
                                  action.on ? ports_.hypervisor.start(vm) : ports_.hypervisor.stop(vm)};
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::PowerChanged{id, fail(error)};
      });
}

}  // namespace understudy::performer
