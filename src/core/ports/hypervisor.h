// What the engine's performer needs of libvirt. Calls block up to limits::kHypervisorCall; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/disk.h"
#include "model/vm_definition.h"

namespace understudy::core {

enum class VmPower : uint8_t { off, running, paused, other };

struct VmSummary {
  Uuid id;
  std::string name;
  VmPower power = VmPower::off;
  int32_t process_id = 0;  // libvirt's domain id when active, else 0
  bool autostart = false;
  uint32_t vcpus = 0;
  uint64_t memory_kib = 0;
};

// What the engine decides from, gathered fresh.
struct VmFacts {
  bool exists = false;
  VmPower power = VmPower::off;
  bool managed_save = false;
  bool job_open = false;                        // a backup job, ours or not
  bool job_foreign = false;                     // another program's
  std::vector<std::string> checkpoints;         // all names, oldest first
  std::vector<std::string> broken_checkpoints;  // those whose bitmap is missing or inconsistent on some disk
  std::vector<std::string> changed_while_off;   // targets of disks that somebody wrote while the VM was off
  bool operator==(const VmFacts&) const = default;
};

// Are the guest's file systems to be frozen by its agent for the moment of the cut?
enum class Freeze : uint8_t { no, attempt, require };

struct OpenJobRequest {
  Uuid vm;
  std::vector<std::string> disks;             // targets; the others are left out
  std::optional<std::string> from;            // checkpoint whose changes are exported; none = everything
  std::optional<std::string> new_checkpoint;  // made in the same transaction; none = only the job
  // attempt: a guest that does not freeze gets a cut all the same. require: it gets neither job nor
  // checkpoint.
  Freeze freeze = Freeze::no;
};
struct OpenedJob {
  Wall cut;                           // by this host's clock, between the call and its return
  bool consistent = false;            // the guest's file systems were frozen at the cut
  std::optional<Error> freeze_error;  // why not, in the agent's words (attempt only)
  Duration frozen;                    // how long, as seen from here: not shorter than in the guest
};

struct ReplicaRequest {
  VmDefinition definition;              // checked again before use
  std::vector<std::string> disk_paths;  // in the order of definition.disks
  std::string store_directory;
  Bytes nvram;  // of a UEFI VM: put into the store directory; empty: what is there stays, or firmware begins
                // anew
};

enum class VmEvent : uint8_t {
  started,
  stopped,
  crashed,
  paused_io_error,
  job_ended,
  scratch_full,
  defined,
  undefined
};

class Hypervisor {
 public:
  virtual ~Hypervisor() = default;

  // --- any VM ---
  virtual Result<std::string> host_name() = 0;
  virtual Result<std::vector<VmSummary>> list() = 0;
  virtual Result<VmSummary> find(const Uuid& vm) = 0;  // not_found
  virtual Result<VmFacts> inspect(const Uuid& vm) = 0;
  virtual Status start(const Uuid& vm) = 0;
  virtual Status stop(const Uuid& vm) = 0;  // at once, as RequestStateChange(3) does

  // --- a primary ---
  // The travelling part of the definition, or the refusal that names the device and the way out.
  virtual Result<VmDefinition> definition(const Uuid& vm) = 0;
  // Could this VM be replicated: running, qcow2 v3 writable disks, no foreign checkpoint, scratch space, hook
  // in force. No disks named: all of them. Returns the included disks in definition order.
  virtual Result<std::vector<DiskGeometry>> replicable(const Uuid& vm,
                                                       const std::vector<std::string>& disks) = 0;
  virtual Result<OpenedJob> open_job(const OpenJobRequest& request) = 0;
  // Ends the backup job, waits until it is gone, removes scratch. No error when there is none.
  virtual Status end_job(const Uuid& vm) = 0;
  // No error when it is not there.
  virtual Status delete_checkpoint(const Uuid& vm, const std::string& name) = 0;
  // The same, and of a VM that is off, too: its images are opened for it, so that a start at that moment may
  // fail.
  virtual Status delete_checkpoint_offline(const Uuid& vm, const std::string& name) = 0;
  // The hook records this VM's disk files when it stops and compares them when it starts, our daemon dead or
  // alive. Durable when it returns; off also forgets.
  virtual Status watch_disks(const Uuid& vm, bool on) = 0;
  // After a resync has covered VmFacts::changed_while_off. No error when there is none.
  virtual Status forget_disk_changes(const Uuid& vm) = 0;
  // Does the guest's agent answer? Asks it a harmless question, for at most limits::kAgentAnswer.
  virtual Status agent_answers(const Uuid& vm) = 0;
  // What the firmware of a UEFI VM has stored, as it is now; empty when it has none.
  virtual Result<Bytes> nvram(const Uuid& vm) = 0;

  // --- holds and replicas ---
  // The hold refuses every start of the VM with `reason`, our daemon dead or alive. Durable when it returns.
  virtual Status hold(const Uuid& vm, const std::string& reason) = 0;
  virtual Status lift_hold(const Uuid& vm) = 0;
  virtual Result<bool> held(const Uuid& vm) = 0;
  // Would it start here (machine, CPU, memory, networks, files)? Warnings for what is only different.
  virtual Result<std::vector<std::string>> check_replica(const ReplicaRequest& request) = 0;
  // Defines (or redefines) the replica's domain: autostart off. Refuses a domain of that id that is not ours.
  virtual Status define_replica(const ReplicaRequest& request) = 0;
  virtual Status undefine(const Uuid& vm) = 0;  // no error when it is not there
  // From now on its domain is anybody's: no replica of ours. No error when it is not there.
  virtual Status disown(const Uuid& vm) = 0;
  virtual Status remove_managed_save(const Uuid& vm) = 0;  // no error when there is none

  // Called from the hypervisor's own thread; must only post. Set once, before the first call.
  virtual void on_event(std::function<void(const Uuid&, VmEvent)> handler) = 0;
};

}  // namespace understudy::core
