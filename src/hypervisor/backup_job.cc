#include "hypervisor/backup_job.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fault_point.h"
#include "base/limits.h"
#include "hypervisor/element.h"
#include "hypervisor/freeze.h"
#include "hypervisor/image_bitmap.h"
#include "hypervisor/qcow2_header.h"

namespace understudy::hypervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSocketName = "understudy.sock";  // tells our jobs from others
constexpr uint64_t kLeastScratch = 4 << 20;                  // of a disk; less is not worth beginning
constexpr size_t kMostDomainFolders = 100000;

std::string text_of(std::string_view text) {
  return std::string(text);
}

bool is_ours(const Element& backup) {
  const std::string_view socket = backup.attribute_at("server", "socket");
  return socket.size() > kSocketName.size() &&
         socket.substr(socket.size() - kSocketName.size()) == kSocketName;
}

Result<std::optional<Element>> job_of(virDomain* domain) {
  US_TRY(const std::optional<std::string> xml, backup_xml(domain));
  if (!xml) return std::optional<Element>();
  US_TRY(Element element, parse_xml(*xml));
  return std::optional<Element>(std::move(element));
}

// Every disk of the domain by name: those in `chosen` as `fill` says, the others left out.
template <class Fill>
void add_disks(Element& parent, const std::vector<DiskSite>& sites, const std::vector<std::string>& chosen,
               std::string_view attribute, Fill fill) {
  Element& disks = parent.add("disks");
  for (const DiskSite& site : sites) {
    Element& disk = disks.add("disk").set("name", site.target);
    if (std::find(chosen.begin(), chosen.end(), site.target) == chosen.end())
      disk.set(attribute, "no");
    else
      fill(disk, site.target);
  }
}

std::string checkpoint_document(const core::OpenJobRequest& request, const std::vector<DiskSite>& sites) {
  if (!request.new_checkpoint) return {};
  Element checkpoint;
  checkpoint.name = "domaincheckpoint";
  checkpoint.add("name", *request.new_checkpoint);
  add_disks(checkpoint, sites, request.disks, "checkpoint",
            [](Element& disk, const std::string&) { disk.set("checkpoint", "bitmap"); });
  return to_xml(checkpoint);
}

}  // namespace

Result<std::optional<std::string>> backup_xml(virDomain* domain) {
  const std::string name = name_of(domain);
  const LibvirtText text(virDomainBackupGetXMLDesc(domain, 0));
  if (text != nullptr) return std::optional<std::string>(text.get());
  const virError* error = virGetLastError();
  if (error != nullptr && error->code == VIR_ERR_NO_DOMAIN_BACKUP) return std::optional<std::string>();
  return fail(libvirt_error("looking for a backup job of " + name));
}

std::string domain_folder(const std::vector<std::string>& entries, int id, const std::string& name) {
  const std::string prefix = "domain-" + std::to_string(id) + "-";
  std::string best;
  for (const std::string& entry : entries) {
    if (entry.rfind(prefix, 0) != 0 || name.rfind(entry.substr(prefix.size()), 0) != 0) continue;
    if (entry.size() > best.size()) best = entry;
  }
  return best;
}

std::string BackupJobs::backup_document(const core::OpenJobRequest& request,
                                        const std::vector<DiskSite>& sites, const std::string& socket) const {
  Element backup;
  backup.name = "domainbackup";
  backup.set("mode", "pull");
  if (request.from) backup.add("incremental", *request.from);
  backup.add("server").set("transport", "unix").set("socket", socket);
  add_disks(backup, sites, request.disks, "backup", [&](Element& disk, const std::string& target) {
    disk.set("backup", "yes").set("type", "file").set("exportname", target);
    disk.add("driver").set("type", "qcow2");
    disk.add("scratch").set("file", scratch_file(request.vm, target));
  });
  return to_xml(backup);
}

std::string BackupJobs::scratch_file(const Uuid& vm, const std::string& target) const {
  return config_.scratch_directory + "/" + vm.lower() + "-" + target + ".scratch";
}

std::string BackupJobs::freeze_mark(const Uuid& vm) const {
  return config_.scratch_directory + "/" + vm.lower() + ".frozen";
}

Status BackupJobs::thaw_left_over(virDomain* domain, const Uuid& vm) const {
  return hypervisor::thaw_left_over(domain, freeze_mark(vm));
}

Status BackupJobs::remove_scratch(const Uuid& vm) const {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(config_.scratch_directory, error)) {
    const std::string name = entry.path().filename();
    if (name.rfind(vm.lower() + "-", 0) != 0 || !name.ends_with(".scratch")) continue;
    if (::unlink(entry.path().c_str()) != 0 && errno != ENOENT)
      return fail_errno(errno, "removing " + entry.path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail_errno(error.value(), "reading " + config_.scratch_directory);
  return {};
}

Result<uint64_t> BackupJobs::scratch_share(size_t disks) const {
  struct statvfs st {};
  if (::statvfs(config_.scratch_directory.c_str(), &st) != 0)
    return fail_errno(errno, "looking at " + config_.scratch_directory);
  const uint64_t free = st.f_bavail * st.f_frsize;
  const uint64_t set_aside = config_.scratch_space == 0 ? free : std::min(config_.scratch_space, free);
  const uint64_t share = set_aside / std::max<size_t>(disks, 1);
  if (share >= kLeastScratch) return share;
  return fail(ErrorCode::no_space,
              "only " + std::to_string(free >> 20) + " MiB are free in " + config_.scratch_directory +
                  " for what a VM overwrites during a backup",
              "make room there, or set another scratch directory");
}

Status BackupJobs::check_scratch(size_t disks) const {
  US_TRY(const uint64_t share, scratch_share(disks));
  static_cast<void>(share);
  return {};
}

Result<std::string> BackupJobs::socket_of(virDomain* domain) const {
  std::vector<std::string> entries;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(config_.domain_directory, error)) {
    if (entries.size() >= kMostDomainFolders) break;
    entries.push_back(entry.path().filename());
  }
  if (error) return fail_errno(error.value(), "reading " + config_.domain_directory);
  const std::string folder =
      domain_folder(entries, static_cast<int>(virDomainGetID(domain)), name_of(domain));
  if (folder.empty())
    return fail(ErrorCode::not_found,
                "libvirt keeps no folder for " + name_of(domain) + " in " + config_.domain_directory);
  return config_.domain_directory + "/" + folder + "/" + text_of(kSocketName);
}

// A scratch image that fills up stops the guest. Before that the job has to go.
Status BackupJobs::watch_scratch(virDomain* domain, uint64_t share) const {
  US_TRY(const std::optional<Element> job, job_of(domain));
  if (!job || job->child("disks") == nullptr)
    return fail(ErrorCode::failed, "the backup job ended as soon as it began");
  const uint64_t most = share / 100 * limits::kScratchPercent;
  for (const Element& disk : job->child("disks")->children) {
    if (disk.attribute("backup") != "yes") continue;
    const std::string node = text_of(disk.attribute("name")) + "[" + text_of(disk.attribute("index")) + "]";
    if (virDomainSetBlockThreshold(domain, node.c_str(), most, 0) != 0)
      return fail(libvirt_error("watching the scratch image of " + node));
  }
  return {};
}

// The guest is frozen from just before the transaction to just after it.
Result<core::OpenedJob> BackupJobs::carry_out(virDomain* domain, const Transaction& transaction) {
  const std::string name = name_of(domain);
  core::OpenedJob job;
  std::optional<FrozenGuest> frozen;
  if (transaction.freeze != core::Freeze::no) {
    Result<FrozenGuest> guest = FrozenGuest::freeze(domain, transaction.live_xml, transaction.guard);
    if (guest)
      frozen.emplace(std::move(*guest));
    else if (transaction.freeze == core::Freeze::require)
      return fail(guest.error());
    else
      job.freeze_error = guest.error();
  }
  if (frozen) US_CHECK(fault_point("hypervisor.frozen"));
  job.cut = SystemClock().now().wall;  // not later than the true instant
  const char* const checkpoint = transaction.checkpoint.empty() ? nullptr : transaction.checkpoint.c_str();
  if (virDomainBackupBegin(domain, transaction.backup.c_str(), checkpoint, 0) != 0)
    return fail(libvirt_error("opening a backup job of " + name));
  if (!frozen) return job;
  const Status thawed = frozen->thaw();
  job.frozen = SystemClock().now().monotonic - frozen->since();
  job.consistent = thawed.has_value();
  if (!thawed) job.freeze_error = thawed.error();
  return job;
}

Result<core::OpenedJob> BackupJobs::open(const core::OpenJobRequest& request) {
  US_TRY(const ConnectionRef connection, connection_.get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), request.vm));
  const std::string name = name_of(domain.get());
  if (!is_active(domain.get()))
    return fail(ErrorCode::invalid_state, name + " is not running", "virsh start " + name);
  US_TRY(const std::optional<std::string> open, backup_xml(domain.get()));
  if (open)
    return fail(ErrorCode::in_use, name + " has a backup job already", "virsh backup-dumpxml " + name);
  US_CHECK(remove_scratch(request.vm));
  US_TRY(const uint64_t share, scratch_share(request.disks.size()));
  US_TRY(const std::string socket, socket_of(domain.get()));
  Transaction transaction;
  US_TRY(transaction.live_xml, domain_xml(domain.get(), 0));
  US_TRY(const std::vector<DiskSite> sites, read_disks(transaction.live_xml));
  for (const std::string& target : request.disks) {
    if (std::none_of(sites.begin(), sites.end(), [&](const DiskSite& s) { return s.target == target; }))
      return fail(ErrorCode::not_found, name + " has no disk " + target);
  }
  transaction.backup = backup_document(request, sites, socket);
  transaction.checkpoint = checkpoint_document(request, sites);
  transaction.freeze = request.freeze;
  transaction.guard = {config_.guard_program, config_.uri, request.vm, virDomainGetID(domain.get()),
                       freeze_mark(request.vm)};
  US_TRY(core::OpenedJob job, carry_out(domain.get(), transaction));
  Status status = watch_scratch(domain.get(), share);
  if (status && request.freeze == core::Freeze::require && !job.consistent) status = fail(*job.freeze_error);
  if (status) return job;
  // That error is the one to tell; what cannot be taken back now is found by the next inspection.
  static_cast<void>(end(request.vm));
  if (request.new_checkpoint) static_cast<void>(delete_checkpoint(request.vm, *request.new_checkpoint));
  return fail(status.error());
}

Result<bool> is_our_job(const std::string& document) {
  US_TRY(const Element element, parse_xml(document));
  return is_ours(element);
}

// Waits by libvirt's events, and looks again after each: whatever ended the job (we, the guest's power-off, a
// QEMU that died while libvirtd was away), in the end there is none.
Status BackupJobs::end(const Uuid& vm) {
  const Monotonic deadline = SystemClock().now().monotonic + limits::kJobEnd;
  ConnectionRef aborted;  // the connection on which the job was told to end
  std::optional<Error> refused;
  while (true) {
    const uint64_t seen = connection_.changes();
    US_TRY(const ConnectionRef connection, connection_.get());
    const Result<DomainRef> domain = find_domain(connection.get(), vm);
    if (!domain && exists(domain.error())) return fail(domain.error());
    if (!domain || !is_active(domain->get())) return remove_scratch(vm);
    US_TRY(const std::optional<Element> job, job_of(domain->get()));
    if (!job || !is_ours(*job)) {
      int reason = 0, state = 0;
      const bool known = virDomainGetState(domain->get(), &state, &reason, 0) == 0;
      // A full scratch image has stopped the guest: it is gone now.
      if (aborted != nullptr && known && state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_IOERROR)
        virDomainResume(domain->get());
      return job ? Status{} : remove_scratch(vm);
    }
    if (refused) return fail(*refused);
    if (aborted != connection) {
      if (virDomainAbortJob(domain->get()) != 0) refused = libvirt_error("ending the backup job");
      aborted = connection;
      continue;  // an error may mean that the job ended meanwhile: the next look tells
    }
    if (!connection_.wait_change(seen, deadline)) {
      return fail(ErrorCode::timeout, "the backup job of " + name_of(domain->get()) + " does not end",
                  "virsh domjobinfo " + name_of(domain->get()));
    }
  }
}

Result<ExportInfo> BackupJobs::export_of(const Uuid& vm) {
  US_TRY(const ConnectionRef connection, connection_.get());
  US_TRY(const DomainRef domain, find_domain(connection.get(), vm));
  US_TRY(const std::optional<Element> job, job_of(domain.get()));
  if (!job || !is_ours(*job) || job->child("disks") == nullptr)
    return fail(ErrorCode::not_found, name_of(domain.get()) + " has no open backup job of ours");
  US_TRY(const std::string xml, domain_xml(domain.get(), 0));
  US_TRY(const std::vector<DiskSite> sites, read_disks(xml));
  ExportInfo info;
  info.socket = job->attribute_at("server", "socket");
  info.granule = limits::kLeastGranule;
  for (const Element& disk : job->child("disks")->children) {
    if (disk.attribute("backup") != "yes") continue;
    ExportedDisk exported;
    exported.target = disk.attribute("name");
    exported.name =
        disk.attribute("exportname").empty() ? exported.target : text_of(disk.attribute("exportname"));
    if (!disk.attribute("incremental").empty() || job->child("incremental") != nullptr) {
      const std::string_view bitmap = disk.attribute("exportbitmap");
      exported.context =
          "qemu:dirty-bitmap:" + (bitmap.empty() ? "backup-" + exported.target : text_of(bitmap));
    }
    for (const DiskSite& site : sites) {
      if (site.target != exported.target) continue;
      US_TRY(const ImageHeader header, read_image_header(site.path));
      info.granule = std::max(info.granule, header.change_granularity());
    }
    info.disks.push_back(std::move(exported));
  }
  return info;
}

Status BackupJobs::delete_checkpoint(const Uuid& vm, const std::string& name) {
  US_TRY(const ConnectionRef connection, connection_.get());
  const Result<DomainRef> domain = find_domain(connection.get(), vm);
  if (!domain) return exists(domain.error()) ? Status(fail(domain.error())) : Status{};
  const CheckpointRef checkpoint(virDomainCheckpointLookupByName(domain->get(), name.c_str(), 0));
  if (checkpoint == nullptr) {
    const Error error = libvirt_error("looking for checkpoint " + name);
    return exists(error) ? Status(fail(error)) : Status{};
  }
  if (!is_active(domain->get())) {
    return fail(ErrorCode::invalid_state,
                "checkpoint " + name + " cannot be deleted while " + name_of(domain->get()) + " is off",
                "it is deleted when the VM runs again: virsh start " + name_of(domain->get()));
  }
  if (virDomainCheckpointDelete(checkpoint.get(), 0) == 0) return {};
  const Error error = libvirt_error("deleting checkpoint " + name);
  // Of a checkpoint that QEMU's sudden end has broken there may be no bitmap left to delete.
  US_TRY(const bool whole, is_whole(domain->get(), checkpoint.get()));
  if (whole || virDomainCheckpointDelete(checkpoint.get(), VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) != 0)
    return fail(error);
  return {};
}

// QEMU is not there to do it. A checkpoint on another one would have to be merged into that: it is not done
// here.
Status BackupJobs::delete_checkpoint_offline(const Uuid& vm, const std::string& name) {
  US_TRY(const ConnectionRef connection, connection_.get());
  const Result<DomainRef> domain = find_domain(connection.get(), vm);
  if (!domain || is_active(domain->get())) return delete_checkpoint(vm, name);
  const CheckpointRef checkpoint(virDomainCheckpointLookupByName(domain->get(), name.c_str(), 0));
  if (checkpoint == nullptr) return delete_checkpoint(vm, name);
  if (const CheckpointRef below(virDomainCheckpointGetParent(checkpoint.get(), 0)); below != nullptr)
    return fail(ErrorCode::in_use,
                "checkpoint " + name + " of " + name_of(domain->get()) + " is on another one, " +
                    text_of(virDomainCheckpointGetName(below.get())),
                "it is deleted when the VM runs again: virsh start " + name_of(domain->get()));
  US_TRY(const std::string xml, domain_xml(domain->get(), VIR_DOMAIN_XML_INACTIVE));
  US_TRY(const std::vector<DiskSite> sites, read_disks(xml));
  for (const DiskSite& site : sites)
    if (!site.path.empty() && site.refusal.empty()) US_CHECK(remove_bitmap(site.path, name));
  if (virDomainCheckpointDelete(checkpoint.get(), VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) != 0)
    return fail(libvirt_error("deleting checkpoint " + name));
  return {};
}

}  // namespace understudy::hypervisor
