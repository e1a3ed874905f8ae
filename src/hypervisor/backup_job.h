// Pull-mode backup jobs with checkpoints; for this folder only. There is at most one job on a VM.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/ports/hypervisor.h"
#include "hypervisor/definition.h"
#include "hypervisor/domain.h"
#include "hypervisor/guard.h"
#include "hypervisor/libvirt_hypervisor.h"

namespace understudy::hypervisor {

class BackupJobs {
 public:
  // Both outlive it.
  BackupJobs(LibvirtConnection& connection, const HypervisorConfig& config)
      : connection_(connection), config_(config) {}

  Result<core::OpenedJob> open(const core::OpenJobRequest& request);
  Status end(const Uuid& vm);
  Result<ExportInfo> export_of(const Uuid& vm);
  Status delete_checkpoint(const Uuid& vm, const std::string& name);
  Status delete_checkpoint_offline(const Uuid& vm, const std::string& name);
  // A freeze that a killed daemon has left: undone. No error when there is none.
  Status thaw_left_over(virDomain* domain, const Uuid& vm) const;
  std::string freeze_mark(const Uuid& vm) const;  // a file: there while a freeze of ours is in force
  // Is there room for the scratch images of so many disks?
  Status check_scratch(size_t disks) const;

 private:
  struct Transaction {
    std::string backup, checkpoint;  // documents; without a checkpoint the second is empty
    core::Freeze freeze = core::Freeze::no;
    GuardTask guard;
    std::string live_xml;
  };
  static Result<core::OpenedJob> carry_out(virDomain* domain, const Transaction& transaction);
  std::string backup_document(const core::OpenJobRequest& request, const std::vector<DiskSite>& sites,
                              const std::string& socket) const;
  std::string scratch_file(const Uuid& vm, const std::string& target) const;
  Status remove_scratch(const Uuid& vm) const;
  Result<uint64_t> scratch_share(size_t disks) const;
  Result<std::string> socket_of(virDomain* domain) const;
  Status watch_scratch(virDomain* domain, uint64_t share) const;

  LibvirtConnection& connection_;
  const HypervisorConfig& config_;
};

// The document of a domain's backup job; none when there is no job.
Result<std::optional<std::string>> backup_xml(virDomain* domain);
Result<bool> is_our_job(const std::string& document);

// libvirt's folder for a running domain: domain-ID-NAME, the name cut after some characters. `entries` are
// the names in the folder of all domains; older runs may have left some. Empty when there is none.
std::string domain_folder(const std::vector<std::string>& entries, int id, const std::string& name);

}  // namespace understudy::hypervisor
