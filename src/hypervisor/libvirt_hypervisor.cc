#include "hypervisor/libvirt_hypervisor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/log.h"
#include "hypervisor/backup_job.h"
#include "hypervisor/definition.h"
#include "hypervisor/domain.h"
#include "hypervisor/element.h"
#include "hypervisor/firmware.h"
#include "hypervisor/freeze.h"
#include "hypervisor/guest_network.h"
#include "hypervisor/qcow2_header.h"
#include "hypervisor/replica_domain.h"

namespace understudy::hypervisor {
namespace {

using core::VmPower;

// A VM that never exists: held for ever, it tells whether libvirtd calls our hook.
constexpr char kProbe[] = "0f6b3c5e-6a0d-4c53-9e0f-756e64657273";
constexpr char kProbeXml[] =
    "<domain type='qemu'><name>understudy-probe</name><uuid>0f6b3c5e-6a0d-4c53-9e0f-756e64657273</uuid>"
    "<memory unit='KiB'>1024</memory><os><type>hvm</type></os></domain>";

VmPower power_of(virDomain* domain) {
  int state = 0, reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) != 0) return VmPower::other;
  switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
      return VmPower::running;
    case VIR_DOMAIN_PAUSED:
      return VmPower::paused;
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
      return is_active(domain) ? VmPower::other : VmPower::off;
    default:
      return VmPower::other;
  }
}

Result<core::VmSummary> summary_of(virDomain* domain) {
  core::VmSummary summary;
  char id[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString(domain, id) != 0) return fail(libvirt_error("reading a UUID"));
  US_TRY(summary.id, Uuid::parse(id));
  summary.name = name_of(domain);
  summary.power = power_of(domain);
  const unsigned number = virDomainGetID(domain);
  summary.process_id = number == static_cast<unsigned>(-1) ? 0 : static_cast<int32_t>(number);
  int autostart = 0;
  summary.autostart =
      virDomainGetAutostart(domain, &autostart) == 0 && autostart != 0;  // fails for a transient one
  virDomainInfo info;
  if (virDomainGetInfo(domain, &info) != 0) return fail(libvirt_error("looking at VM " + summary.name));
  summary.vcpus = info.nrVirtCpu;
  summary.memory_kib = info.maxMem;
  return summary;
}

const DiskSite* find_site(const std::vector<DiskSite>& sites, const std::string& target) {
  const auto found =
      std::find_if(sites.begin(), sites.end(), [&](const DiskSite& s) { return s.target == target; });
  return found == sites.end() ? nullptr : &*found;
}

Status check_foreign_checkpoints(virDomain* domain) {
  US_TRY(const std::vector<CheckpointRef> checkpoints, checkpoints_of(domain));
  for (const CheckpointRef& checkpoint : checkpoints) {
    const std::string name = name_of(checkpoint.get());
    if (name.rfind(kCheckpointPrefix, 0) == 0) continue;
    return fail(ErrorCode::in_use,
                "VM " + name_of(domain) + " has the checkpoint " + name + " of another backup program",
                "if it is not needed: virsh checkpoint-delete " + name_of(domain) + " " + name);
  }
  return {};
}

// The disk as it is in the running VM: replicable, and the same as in the stored definition.
Result<DiskGeometry> geometry_of(const std::string& vm, const DiskSite& site,
                                 const std::vector<DiskSite>& live) {
  const auto replaced = [&](std::string hint) {
    for (size_t at = hint.find("NAME"); at != std::string::npos; at = hint.find("NAME", at + vm.size()))
      hint.replace(at, 4, vm);
    return hint;
  };
  const std::string what = "disk " + site.target + " of VM " + vm;
  if (!site.refusal.empty())
    return fail(ErrorCode::not_supported, what + " " + site.refusal, replaced(site.way_out));
  const DiskSite* running = find_site(live, site.target);
  if (running == nullptr || running->path != site.path) {
    return fail(ErrorCode::invalid_state, what + " is another one in the running VM than in its definition",
                "shut the VM down and start it again");
  }
  US_TRY(const ImageHeader header, read_image_header(site.path));
  if (Status status = check_tracking(header, site.path); !status) return fail(status.error().context(what));
  return DiskGeometry{site.target, header.size};
}

}  // namespace

LibvirtHypervisor::LibvirtHypervisor(HypervisorConfig config)
    : config_(std::move(config)),
      hook_(config_.hook_directory, config_.hold_directory, config_.watch_directory),
      holds_(config_.hold_directory),
      watch_(config_.watch_directory),
      connection_(std::make_unique<LibvirtConnection>(config_.uri, config_.scratch_directory + "/")),
      jobs_(std::make_unique<BackupJobs>(*connection_, config_)) {}

LibvirtHypervisor::~LibvirtHypervisor() = default;

void LibvirtHypervisor::on_event(std::function<void(const Uuid&, core::VmEvent)> handler) {
  connection_->on_event(
      [handler = std::move(handler), probe = *Uuid::parse(kProbe)](const Uuid& vm, core::VmEvent event) {
        if (vm != probe) handler(vm, event);
      });
}

Status LibvirtHypervisor::prepare() {
  US_CHECK(hook_.install());
  US_CHECK(holds_.hold(*Uuid::parse(kProbe), "it only tests whether holds work"));
  std::error_code error;
  std::filesystem::create_directories(config_.scratch_directory, error);
  if (error) return fail_errno(error.value(), "making " + config_.scratch_directory);
  if (::chmod(config_.scratch_directory.c_str(), 0711) != 0)
    return fail_errno(errno, "opening " + config_.scratch_directory + " to QEMU");
  return {};
}

Status LibvirtHypervisor::hook_in_force() {
  US_TRY(const ConnectionRef connection, connection_->get());
  const std::lock_guard lock(probe_mutex_);
  US_CHECK(holds_.hold(*Uuid::parse(kProbe), "it only tests whether holds work"));
  constexpr unsigned kHarmless = VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY;
  const DomainRef domain(virDomainCreateXML(connection.get(), kProbeXml, kHarmless));
  if (domain != nullptr) {
    virDomainDestroy(domain.get());
    return fail(ErrorCode::invalid_state,
                "libvirtd does not call our hook in " + config_.hook_directory + ", so holds would not hold",
                "restart it once (VMs keep running): systemctl restart libvirtd");
  }
  const Error error = libvirt_error("testing the hold");
  if (error.message().rfind("Understudy holds", 0) == 0) return {};
  return fail(error);
}

Result<ImageOwner> LibvirtHypervisor::image_owner() {
  US_TRY(const ConnectionRef connection, connection_->get());
  const LibvirtText xml(virConnectGetCapabilities(connection.get()));
  if (xml == nullptr) return fail(libvirt_error("reading the host's capabilities"));
  US_TRY(const Element capabilities, parse_xml(xml.get()));
  const Element* host = capabilities.child("host");
  if (host == nullptr) return fail(ErrorCode::corrupt, "libvirt's capabilities do not describe the host");
  for (const Element& model : host->children) {
    if (model.name != "secmodel" || model.text_at("model") != "dac") continue;
    ImageOwner owner;  // "+64055:+64055"
    if (std::sscanf(std::string(model.text_at("baselabel")).c_str(), "+%u:+%u", &owner.user, &owner.group) ==
        2)
      return owner;
  }
  return fail(ErrorCode::not_found, "libvirt does not say as which user QEMU runs");
}

Result<ExportInfo> LibvirtHypervisor::export_of(const Uuid& vm) {
  return jobs_->export_of(vm);
}

Result<std::string> LibvirtHypervisor::host_name() {
  US_TRY(const ConnectionRef connection, connection_->get());
  const LibvirtText name(virConnectGetHostname(connection.get()));
  if (name == nullptr) return fail(libvirt_error("reading the host's name"));
  return std::string(name.get());
}

Result<std::vector<core::VmSummary>> LibvirtHypervisor::list() {
  US_TRY(const ConnectionRef connection, connection_->get());
  virDomain** domains = nullptr;
  const int count = virConnectListAllDomains(connection.get(), &domains, 0);
  if (count < 0) return fail(libvirt_error("listing VMs"));
  std::vector<DomainRef> refs;
  for (int i = 0; i < count; ++i) refs.emplace_back(domains[i]);
  ::free(domains);
  std::vector<core::VmSummary> summaries;
  for (const DomainRef& domain : refs) {
    Result<core::VmSummary> summary = summary_of(domain.get());
    if (summary)
      summaries.push_back(std::move(*summary));
    else if (exists(summary.error()))
      return fail(summary.error());  // one that vanished meanwhile is no error
  }
  return summaries;
}

Result<core::VmSummary> LibvirtHypervisor::find(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  return summary_of(domain.get());
}

std::unique_lock<std::mutex> LibvirtHypervisor::turn_at_checkpoints(const Uuid& vm) {
  std::mutex* turn = nullptr;
  {
    const std::lock_guard lock(turns_mutex_);
    turn = &turns_[vm];
  }
  return std::unique_lock(*turn);
}

Result<core::VmFacts> LibvirtHypervisor::inspect(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  core::VmFacts facts;
  const Result<DomainRef> domain = find_domain(connection.get(), vm);
  if (!domain && exists(domain.error())) return fail(domain.error());
  if (!domain) return facts;
  facts.exists = true;
  facts.power = power_of(domain->get());
  US_TRY(facts.changed_while_off, watch_.changed(vm));
  facts.managed_save = virDomainHasManagedSaveImage(domain->get(), 0) == 1;
  const bool active = is_active(domain->get());
  if (Status status = jobs_->thaw_left_over(domain->get(), vm); !status)
    log_warning("hypervisor", "a guest may be frozen", {{"error", status.error().text()}});
  if (active) {
    US_TRY(const std::optional<std::string> job, backup_xml(domain->get()));
    facts.job_open = job.has_value();
    if (job) {
      US_TRY(const bool ours, is_our_job(*job));
      facts.job_foreign = !ours;
    }
  }
  const auto turn = turn_at_checkpoints(vm);
  US_TRY(const std::vector<CheckpointRef> checkpoints, checkpoints_of(domain->get()));
  for (const CheckpointRef& checkpoint : checkpoints) {
    facts.checkpoints.push_back(name_of(checkpoint.get()));
    const bool ours = facts.checkpoints.back().rfind(kCheckpointPrefix, 0) == 0;
    if (!ours || !active) continue;  // of a VM that is off, the next inspection tells
    US_TRY(const bool whole, is_whole(domain->get(), checkpoint.get()));
    if (!whole) facts.broken_checkpoints.push_back(facts.checkpoints.back());
  }
  return facts;
}

Status LibvirtHypervisor::start(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  const std::string name = name_of(domain.get());
  if (is_active(domain.get()) || virDomainCreate(domain.get()) == 0) return {};
  return fail(libvirt_error("starting VM " + name));
}

Status LibvirtHypervisor::stop(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  const std::string name = name_of(domain.get());
  if (!is_active(domain.get()) || virDomainDestroy(domain.get()) == 0) return {};
  const Error error = libvirt_error("stopping VM " + name);
  return is_active(domain.get()) ? Status(fail(error)) : Status{};  // it may have stopped by itself
}

Result<std::vector<VmNic>> LibvirtHypervisor::network_cards(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  US_TRY(const std::string xml, domain_xml(domain.get(), VIR_DOMAIN_XML_INACTIVE));
  return read_network_cards(xml);
}

Status LibvirtHypervisor::give_network(const Uuid& vm, const std::vector<NicSettings>& cards,
                                       const CancelToken& cancel) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  return hypervisor::give_network(domain.get(), cards, cancel);
}

Result<VmDefinition> LibvirtHypervisor::definition(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  US_TRY(const std::string xml, domain_xml(domain.get(), VIR_DOMAIN_XML_INACTIVE));
  US_TRY(DomainReading reading, read_domain(xml));
  VmDefinition& definition = reading.definition;
  for (VmDisk& disk : definition.disks) {
    const DiskSite* site = find_site(reading.disks, disk.target);
    US_TRY(const ImageHeader header, read_image_header(site->path));
    disk.size = header.size;
  }
  US_CHECK(resolve_firmware(definition, reading.firmware, host_firmware(config_.firmware_directories)));
  US_CHECK(check(definition));
  return definition;
}

Result<std::vector<DiskGeometry>> LibvirtHypervisor::replicable(const Uuid& vm,
                                                                const std::vector<std::string>& chosen) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  const std::string name = name_of(domain.get());
  if (!is_active(domain.get()))
    return fail(ErrorCode::invalid_state, "VM " + name + " is not running", "virsh start " + name);
  if (virDomainIsPersistent(domain.get()) != 1) {
    return fail(ErrorCode::not_supported, "VM " + name + " is transient: it is gone when it stops",
                "virsh dumpxml " + name + " >x.xml; virsh define x.xml");
  }
  US_TRY(const std::string stored_xml, domain_xml(domain.get(), VIR_DOMAIN_XML_INACTIVE));
  US_TRY(const DomainReading stored, read_domain(stored_xml));
  US_TRY(const std::string live_xml, domain_xml(domain.get(), 0));
  US_TRY(const std::vector<DiskSite> live, read_disks(live_xml));
  std::vector<std::string> disks = chosen;
  if (chosen.empty())
    for (const DiskSite& site : stored.disks) disks.push_back(site.target);
  if (disks.empty()) return fail(ErrorCode::not_supported, "VM " + name + " has no disk to replicate");
  for (const std::string& target : disks) {
    if (find_site(stored.disks, target) == nullptr)
      return fail(ErrorCode::not_found, "VM " + name + " has no disk " + target, "virsh domblklist " + name);
  }
  std::vector<DiskGeometry> geometry;
  for (const DiskSite& site : stored.disks) {
    if (std::find(disks.begin(), disks.end(), site.target) == disks.end()) continue;
    US_TRY(DiskGeometry disk, geometry_of(name, site, live));
    geometry.push_back(std::move(disk));
  }
  {
    const auto turn = turn_at_checkpoints(vm);
    US_CHECK(check_foreign_checkpoints(domain.get()));
  }
  US_CHECK(jobs_->check_scratch(disks.size()));
  US_CHECK(hook_in_force());
  return geometry;
}

Result<core::OpenedJob> LibvirtHypervisor::open_job(const core::OpenJobRequest& request) {
  const auto turn = turn_at_checkpoints(request.vm);
  return jobs_->open(request);
}
Status LibvirtHypervisor::end_job(const Uuid& vm) {
  return jobs_->end(vm);
}
Status LibvirtHypervisor::delete_checkpoint(const Uuid& vm, const std::string& name) {
  const auto turn = turn_at_checkpoints(vm);
  return jobs_->delete_checkpoint(vm, name);
}

Status LibvirtHypervisor::delete_checkpoint_offline(const Uuid& vm, const std::string& name) {
  const auto turn = turn_at_checkpoints(vm);
  return jobs_->delete_checkpoint_offline(vm, name);
}

Status LibvirtHypervisor::watch_disks(const Uuid& vm, bool on) {
  if (on) US_CHECK(hook_.install());
  return watch_.watch(vm, on);
}
Status LibvirtHypervisor::forget_disk_changes(const Uuid& vm) {
  return watch_.forget(vm);
}

Status LibvirtHypervisor::agent_answers(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  // An agent that is at work for a cut answers: the cut asks it first.
  if (::access(jobs_->freeze_mark(vm).c_str(), F_OK) == 0) return {};
  US_TRY(const std::string xml, domain_xml(domain.get(), 0));
  return hypervisor::agent_answers(domain.get(), xml);
}

Result<Bytes> LibvirtHypervisor::nvram(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  US_TRY(const std::string xml, domain_xml(domain.get(), 0));
  US_TRY(const Element document, parse_xml(xml));
  const std::string path = nvram_path(document, config_.domain_directory + "/nvram");
  if (path.empty()) return Bytes();
  return read_nvram(path);
}

Status LibvirtHypervisor::hold(const Uuid& vm, const std::string& reason) {
  US_CHECK(hook_.install());
  US_CHECK(holds_.hold(vm, reason));
  return hook_in_force();
}
Status LibvirtHypervisor::lift_hold(const Uuid& vm) {
  return holds_.lift(vm);
}
Result<bool> LibvirtHypervisor::held(const Uuid& vm) {
  return holds_.held(vm);
}

Result<std::vector<std::string>> LibvirtHypervisor::check_replica(const core::ReplicaRequest& request) {
  US_TRY(const ConnectionRef connection, connection_->get());
  return hypervisor::check_replica(connection.get(), config_, request);
}
Status LibvirtHypervisor::define_replica(const core::ReplicaRequest& request) {
  US_TRY(const ConnectionRef connection, connection_->get());
  ImageOwner owner;
  if (!request.nvram.empty()) {
    US_TRY(owner, image_owner());
  }
  return hypervisor::define_replica(connection.get(), config_, request, owner);
}
Status LibvirtHypervisor::disown(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  return disown_replica(connection.get(), vm);
}

Status LibvirtHypervisor::undefine(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  return undefine_replica(connection.get(), vm);
}

Status LibvirtHypervisor::remove_managed_save(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_->get());
  const Result<DomainRef> domain = find_domain(connection.get(), vm);
  if (!domain) return exists(domain.error()) ? Status(fail(domain.error())) : Status{};
  const std::string name = name_of(domain->get());
  if (virDomainHasManagedSaveImage(domain->get(), 0) == 0 ||
      virDomainManagedSaveRemove(domain->get(), 0) == 0)
    return {};
  return fail(libvirt_error("removing the saved state of " + name));
}

}  // namespace understudy::hypervisor
