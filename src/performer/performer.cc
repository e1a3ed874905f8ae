#include "performer/performer.h"

#include <algorithm>

#include "base/assert.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "transfer/compare_source.h"

namespace understudy::performer {

Status StagingSink::told(Status status) const {
  if (!status && status.error().code() != ErrorCode::protocol) failed_(status.error());
  return status;
}
Status StagingSink::admit() {
  received_us_ = clock_.now().monotonic.us;
  if (store_ == nullptr) return fail(ErrorCode::cancelled, "receiving has been ended on this host");
  return {};
}
Status StagingSink::write(uint32_t disk, uint64_t offset, ByteView data) {
  const std::lock_guard lock(mutex_);
  US_CHECK(admit());
  bytes_ += data.size();
  return told(store_->write(disk, offset, data));
}
Status StagingSink::zero(uint32_t disk, uint64_t offset, uint64_t length) {
  const std::lock_guard lock(mutex_);
  US_CHECK(admit());
  return told(store_->zero(disk, offset, length));
}
Status StagingSink::advance(Cursor cursor) {
  const std::lock_guard lock(mutex_);
  US_CHECK(admit());
  return told(store_->advance(cursor));
}
// Behind the last disk: so the store can tell a transfer that is whole from one that was cut.
Status StagingSink::complete(Cursor) {
  const std::lock_guard lock(mutex_);
  US_CHECK(admit());
  return told(store_->advance({static_cast<uint32_t>(store_->identity().disks.size()), 0}));
}
void StagingSink::attach(store::Machine machine) {
  const std::lock_guard lock(mutex_);
  machine_ = std::move(machine);
}
store::Machine StagingSink::machine() const {
  const std::lock_guard lock(mutex_);
  return machine_;
}
void StagingSink::close() {
  const std::lock_guard lock(mutex_);
  store_.reset();
}
uint64_t StagingSink::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}
std::optional<Monotonic> StagingSink::received() const {
  const int64_t us = received_us_;
  return us == 0 ? std::nullopt : std::optional(Monotonic{us});
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

Performer::Turn::Turn(Runtime& runtime) : runtime_(runtime) {
  std::unique_lock lock(runtime_.mutex);
  runtime_.given_back.wait(lock, [this] { return !runtime_.taken; });
  runtime_.taken = true;
}
Performer::Turn::~Turn() {
  {
    const std::lock_guard lock(runtime_.mutex);
    runtime_.taken = false;
  }
  runtime_.given_back.notify_all();
}

void Performer::abandon(const Uuid& vm) {
  const RuntimePtr mine = runtime(vm);
  CancelToken sending;
  {
    const std::lock_guard lock(mine->mutex);
    sending = mine->sending;
  }
  sending.cancel();
}

Performer::RuntimePtr Performer::runtime(const Uuid& vm) {
  const std::lock_guard lock(mutex_);
  RuntimePtr& found = runtimes_[vm];
  if (!found) found = std::make_shared<Runtime>();
  return found;
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

Result<std::unique_ptr<transfer::Peer>> Performer::connect(const State& state, const CancelToken& cancel) {
  return ports_.connector.connect(state.settings.recovery_connection_point,
                                  state.settings.recovery_server_port, limits::kLinkConnect, cancel);
}

Result<transfer::Peer*> Performer::connected_peer(Runtime& mine, const State& state) {
  if (mine.peer == nullptr) {
    US_TRY(mine.peer, connect(state, stopping_));
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
        const Turn turn(*mine);
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

// The answer was given at some instant between the question and its arrival: `ahead` is what cannot be less.
Result<Holdings> Performer::ask_replica(Runtime& mine, const State& state, Duration& ahead) {
  US_TRY(transfer::Peer * peer, connected_peer(mine, state));
  const Wall asked = ports_.clock.now().wall;
  auto held = peer->query({state.vm, state.settings, HostState{asked, state.findings}});
  const Wall answered = ports_.clock.now().wall;
  if (!held) mine.peer.reset();
  if (held && held->host)
    ahead = held->host->clock > answered ? held->host->clock - answered
            : held->host->clock < asked  ? held->host->clock - asked
                                         : Duration();
  return held;
}

void Performer::on(const State& state, const core::TakeInventory& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, id = action.id]() -> core::Event {
        const Turn turn(*mine);
        mine->peer.reset();
        Duration ahead;
        auto vm = ports_.hypervisor.inspect(state.vm);
        auto replica = ask_replica(*mine, state, ahead);
        return core::Inventoried{id, std::move(vm), std::move(replica), ahead,
                                 mine->peer ? mine->peer->hello().product_version : ""};
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

// A definition that cannot travel any more does not end replication: points go on with the one before.
void Performer::note_machine(Runtime& mine, const State& state) {
  mine.travelling.reset();
  auto definition = ports_.hypervisor.definition(state.vm);
  auto nvram = definition ? ports_.hypervisor.nvram(state.vm) : fail(definition.error());
  if (!nvram) {
    log_warning("performer", "a point goes without the VM's definition",
                {{"vm", state.name}, {"error", nvram.error().text()}});
    return;
  }
  std::erase_if(definition->disks, [&](const VmDisk& disk) {
    return std::none_of(state.disks.begin(), state.disks.end(),
                        [&](const DiskGeometry& included) { return included.target == disk.target; });
  });
  mine.travelling = TravellingVm{std::move(*definition), std::move(*nvram)};
}

Result<core::OpenedJob> Performer::open_job(Runtime& mine, const State& state, const core::OpenJob& action,
                                            uint64_t& bytes_to_send) {
  mine.source.reset();
  US_CHECK(ports_.hypervisor.watch_disks(state.vm, true));
  US_TRY(core::OpenedJob opened, ports_.hypervisor.open_job(action.request));
  note_machine(mine, state);
  US_CHECK(fault_point("performer.job-opened"));
  US_TRY(transfer::Source * source, opened_source(mine, state));
  US_TRY(bytes_to_send, source->bytes_to_send({}));
  return opened;
}

void Performer::on(const State& state, const core::OpenJob& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, action]() -> core::Event {
        const Turn turn(*mine);
        core::JobOpened opened{action.id, core::OpenedJob(), 0};
        opened.job = open_job(*mine, state, action, opened.bytes_to_send);
        return opened;
      },
      [id = action.id](const Error& error) -> core::Event {
        return core::JobOpened{id, fail(error), 0};
      });
}

// From here on the source yields only what differs from that point of the replica.
void Performer::compare(Runtime& mine, const State& state, const core::Send& action) {
  const transfer::HashSecret secret = ports_.new_secret();
  transfer::HashesRequest about;
  about.vm = state.vm;
  about.newest = *action.compare_with;
  about.block = mine.source->granule();
  about.secret.assign(secret.bytes.begin(), secret.bytes.end());
  const auto report = [this, action](const transfer::Compared& so_far) {
    progress_.report(action.job, action.key.lineage.sequence, so_far.compared, so_far.total);
  };
  mine.source = transfer::compare_source(
      std::move(mine.source), state.disks, secret,
      transfer::ask_over([this, state, cancel = mine.sending] { return connect(state, cancel); }, about),
      report);
}

Result<std::optional<RecoveryPoint>> Performer::try_to_send(Runtime& mine, const State& state,
                                                            const core::Send& action, uint64_t& sent_bytes) {
  US_TRY(transfer::Peer * peer, connected_peer(mine, state));
  US_TRY(transfer::Source * source, opened_source(mine, state));
  US_TRY(const uint64_t total, source->bytes_to_send({}));
  US_TRY(const Cursor from, peer->begin({state.vm, action.key, source->granule(), total}));
  US_TRY(const uint64_t left, source->bytes_to_send(from));
  transfer::Progress report = [&](uint64_t done, uint64_t) {
    progress_.report(action.job, action.key.lineage.sequence, total - left + done, total);
  };
  if (action.compare_with) {
    compare(mine, state, action);
    source = mine.source.get();
    report = [](uint64_t, uint64_t) {};
  }
  US_TRY(const transfer::SendSummary summary,
         peer->send(*source, from, state.settings.compression_enabled, report, mine.sending));
  sent_bytes = summary.data_bytes;
  log_info("transfer", "sent",
           {{"vm", state.name},
            {"sequence", action.key.lineage.sequence},
            {"data_bytes", summary.data_bytes},
            {"zero_bytes", summary.zero_bytes},
            {"wire_bytes", summary.wire_bytes}});
  if (action.key.kind == TransferKind::pass) return std::optional<RecoveryPoint>();
  if (!mine.travelling) note_machine(mine, state);  // the job outlived the daemon that opened it
  transfer::FinishRequest finish{state.vm, action.key, action.point, action.type, action.cut, action.keep};
  if (mine.travelling) {
    finish.definition = mine.travelling->definition;
    finish.nvram = mine.travelling->nvram;
  }
  US_TRY(RecoveryPoint point, peer->finish(finish));
  return std::optional<RecoveryPoint>(point);
}

core::Sent Performer::send(Runtime& mine, const State& state, const core::Send& action) {
  const Turn turn(mine);
  const Now start = ports_.clock.now();
  core::Sent sent{action.id, std::optional<RecoveryPoint>(), 0, {}};
  mine.peer.reset();  // the inventory's may have been idle too long while a slot was waited for
  sent.point = try_to_send(mine, state, action, sent.bytes);
  sent.took = ports_.clock.now().monotonic - start.monotonic;
  sent.progress = progress_.shown(action.job, sent.point.has_value());
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
  if (const Job* job = core::find_job(state, action.job)) progress_.resume(*job);
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
// told, and what is still owed.
core::Settled Performer::settle(Runtime& mine, const State& state, const core::Settle& action) {
  const Turn turn(mine);
  mine.source.reset();
  mine.travelling.reset();
  mine.peer.reset();
  core::Obligations left = action.obligations;
  const bool removed = state.phase == core::Phase::ending;
  Status first;
  const auto done = [&first](Status status) {
    if (first && !status) first = status;
    return status.has_value();
  };
  if (!left.hold.empty() && done(ports_.hypervisor.hold(state.vm, left.hold))) left.hold.clear();
  if (left.end_job && done(ports_.hypervisor.end_job(state.vm))) left.end_job = false;
  std::erase_if(left.delete_checkpoints, [&](const std::string& name) {
    return done(removed ? ports_.hypervisor.delete_checkpoint_offline(state.vm, name)
                        : ports_.hypervisor.delete_checkpoint(state.vm, name));
  });
  if (left.forget_changes && done(ports_.hypervisor.forget_disk_changes(state.vm)))
    left.forget_changes = false;
  if (left.unwatch && done(ports_.hypervisor.watch_disks(state.vm, false))) left.unwatch = false;
  if (left.lift_hold && done(ports_.hypervisor.lift_hold(state.vm))) left.lift_hold = false;
  return {action.id, std::move(first), std::move(left)};
}

void Performer::on(const State& state, const core::Settle& action) {
  const RuntimePtr mine = runtime(state.vm);
  run(
      workers_, state.vm,
      [this, mine, state, action]() -> core::Event { return settle(*mine, state, action); },
      [id = action.id](const Error& error) -> core::Event {
        return core::Settled{id, fail(error), {}};
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
