// core::Hypervisor over libvirt's QEMU driver. Lives as long as the daemon; any thread, but for the event
// handler (libvirt_connection.h says which). What a call does on files (holds, scratch, image headers)
// happens on this host: the daemon runs where libvirtd runs.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/ports/hypervisor.h"
#include "hypervisor/disk_watch.h"
#include "hypervisor/hold.h"
#include "hypervisor/hook.h"

namespace understudy::hypervisor {

struct HypervisorConfig {
  std::string uri = "qemu:///system";
  // libvirt's folder of running domains: the backup socket is put beside a domain's monitor, where QEMU may
  // make it.
  std::string domain_directory = "/var/lib/libvirt/qemu";
  std::string scratch_directory = "/var/lib/understudy/scratch";  // made 0711: QEMU must get through
  uint64_t scratch_space = 0;  // bytes that one VM's job may use; 0 = what is free when it begins
  std::string guard_program;   // empty: understudy-guard beside the running program
  std::string hook_directory = "/etc/libvirt/hooks/qemu.d";
  std::string hold_directory = "/var/lib/understudy/holds";
  std::string watch_directory = "/var/lib/understudy/watched";  // of disk_watch.h
  // QEMU's firmware descriptors, the first one first.
  std::vector<std::string> firmware_directories = {"/etc/qemu/firmware", "/usr/share/qemu/firmware"};
  // The primary's network or bridge -> a libvirt network here, or "bridge:NAME". Without an entry: the same
  // name.
  std::map<std::string, std::string> networks;
  std::vector<std::string> boot_directories = {"/var/lib/libvirt/boot", "/boot"};  // of kernel and initrd
  std::string serial_log_directory;  // NAME.console of each replica is written there; empty = nowhere
};

struct ExportedDisk {
  std::string target;
  std::string name;     // of the NBD export
  std::string context;  // NBD metadata context of what changed; empty when everything is exported
};
// An open backup job as a reader needs it.
struct ExportInfo {
  std::string socket;
  uint32_t granule = 0;  // coarsest change granularity of the disks
  std::vector<ExportedDisk> disks;
};

// Who QEMU runs as: images that it writes belong to them.
struct ImageOwner {
  uint32_t user = 0, group = 0;
};

class LibvirtConnection;
class BackupJobs;

class LibvirtHypervisor final : public core::Hypervisor {
 public:
  explicit LibvirtHypervisor(HypervisorConfig config);
  ~LibvirtHypervisor() override;

  // Once, before anything else: writes the hook and makes our folders.
  Status prepare();
  // Does libvirtd call our hook? Asks it by starting a held VM that does not exist: refused in our words, or
  // not.
  Status hook_in_force();
  Result<ImageOwner> image_owner();
  // Of the open job, also when an earlier run of the daemon opened it. not_found when there is none of ours.
  Result<ExportInfo> export_of(const Uuid& vm);

  Result<std::string> host_name() override;
  Result<std::vector<core::VmSummary>> list() override;
  Result<core::VmSummary> find(const Uuid& vm) override;
  Result<core::VmFacts> inspect(const Uuid& vm) override;
  Status start(const Uuid& vm) override;  // no error when it runs
  Status stop(const Uuid& vm) override;   // no error when it is off
  Result<std::vector<VmNic>> network_cards(const Uuid& vm) override;
  Status give_network(const Uuid& vm, const std::vector<NicSettings>& cards,
                      const CancelToken& cancel) override;

  Result<VmDefinition> definition(const Uuid& vm) override;
  Result<std::vector<DiskGeometry>> replicable(const Uuid& vm,
                                               const std::vector<std::string>& disks) override;
  Result<core::OpenedJob> open_job(const core::OpenJobRequest& request) override;
  Status end_job(const Uuid& vm) override;
  // Off: invalid_state, as libvirt cannot delete then; to be asked again when the VM runs.
  Status delete_checkpoint(const Uuid& vm, const std::string& name) override;
  Status delete_checkpoint_offline(const Uuid& vm, const std::string& name) override;

  Status watch_disks(const Uuid& vm, bool on) override;
  Status forget_disk_changes(const Uuid& vm) override;
  Status agent_answers(const Uuid& vm) override;
  Result<Bytes> nvram(const Uuid& vm) override;
  Status hold(const Uuid& vm, const std::string& reason) override;
  Status lift_hold(const Uuid& vm) override;
  Result<bool> held(const Uuid& vm) override;
  Result<std::vector<std::string>> check_replica(const core::ReplicaRequest& request) override;
  Status define_replica(const core::ReplicaRequest& request) override;
  Status undefine(
      const Uuid& vm) override;  // only a domain that define_replica() made, and only when it is off
  Status disown(const Uuid& vm) override;
  Status remove_managed_save(const Uuid& vm) override;

  void on_event(std::function<void(const Uuid&, core::VmEvent)> handler) override;

 private:
  // While a checkpoint is made or deleted, libvirt tells others what is not so: a parent that is gone, no
  // name at all. Whoever changes checkpoints of a VM and whoever looks at them take turns.
  std::unique_lock<std::mutex> turn_at_checkpoints(const Uuid& vm);

  const HypervisorConfig config_;
  Hook hook_;
  Holds holds_;
  DiskWatch watch_;
  std::mutex probe_mutex_;
  std::mutex turns_mutex_;
  std::map<Uuid, std::mutex> turns_;  // of each VM that was ever looked at
  std::unique_ptr<LibvirtConnection> connection_;
  std::unique_ptr<BackupJobs> jobs_;
};

}  // namespace understudy::hypervisor
