#include "daemon/composition.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <mutex>

#include "authz/gate.h"
#include "authz/policy.h"
#include "base/log.h"
#include "cim/object_manager.h"
#include "daemon/audit_trail.h"
#include "daemon/checker.h"
#include "daemon/front_host.h"
#include "daemon/kerberos_host.h"
#include "daemon/link_host.h"
#include "daemon/local_host.h"
#include "daemon/notifier.h"
#include "daemon/outgoing_host.h"
#include "daemon/place_check.h"
#include "daemon/quotas.h"
#include "daemon/replication_service.h"
#include "files/posix_files.h"
#include "hypervisor/libvirt_hypervisor.h"
#include "ipc/tree_text.h"
#include "link/connector.h"
#include "providers/providers.h"
#include "source/backup_source.h"
#include "statedb/sqlite_state_db.h"

namespace understudy::daemon {
namespace {

struct RandomIds final : core::Ids {
  Uuid next() override { return Uuid::random(); }
};

Status make_folder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, "cannot make the folder " + path);
}

// The replication listener: runs while the service settings say so.
class Listener {
 public:
  Listener(std::string address, LinkHost::Parts parts)
      : address_(std::move(address)), parts_(std::move(parts)) {}

  Status apply(const ServiceSettings& settings) {
    const std::lock_guard lock(mutex_);
    const auto port = static_cast<uint16_t>(settings.https_port);
    if (host_ && settings.recovery_server_enabled && host_->port() == port) return {};
    if (!settings.recovery_server_enabled) {
      host_.reset();
      wanted_ = false;
      return {};
    }
    auto started = LinkHost::start(parts_, address_, port);
    if (!started) return fail(started.error().context("replication listener"));
    host_ = std::move(*started);
    wanted_ = true;
    log_info("link", "listening for replication", {{"address", address_}, {"port", port}});
    return {};
  }
  void want() {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  bool healthy() {
    const std::lock_guard lock(mutex_);
    return !wanted_ || (host_ && host_->serving());
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    host_.reset();
  }

 private:
  const std::string address_;
  const LinkHost::Parts parts_;
  std::mutex mutex_;
  std::unique_ptr<LinkHost> host_;
  bool wanted_ = false;
};

class Daemon final : public Composition {
 public:
  explicit Daemon(const Config& config)
      : config_(config),
        hypervisor_(hypervisor_config(config)),
        audit_(config.management.audit_file, clock_) {}

  // Front and link first, so that nobody asks any more; then what carries out; then the core.
  ~Daemon() override {
    if (kerberos_) kerberos_->stop();
    remote_.reset();
    local_.reset();
    if (listener_) listener_->stop();
    if (checker_) checker_->stop();
    if (notifier_) notifier_->stop();
    if (core_) core_->stop();
  }

  Status start() {
    US_CHECK(make_folder(config_.state_directory, 0711));
    US_CHECK(make_folder(config_.run_directory, 0755));
    US_TRY(state_db_, statedb::open_state_db(config_.state_directory + "/state.db"));
    registry_ = std::make_unique<Registry>(*state_db_);
    US_CHECK(registry_->load());
    US_CHECK(hypervisor_.prepare());
    start_core();
    make_checker();
    hypervisor_.on_event([this](const Uuid& vm, core::VmEvent what) {
      core_->post_known(vm, core::HypervisorNews{what});
      if (what == core::VmEvent::defined) checker_->look_again(vm);
    });
    US_CHECK(core_->load());
    core_->start();
    start_link();
    US_CHECK(start_front());
    checker_->start();
    return {};
  }

 private:
  static hypervisor::HypervisorConfig hypervisor_config(const Config& config) {
    hypervisor::HypervisorConfig mine;
    mine.uri = config.libvirt_uri;
    mine.scratch_directory = config.hypervisor.scratch_directory;
    mine.scratch_space = config.hypervisor.scratch_bytes;
    mine.hook_directory = config.hypervisor.hook_directory;
    mine.hold_directory = config.state_directory + "/holds";
    mine.watch_directory = config.state_directory + "/watched";
    mine.networks = config.hypervisor.networks;
    mine.boot_directories = config.hypervisor.boot_directories;
    mine.serial_log_directory = config.hypervisor.console_directory;
    return mine;
  }

  link::LinkIdentity link_identity() const {
    const Config::Replication& r = config_.replication;
    return {config_.host_name, UNDERSTUDY_VERSION, r.certificate, r.key, r.authority};
  }

  link::StillGood still_good() const {
    return [this](const transfer::PeerIdentity& peer) {
      return revoked_.check(peer.thumbprint, peer.common_name);
    };
  }

  Result<std::unique_ptr<transfer::Source>> open_source(const Uuid& vm,
                                                        const std::vector<DiskGeometry>& disks) {
    US_TRY(const hypervisor::ExportInfo info, hypervisor_.export_of(vm));
    std::vector<source::BackupDisk> exports;
    for (const DiskGeometry& disk : disks) {
      const hypervisor::ExportedDisk* found = nullptr;
      for (const hypervisor::ExportedDisk& exported : info.disks)
        if (exported.target == disk.target) found = &exported;
      if (found == nullptr)
        return fail(ErrorCode::invalid_state, "the open backup job has no disk " + disk.target);
      exports.push_back({disk, {info.socket, found->name, found->context}});
    }
    return source::open_backup_source(std::move(exports), info.granule);
  }

  Status give_to_guest(const std::vector<std::string>& paths) {
    US_TRY(const hypervisor::ImageOwner owner, hypervisor_.image_owner());
    for (const std::string& path : paths)
      if (lchown(path.c_str(), owner.user, owner.group) != 0)
        return fail_errno(errno, "cannot give " + path + " to QEMU's user");
    return {};
  }

  void start_core() {
    outgoing_ = std::make_unique<OutgoingHost>(config_.run_directory + "/empty", config_.log_json,
                                               config_.log_level == "debug");
    throttle_ = std::make_shared<transfer::Throttle>(config_.replication.bandwidth);
    connector_ = std::make_unique<link::LinkConnector>(
        link_identity(), clock_, throttle_,
        [this](ByteView outgoing, int connection, int lane) {
          return outgoing_->give(outgoing, connection, lane);
        },
        still_good());
    performer::Ports ports{hypervisor_,
                           *connector_,
                           files_,
                           *state_db_,
                           clock_,
                           ids_,
                           [this](const Uuid& vm, const std::vector<DiskGeometry>& disks,
                                  const std::optional<std::string>&) { return open_source(vm, disks); },
                           [this](const std::vector<std::string>& paths) { return give_to_guest(paths); }};
    core_ = std::make_unique<performer::CoreLoop>(std::move(ports));
  }

  // Who QEMU is cannot always be told; then nothing is known to be wrong.
  Finding look_at(const std::string& storage) {
    const auto owner = hypervisor_.image_owner();
    return owner ? check_location(storage, owner->user, owner->group) : Finding();
  }

  void make_checker() {
    const Config::Health& h = config_.health;
    notifier_ = std::make_unique<Notifier>(h.script, Duration::seconds(h.script_seconds), config_.host_name);
    checker_ = std::make_unique<Checker>(Checker::Parts{
        *core_,
        hypervisor_,
        *registry_,
        clock_,
        *connector_,
        files_,
        config_.host_name,
        {config_.replication.certificate, config_.replication.authority},
        [this] { return listener_->healthy(); },
        [this]() -> std::optional<Finding> {
          if (!kerberos_) return std::nullopt;
          return kerberos_->finding();
        },
        [this](const core::State& state, const core::Health& health) { notifier_->observe(state, health); }});
  }

  std::vector<Quotas::Kept> replicas() {
    std::vector<Quotas::Kept> kept;
    for (const Uuid& vm : core_->replicas())
      if (const auto state = core_->state(vm)) kept.push_back({state->primary_name, state->directory});
    return kept;
  }

  void start_link() {
    quotas_ = std::make_unique<Quotas>(config_.replication.quotas, *registry_, [this] { return replicas(); });
    replication_ = std::make_unique<ReplicationService>(
        *core_, *registry_, config_.host_name,
        [this](const std::string& storage) { return look_at(storage); }, still_good(),
        [this](const AuthorizationEntry& entry, std::shared_ptr<transfer::Sink> sink) {
          return quotas_->within(entry, std::move(sink));
        });
    listener_ = std::make_unique<Listener>(
        config_.replication.address,
        LinkHost::Parts{*replication_, clock_, link_identity(), config_.run_directory + "/empty",
                        config_.log_json, config_.log_level == "debug", still_good()});
    if (!registry_->settings().recovery_server_enabled) return;
    listener_->want();
    // A listener that cannot run is shown (OperationalStatus 6); the rest of the host goes on.
    if (const Status listening = listener_->apply(registry_->settings()); !listening)
      log_error("link", "the recovery server is enabled but cannot listen",
                {{"error", listening.error().text()}});
  }

  Status start_front() {
    host_ = std::make_unique<LocalHost>(
        LocalHost::Parts{*core_, hypervisor_, *registry_, clock_, config_.host_name,
                         config_.replication.certificate, config_.management.certificate, *connector_,
                         [this](const ServiceSettings& settings) { return listener_->apply(settings); },
                         [this] { return listener_->healthy(); }, *checker_});
    const auto authorize = [](const cim::Caller& caller, cim::Right right, std::string_view class_name,
                              std::string_view method) -> Result<cim::Reach> {
      US_TRY(const authz::Roles roles, authz::parse_roles(caller.role));
      US_TRY(authz::Reach reach, authz::permit(roles, right == cim::Right::read, class_name, method));
      return cim::Reach{reach.everywhere, std::move(reach.vms), reach.host_objects};
    };
    const auto vm_of = [this](const Uuid& guid) {
      if (core_->state(guid)) return guid;
      if (const auto vm = host_->vm_of_job(guid)) return *vm;
      return host_->vm_of_point(guid).value_or(guid);
    };
    manager_ = std::make_unique<cim::ObjectManager>(
        authorize, config_.host_name, [this](const cim::Called& called) { audit_.note(called); }, vm_of);
    providers::register_providers(*manager_, *host_, ipc::read_tree_text);

    const Config::Management& m = config_.management;
    US_TRY(auto certificates, authz::Followed<authz::CertificateMap>::open(m.certificate_map));
    US_TRY(authz::KerberosDoor kerberos, open_kerberos(m));
    gate_ = std::make_unique<authz::Gate>(std::make_unique<authz::PasswordFile>(m.password_file),
                                          std::move(certificates), &revoked_, std::move(kerberos));
    sessions_ = std::make_unique<session::LocalSessions>(*gate_, *manager_);
    FrontHost::Parts parts{*sessions_, config_.run_directory + "/empty", config_.log_json,
                           config_.log_level == "debug", kerberos_ != nullptr};
    if (!m.address.empty()) {
      US_TRY(remote_, FrontHost::remote(parts, m));
      log_info("wsman", "listening for management", {{"address", m.address}, {"port", m.port}});
    }
    // Last: who can connect to the local socket may take it that everything else listens.
    US_TRY(local_, FrontHost::local(parts, m.socket));
    return {};
  }

  Result<authz::KerberosDoor> open_kerberos(const Config::Management& m) {
    authz::KerberosDoor door;
    if (m.kerberos_keytab.empty()) return door;
    US_TRY(door.map, authz::Followed<authz::KerberosMap>::open(m.kerberos_map));
    US_TRY(kerberos_, KerberosHost::start({m.kerberos_keytab, config_.state_directory + "/kerberos",
                                           config_.log_json, config_.log_level == "debug"}));
    door.judge = kerberos_.get();
    return door;
  }

  const Config config_;
  const authz::RevokedCertificates revoked_{config_.revoked};
  SystemClock clock_;
  RandomIds ids_;
  files::PosixFiles files_;
  std::unique_ptr<core::StateDb> state_db_;
  std::unique_ptr<Registry> registry_;
  std::shared_ptr<transfer::Throttle> throttle_;
  std::unique_ptr<OutgoingHost> outgoing_;
  std::unique_ptr<link::LinkConnector> connector_;
  std::unique_ptr<performer::CoreLoop> core_;
  std::unique_ptr<Notifier> notifier_;
  std::unique_ptr<Checker> checker_;
  hypervisor::LibvirtHypervisor hypervisor_;  // goes before what its events are posted to
  std::unique_ptr<Quotas> quotas_;
  std::unique_ptr<ReplicationService> replication_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<LocalHost> host_;
  AuditTrail audit_;
  std::unique_ptr<cim::ObjectManager> manager_;
  std::unique_ptr<KerberosHost> kerberos_;
  std::unique_ptr<authz::Gate> gate_;
  std::unique_ptr<session::LocalSessions> sessions_;
  std::unique_ptr<FrontHost> remote_, local_;
};

}  // namespace

Result<std::unique_ptr<Composition>> Composition::start(const Config& config) {
  auto daemon = std::make_unique<Daemon>(config);
  US_CHECK(daemon->start());
  return daemon;
}

}  // namespace understudy::daemon
