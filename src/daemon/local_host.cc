#include "daemon/local_host.h"

#include <strings.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "net/certificate.h"

namespace understudy::daemon {

namespace {
// Leaves time for the answer within limits::kMethodReply.
constexpr Duration kConnectionTest = Duration::seconds(15);

// QEMU has the files open: only what the file system says of them is asked.
uint64_t space_of_overlays(const store::ReplicaStore& store) {
  uint64_t bytes = 0;
  struct stat at {};
  for (uint32_t disk = 0; disk < store.identity().disks.size(); ++disk)
    if (::stat(store.active_path(disk).c_str(), &at) == 0) bytes += static_cast<uint64_t>(at.st_blocks) * 512;
  return bytes;
}

bool is_there(const std::string& path) {
  struct stat at {};
  return ::stat(path.c_str(), &at) == 0 || errno != ENOENT;
}
Error missing_file(const std::string& path) {
  return Error(ErrorCode::not_found, path + " is missing",
               "is its file system mounted? df " + path.substr(0, path.rfind('/')));
}

// The folder for replicas, made when it is missing.
Status make_storage(const std::string& folder) {
  if (!folder.starts_with('/'))
    return fail(ErrorCode::invalid_parameter, "the storage location '" + folder + "' is not an absolute path",
                "give a folder such as /var/lib/understudy/replicas");
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) {
    if (mkdir(folder.c_str(), 0711) != 0)
      return fail(ErrorCode::not_found,
                  "the storage location " + folder + " does not exist and cannot be made",
                  "make it, or name another: mkdir -p -m 0711 " + folder);
  } else if (!S_ISDIR(info.st_mode)) {
    return fail(ErrorCode::invalid_parameter, "the storage location " + folder + " is not a folder");
  }
  return {};
}
}  // namespace

LocalHost::LocalHost(Parts parts)
    : parts_(std::move(parts)), finder_([this](const Uuid& vm) { return parts_.hypervisor.find(vm); }) {}

std::vector<RecoveryPoint> LocalHost::points(const Uuid& vm) const {
  return parts_.core.performer().points(vm);
}

core::PrimarySeen LocalHost::primary_seen(const core::State& state) const {
  std::optional<Monotonic> received;
  if (const auto sink = parts_.core.performer().sink(state.vm)) received = sink->received();
  return core::primary_seen(state, received, parts_.clock.now().monotonic);
}

providers::VmView LocalHost::view(core::VmSummary vm, bool listed, std::optional<core::State> state) const {
  providers::VmView view;
  view.vm = std::move(vm);
  view.listed = listed;
  if (state) {
    view.state = std::move(*state);
    view.health = core::health_of(view.state, now());
    view.issues = core::health_issues(view.state, now());
    view.primary = primary_seen(view.state);
  }
  view.state.vm = view.vm.id;
  view.state.name = view.vm.name;
  if (view.state.disks.empty() && listed) {
    // Not replicated: its disks are what the definition says. One that cannot be replicated shows none.
    if (const auto definition = parts_.hypervisor.definition(view.vm.id))
      for (const VmDisk& disk : definition->disks) view.state.disks.push_back({disk.target, disk.size});
  }
  if (core::is_replica(view.state.phase) && view.state.phase != core::Phase::preparing) {
    const auto store = parts_.core.performer().replica_store(view.vm.id);
    if (store) {
      view.points = points(view.vm.id);
      for (const store::SetAside& aside : (*store)->set_aside())
        view.set_aside.push_back({aside.generation, aside.since, aside.bytes});
      if ((*store)->failed_over()) view.failover_bytes = space_of_overlays(**store);
    } else {
      view.unreadable = store.error();
      view.health = {ReplicationHealth::critical, store.error().message(), store.error().hint(), now()};
      view.issues.insert(view.issues.begin(), view.health);
    }
  }
  return view;
}

Result<std::vector<providers::VmView>> LocalHost::vms() {
  US_TRY(const std::vector<core::VmSummary> listed, parts_.hypervisor.list());
  std::vector<core::State> states = parts_.core.states();
  std::vector<providers::VmView> views;
  for (const core::VmSummary& vm : listed) {
    const auto known =
        std::find_if(states.begin(), states.end(), [&](const core::State& s) { return s.vm == vm.id; });
    std::optional<core::State> state;
    if (known != states.end()) {
      state = std::move(*known);
      states.erase(known);
    }
    views.push_back(view(vm, true, std::move(state)));
  }
  for (core::State& state : states) {
    if (state.phase == core::Phase::none) continue;
    core::VmSummary gone;
    gone.id = state.vm;
    gone.name = state.name;
    views.push_back(view(gone, false, std::move(state)));
  }
  return views;
}

Result<providers::VmView> LocalHost::vm(const Uuid& id, Duration patience) {
  auto found = finder_.find(id, patience);
  auto state = parts_.core.state(id);
  if (found) return view(std::move(*found), true, std::move(state));
  if (found.error().code() != ErrorCode::not_found || !state || state->phase == core::Phase::none)
    return fail(found.error());
  core::VmSummary gone;
  gone.id = id;
  gone.name = state->name;
  return view(gone, false, std::move(state));
}

std::vector<core::State> LocalHost::engines(const std::optional<Uuid>& vm) {
  if (!vm) return parts_.core.states();
  std::vector<core::State> found;
  if (auto state = parts_.core.state(*vm)) found.push_back(std::move(*state));
  return found;
}

std::optional<Uuid> LocalHost::vm_of_point(const Uuid& point) {
  for (const Uuid& replica : parts_.core.replicas())
    for (const RecoveryPoint& listed : points(replica))
      if (listed.id == point) return replica;
  return std::nullopt;
}

ServiceSettings LocalHost::service_settings() {
  ServiceSettings settings = parts_.registry.settings();
  if (!settings.certificate_thumbprint.empty()) return settings;
  if (const auto installed = net::load_certificate_info(parts_.certificate))
    settings.certificate_thumbprint = installed->thumbprint;
  return settings;
}

Status LocalHost::modify_service_settings(const ServiceSettings& settings) {
  US_CHECK(parts_.apply_settings(settings));
  return parts_.registry.store_settings(settings);
}

Status LocalHost::add_authorization_entry(const AuthorizationEntry& entry) {
  US_CHECK(make_storage(entry.replica_storage_location));
  return parts_.registry.add_entry(entry);
}

Status LocalHost::modify_authorization_entry(const AuthorizationEntry& entry) {
  US_CHECK(make_storage(entry.replica_storage_location));
  return parts_.registry.modify_entry(entry);
}

Status LocalHost::remove_authorization_entry(const std::string& allowed_primary_host_system) {
  US_CHECK(parts_.registry.remove_entry(allowed_primary_host_system));
  log_info("link", "an authorization entry was removed", {{"primary", allowed_primary_host_system}});
  return {};
}

std::vector<Bytes> LocalHost::certificates() {
  std::vector<Bytes> found;
  for (const std::string& file : {parts_.certificate, parts_.management_certificate}) {
    auto der = net::load_certificate_der(file);
    if (der && std::ranges::find(found, *der) == found.end()) found.push_back(std::move(*der));
  }
  return found;
}

Status LocalHost::test_connection(const std::string& host, uint16_t port) {
  const auto peer = parts_.connector.connect(host, port, kConnectionTest, CancelToken());
  return peer ? Status() : Status(tl::unexpected<Error>(peer.error()));
}

core::CallFacts LocalHost::facts(const Uuid& vm) const {
  core::CallFacts facts;
  auto found = finder_.find(vm, limits::kHypervisorAnswer);
  if (found)
    facts.vm = std::move(*found);
  else
    facts.hypervisor = found.error();
  return facts;
}

providers::MethodResult LocalHost::call(const Uuid& vm,
                                        const std::function<core::Event(core::CallId)>& make) {
  US_TRY(performer::Answer answer, parts_.core.ask(vm, make, limits::kMethodReply));
  return std::get<core::Reply>(answer).job;
}

Status LocalHost::complete(ReplicationSettings& settings) const {
  if (strcasecmp(settings.recovery_connection_point.c_str(), parts_.name.c_str()) == 0)
    return fail(ErrorCode::invalid_parameter,
                "a VM cannot be replicated to the host it runs on ('" + parts_.name + "')",
                "name another host");
  const auto certificate = net::load_certificate_info(parts_.certificate);
  if (!certificate) {
    return fail(ErrorCode::not_found,
                "this host has no replication certificate: " + certificate.error().message(),
                "understudy certificate host " + parts_.name + " --authority DIR --out /etc/understudy/tls");
  }
  if (!settings.certificate_thumbprint.empty() &&
      strcasecmp(settings.certificate_thumbprint.c_str(), certificate->thumbprint.c_str()) != 0)
    return fail(ErrorCode::not_found, "no certificate with thumbprint " + settings.certificate_thumbprint +
                                          " is installed; this host's is " + certificate->thumbprint);
  settings.certificate_thumbprint = certificate->thumbprint;
  settings.primary_host_system = parts_.name;
  settings.primary_connection_point = parts_.name;
  if (settings.recovery_server_port == 0) settings.recovery_server_port = 443;
  return {};
}

providers::MethodResult LocalHost::create_relationship(const Uuid& vm, const ReplicationSettings& given) {
  core::CreateCall create;
  create.facts = facts(vm);
  create.settings = given;
  const auto state = parts_.core.state(vm);
  const bool replicated = state && (state->phase != core::Phase::none || core::has_foreground_job(*state));
  if (!create.facts.hypervisor && !replicated) {  // else the engine refuses without looking further
    US_CHECK(complete(create.settings));
    US_TRY(create.definition, parts_.hypervisor.definition(vm));
    US_TRY(create.disks, parts_.hypervisor.replicable(vm, create.settings.included_disks));
    std::erase_if(create.definition.disks, [&](const VmDisk& disk) {
      return std::none_of(create.disks.begin(), create.disks.end(),
                          [&](const DiskGeometry& included) { return included.target == disk.target; });
    });
    create.settings.included_disks.clear();
    for (const DiskGeometry& disk : create.disks) create.settings.included_disks.push_back(disk.target);
  }
  return call(vm, [&](core::CallId id) -> core::Event {
    create.call = id;
    return create;
  });
}

// The same replica under another address: it is asked whether it is one.
Status LocalHost::find_replica(const core::State& state, ReplicationSettings& settings) const {
  US_TRY(const auto peer,
         parts_.connector.connect(settings.recovery_connection_point, settings.recovery_server_port,
                                  kConnectionTest, CancelToken()));
  US_TRY(const Holdings held, peer->query({state.vm}));
  if (held.mode != ReplicationMode::replica || held.lineage.set != state.lineage.set)
    return fail(ErrorCode::invalid_parameter,
                settings.recovery_connection_point + " holds no replica of '" + state.name +
                    "' that this host sends to",
                "for a replica on another host: understudy remove " + state.name +
                    ", then understudy enable " + state.name + " --to " + settings.recovery_connection_point);
  settings.recovery_host_system = peer->hello().host;
  return {};
}

providers::MethodResult LocalHost::modify_relationship(const Uuid& vm, const ReplicationSettings& before,
                                                       const ReplicationSettings& given) {
  core::ModifyCall modify;
  modify.facts = facts(vm);
  modify.before = before;
  modify.settings = given;
  const auto state = parts_.core.state(vm);
  if (state && core::mode_of(*state) == ReplicationMode::primary) {
    // The certificate may have been renewed since.
    if (given.certificate_thumbprint == before.certificate_thumbprint)
      modify.settings.certificate_thumbprint.clear();
    US_CHECK(complete(modify.settings));
    if (strcasecmp(given.recovery_connection_point.c_str(), before.recovery_connection_point.c_str()) != 0 ||
        given.recovery_server_port != before.recovery_server_port)
      US_CHECK(find_replica(*state, modify.settings));
  }
  return call(vm, [&](core::CallId id) -> core::Event {
    modify.call = id;
    return modify;
  });
}

providers::MethodResult LocalHost::start_replication(const Uuid& vm) {
  const core::CallFacts now = facts(vm);
  return call(vm, [&](core::CallId id) -> core::Event { return core::StartCall{id, now}; });
}

// A replica's VM that somebody has undefined is none of the failover's troubles: it is defined again.
core::CallFacts LocalHost::facts_of_replica(const Uuid& vm) const {
  core::CallFacts now = facts(vm);
  if (now.hypervisor && now.hypervisor->code() == ErrorCode::not_found) now.hypervisor.reset();
  return now;
}

// What a method can see at once: that there is no store, and that the files of a point are gone. (What else
// is wrong with them is found by the job.)
std::optional<Error> LocalHost::unusable_files(const Uuid& vm, const std::optional<Uuid>& point) const {
  const auto state = parts_.core.state(vm);
  if (!state || !core::is_replica(state->phase) || state->phase == core::Phase::preparing)
    return std::nullopt;
  const auto store = parts_.core.performer().replica_store(vm);
  if (!store && store.error().code() == ErrorCode::corrupt)
    return Error(ErrorCode::status_unknown, "what the replica holds is not known: " + store.error().message(),
                 "understudy store check " + state->directory);
  if (!store) return store.error();
  const std::string manifest = state->directory + "/manifest";
  if (!is_there(manifest)) return missing_file(manifest);
  if (!point) return std::nullopt;
  const auto chains = (*store)->chains(*point);
  if (!chains) return std::nullopt;  // it is not listed any more
  for (const std::vector<std::string>& chain : *chains)
    if (!is_there(chain.front())) return missing_file(chain.front());
  return std::nullopt;
}

providers::MethodResult LocalHost::initiate_failover(const Uuid& vm, const std::optional<Uuid>& point) {
  core::FailoverCall failover;
  failover.facts = facts_of_replica(vm);
  failover.point = point;
  failover.points = points(vm);
  const bool latest = !point && !failover.points.empty();
  failover.files = unusable_files(vm, latest ? failover.points.back().id : point);
  if (const auto store = parts_.core.performer().replica_store(vm))
    failover.generation_spent = (*store)->generation_spent();
  if (const auto state = parts_.core.state(vm)) {
    const core::PrimarySeen primary = primary_seen(*state);
    if (primary.heard) failover.primary_running = primary.alive;
    if (primary.alive)
      log_warning("failover", "asked for while the primary is alive and may still run the VM",
                  {{"vm", state->name},
                   {"primary", state->primary_name},
                   {"heard", age_text(*primary.heard) + " ago"},
                   {"ran_at", iso_time(state->times.last_cut)}});
  }
  return call(vm, [&](core::CallId id) -> core::Event {
    failover.call = id;
    return failover;
  });
}

providers::MethodResult LocalHost::remove_relationship(const Uuid& vm) {
  using enum core::Phase;
  const auto state = parts_.core.state(vm);
  if (state && (state->phase == waiting || state->phase == standby || state->phase == failed_over))
    US_CHECK(parts_.core.performer().replica_store(vm));  // what cannot be read is not given to a VM
  const core::CallFacts now = facts_of_replica(vm);       // it may be gone
  return call(vm, [&](core::CallId id) -> core::Event { return core::RemoveCall{id, now}; });
}

providers::MethodResult LocalHost::revert_failover(const Uuid& vm) {
  const core::CallFacts now = facts_of_replica(vm);
  const std::optional<Error> files = unusable_files(vm, std::nullopt);
  return call(vm, [&](core::CallId id) -> core::Event { return core::RevertCall{id, now, files}; });
}

providers::MethodResult LocalHost::request_replication_state(const Uuid& vm, uint16_t requested) {
  const core::CallFacts now = facts(vm);
  return call(vm, [&](core::CallId id) -> core::Event { return core::StateCall{id, now, requested}; });
}

providers::MethodResult LocalHost::resynchronize(const Uuid& vm, std::optional<Wall> start) {
  const core::CallFacts now = facts(vm);
  return call(vm, [&](core::CallId id) -> core::Event { return core::ResyncCall{id, now, start}; });
}

providers::MethodResult LocalHost::create_point(const Uuid& vm, bool application_consistent) {
  const core::CallFacts now = facts(vm);
  return call(vm, [&](core::CallId id) -> core::Event {
    return core::PointCall{id, now, application_consistent};
  });
}

providers::MethodResult LocalHost::set_network(const Uuid& vm, const std::vector<NicSettings>& settings) {
  core::NetworkCall network;
  network.facts = facts(vm);
  network.cards = settings;
  const auto cards = parts_.hypervisor.network_cards(vm);
  if (!cards)
    network.facts.hypervisor = cards.error();
  else
    for (const VmNic& card : *cards) network.known.push_back(card.mac);
  return call(vm, [&](core::CallId id) -> core::Event {
    network.call = id;
    return network;
  });
}

providers::MethodResult LocalHost::reset_statistics(const Uuid& vm) {
  return call(vm, [](core::CallId id) -> core::Event { return core::StatisticsCall{id}; });
}

providers::MethodResult LocalHost::cancel_job(const Uuid& vm, const Uuid& job) {
  return call(vm, [&](core::CallId id) -> core::Event { return core::CancelCall{id, job}; });
}

providers::MethodResult LocalHost::request_power(const Uuid& vm, bool on) {
  const core::CallFacts now = facts(vm);
  return call(vm, [&](core::CallId id) -> core::Event { return core::PowerCall{id, now, on}; });
}

}  // namespace understudy::daemon
