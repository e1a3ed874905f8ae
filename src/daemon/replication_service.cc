#include "daemon/replication_service.h"

#include "base/log.h"
#include "model/codec.h"
#include "transfer/hash_blocks.h"

namespace understudy::daemon {
namespace {
std::vector<std::string> all_names(const transfer::PeerIdentity& peer) {
  std::vector<std::string> names = {peer.common_name};
  names.insert(names.end(), peer.names.begin(), peer.names.end());
  return names;
}

class ViewReader final : public transfer::BlockReader {
 public:
  explicit ViewReader(store::PointView& view) : view_(view) {}
  Result<Stretch> map(uint32_t disk, uint64_t offset, uint64_t most) override {
    US_TRY(const store::qcow2::Mapping run, view_.map(disk, offset, most));
    return Stretch{run.kind == store::qcow2::Mapping::Kind::zero, run.length};
  }
  Status read(uint32_t disk, uint64_t offset, MutableByteView into) override {
    return view_.read(disk, offset, into);
  }

 private:
  store::PointView& view_;
};

// What the primary has changed is durable in the manifest before the engine takes it. When that fails the
// next query tries again.
bool stored(store::ReplicaStore& store, const ReplicationSettings& settings) {
  const Status done = store.set_settings(encode(settings));
  if (!done)
    log_warning("store", "the primary's settings could not be stored",
                {{"vm", store.identity().name}, {"error", done.error().text()}});
  return done.has_value();
}

}  // namespace

Status ReplicationService::admit(const transfer::PeerIdentity& peer) {
  if (!registry_.settings().recovery_server_enabled)
    return fail(ErrorCode::not_supported, host_name_ + " is not enabled as a recovery server",
                "on " + host_name_ + ": understudy server enable");
  const auto refused = [&](const char* what, const Error& error) {
    log_warning("link", what,
                {{"name", peer.common_name}, {"thumbprint", peer.thumbprint}, {"from", peer.address}});
    return fail(error);
  };
  if (const Status good = still_good_ ? still_good_(peer) : Status(); !good)
    return refused("a host with a revoked certificate was refused", good.error());
  if (const auto entry = registry_.entry_for(all_names(peer)); !entry)
    return refused("a host without an authorization entry was refused", entry.error());
  return {};
}

// The host that sends this replica may be another one of its trust group from now on.
bool ReplicationService::trusted(const transfer::PeerIdentity& peer,
                                 const std::optional<core::State>& replica) const {
  return replica && registry_.same_group(all_names(peer), {replica->primary_name});
}

Result<transfer::PrepareAnswer> ReplicationService::prepare(const transfer::PeerIdentity& peer,
                                                            const transfer::PrepareRequest& request) {
  US_CHECK(admit(peer));
  US_TRY(const AuthorizationEntry entry, registry_.entry_for(all_names(peer)));
  US_CHECK(check(request.definition));
  if (look_) {
    const Finding storage = look_(entry.replica_storage_location);
    if (storage.level == ReplicationHealth::critical)
      return fail(ErrorCode::invalid_state, host_name_ + ": " + storage.cause,
                  "on " + host_name_ + ": " + storage.next);
  }
  const Uuid vm = request.definition.id;
  const bool may_take_over = trusted(peer, core_.state(vm));
  const auto make = [&](core::CallId call) -> core::Event {
    core::PrepareAsk ask;
    ask.call = call;
    ask.peer = peer.common_name;
    ask.directory = entry.replica_storage_location + "/" + vm.lower();
    ask.definition = request.definition;
    ask.settings = request.settings;
    ask.lineage = request.lineage;
    ask.disks = request.disks;
    ask.trusted = may_take_over;
    return ask;
  };
  US_TRY(performer::Answer answer, core_.ask(vm, make, limits::kLinkCall));
  US_TRY(std::vector<std::string> warnings, std::get<core::PrepareReply>(answer).warnings);
  log_info("link", "a replica was prepared",
           {{"vm", request.definition.name}, {"primary", peer.common_name}});
  return transfer::PrepareAnswer{host_name_, std::move(warnings)};
}

// A connection outlives cycles, and the entry that admitted it may be gone: each request is judged anew.
Result<Holdings> ReplicationService::query(const transfer::PeerIdentity& peer,
                                           const transfer::QueryRequest& request) {
  US_CHECK(admit(peer));
  const Uuid& vm = request.vm;
  core::QueryAsk ask;
  ask.peer = peer.common_name;
  ask.host = request.host;
  ask.version = peer.product_version;
  const auto state = core_.state(vm);
  ask.trusted = trusted(peer, state);
  if (state && core::is_replica(state->phase) && state->phase != core::Phase::preparing) {
    US_TRY(const auto store, core_.performer().replica_store(vm));
    US_CHECK(store->make_sure());
    ask.newest = store->newest();
    ask.staging = store->staging();
    if (request.settings && core::takes_settings(*state) && state->primary_name == peer.common_name &&
        stored(*store, *request.settings))
      ask.settings = request.settings;
  }
  const auto make = [&](core::CallId call) -> core::Event {
    ask.call = call;
    return ask;
  };
  US_TRY(performer::Answer answer, core_.ask(vm, make, limits::kLinkCall));
  return std::get<core::QueryReply>(answer).holdings;
}

Result<transfer::Begun> ReplicationService::begin(const transfer::PeerIdentity& peer,
                                                  const transfer::BeginRequest& request) {
  US_CHECK(admit(peer));
  const auto state = core_.state(request.vm);
  const bool may_take_over = trusted(peer, state);
  const auto make = [&](core::CallId call) -> core::Event {
    return core::BeginAsk{call, peer.common_name, request.key, request.granule, may_take_over};
  };
  US_TRY(performer::Answer answer, core_.ask(request.vm, make, limits::kLinkCall));
  US_TRY(const Cursor cursor, std::get<core::BeginReply>(answer).cursor);
  if (state && state->primary_name != peer.common_name)
    log_warning("link", "another host of the trust group sends a replica from now on",
                {{"vm", state->name}, {"before", state->primary_name}, {"now", peer.common_name}});
  std::shared_ptr<transfer::Sink> sink = core_.performer().sink(request.vm);
  if (!sink) return fail(ErrorCode::cancelled, "receiving has been ended on " + host_name_);
  if (within_) {
    US_TRY(const AuthorizationEntry entry, registry_.entry_for(all_names(peer)));
    US_TRY(sink, within_(entry, std::move(sink)));
  }
  return transfer::Begun{cursor, std::move(sink)};
}

Result<RecoveryPoint> ReplicationService::finish(const transfer::PeerIdentity& peer,
                                                 const transfer::FinishRequest& request) {
  US_CHECK(admit(peer));
  const auto sink = core_.performer().sink(request.vm);
  const uint64_t bytes = sink ? sink->bytes() : 0;
  if (sink && request.definition) {
    US_CHECK(check(*request.definition));
    if (request.definition->id != request.vm)
      return fail(ErrorCode::invalid_parameter, "the definition of another VM came with a point");
    sink->attach({encode(*request.definition), request.nvram});
  }
  const auto make = [&](core::CallId call) -> core::Event {
    return core::FinishAsk{call,         peer.common_name, request.key, request.point_id,
                           request.type, request.keep,     request.cut, bytes};
  };
  US_TRY(performer::Answer answer, core_.ask(request.vm, make, limits::kLinkFinish));
  return std::get<core::FinishReply>(answer).point;
}

Status ReplicationService::remove(const transfer::PeerIdentity&, const Uuid&) {
  return fail(ErrorCode::not_supported, host_name_ + " does not remove replicas for another host");
}

// Who may ask, and of what, is judged as a query is.
Result<transfer::HashesAnswer> ReplicationService::hashes(const transfer::PeerIdentity& peer,
                                                          const transfer::HashesRequest& request) {
  US_TRY(const Holdings held, query(peer, {request.vm}));
  if (held.mode != ReplicationMode::replica || held.lineage != request.newest)
    return fail(ErrorCode::invalid_state,
                "the primary compares with sequence " + std::to_string(request.newest.sequence) + ", " +
                    host_name_ + " holds " + std::to_string(held.lineage.sequence),
                "the comparison begins again by itself");
  US_TRY(const auto store, core_.performer().replica_store(request.vm));
  US_TRY(const auto view, store->view({}));
  if (view->point().lineage != request.newest)
    return fail(ErrorCode::invalid_state, "a newer point was published meanwhile");
  ViewReader reader(*view);
  return transfer::hash_blocks(reader, view->disks(), request);
}

}  // namespace understudy::daemon
