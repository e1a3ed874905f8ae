// What the providers see of this host: values out, method calls in. daemon/ implements it over the engines,
// the hypervisor, the stores and the state database. Any thread; calls block at most limits::kMethodReply.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "core/alive.h"
#include "core/health.h"
#include "core/ports/hypervisor.h"
#include "core/state.h"
#include "model/finding.h"

namespace understudy::providers {

// What a VM wrote after a failover that was reverted since, kept by the replica's store for a while.
struct SetAsideView {
  uint64_t generation = 0;  // of the failover
  Wall since;
  uint64_t bytes = 0;
};

// One VM as the hypervisor lists it, with its engine's state (phase none when there is no relationship) and,
// on a replica, what its store lists. `listed` is false for a VM that only the engine knows.
struct VmView {
  core::VmSummary vm;
  bool listed = true;
  core::State state;
  core::Health health;
  std::vector<core::Health> issues;     // all that is wrong, the worst first
  core::PrimarySeen primary;            // on a replica
  std::optional<Error> unreadable;      // the replica's store; what it holds is not known
  std::vector<RecoveryPoint> points;    // oldest first
  std::vector<SetAsideView> set_aside;  // oldest first
  uint64_t failover_bytes = 0;          // what the overlays of a failover take up
};

// What a check found, and which host it is about.
struct HostFinding {
  std::string host;
  Finding finding;
};

// A method that was accepted: done (no job), or the job's id (ReturnValue 4096).
using MethodResult = Result<std::optional<Uuid>>;

class Host {
 public:
  virtual ~Host() = default;

  virtual std::string name() const = 0;  // SystemName of every object
  virtual std::string product_version() const = 0;
  virtual Wall now() const = 0;
  virtual Result<std::vector<VmView>> vms() = 0;  // not_available when libvirt does not answer
  // not_found; not_available when libvirt takes longer than that.
  virtual Result<VmView> vm(const Uuid& id, Duration patience) = 0;
  // What the engines know, their jobs among it: of every VM, or of this one. libvirt, which is slow while it
  // starts a VM, is not asked. One whose VM is gone and whose relationship has ended is kept as long as it
  // has jobs.
  virtual std::vector<core::State> engines(const std::optional<Uuid>& vm) = 0;
  // The VM that this job, or this listed recovery point, belongs to. What libvirt says is not needed.
  virtual std::optional<Uuid> vm_of_job(const Uuid& job) = 0;
  virtual std::optional<Uuid> vm_of_point(const Uuid& point) = 0;
  // Of the VM's definition, in its order. not_found when the hypervisor does not know the VM.
  virtual Result<std::vector<VmNic>> network_cards(const Uuid& vm) = 0;

  // The listener for replication runs as the settings say (Msvm_ReplicationService.OperationalStatus).
  virtual bool listening() const = 0;
  virtual ServiceSettings service_settings() = 0;
  virtual Status modify_service_settings(const ServiceSettings& settings) = 0;
  virtual std::vector<AuthorizationEntry> authorization_entries() = 0;
  virtual Status add_authorization_entry(
      const AuthorizationEntry& entry) = 0;  // makes the directory; duplicate: invalid_parameter
  // Both are for the entry of that AllowedPrimaryHostSystem; invalid_parameter when there is none. A changed
  // storage location is for new replicas. After a removal nothing more is taken from whom it admitted.
  virtual Status modify_authorization_entry(const AuthorizationEntry& entry) = 0;
  virtual Status remove_authorization_entry(const std::string& allowed_primary_host_system) = 0;

  // DER of every certificate that this host shows to others; those that cannot be read are left out.
  virtual std::vector<Bytes> certificates() = 0;
  // Connects as replication would, up to the other host's word that it takes replicas from this one.
  virtual Status test_connection(const std::string& host, uint16_t port) = 0;

  virtual MethodResult create_relationship(const Uuid& vm, const ReplicationSettings& settings) = 0;
  // `before` is what `settings` was made of: a change meanwhile is in_use.
  virtual MethodResult modify_relationship(const Uuid& vm, const ReplicationSettings& before,
                                           const ReplicationSettings& settings) = 0;
  virtual MethodResult remove_relationship(const Uuid& vm) = 0;
  virtual MethodResult start_replication(const Uuid& vm) = 0;
  virtual MethodResult initiate_failover(const Uuid& vm, const std::optional<Uuid>& point) = 0;
  virtual MethodResult revert_failover(const Uuid& vm) = 0;
  // `requested` is 1, 2, 3, 4, 7 or 9; whether it is possible now is the engine's to say.
  virtual MethodResult request_replication_state(const Uuid& vm, uint16_t requested) = 0;
  virtual MethodResult resynchronize(const Uuid& vm, std::optional<Wall> start) = 0;  // none: now
  virtual MethodResult create_point(const Uuid& vm, bool application_consistent) = 0;
  virtual MethodResult reset_statistics(const Uuid& vm) = 0;
  // Each is for another card of the VM; the settings of other cards stay.
  virtual MethodResult set_network(const Uuid& vm, const std::vector<NicSettings>& settings) = 0;
  // Would a failover work, as far as this host can tell? invalid_state when the VM is not replicated here.
  virtual Result<std::vector<HostFinding>> check(const Uuid& vm) = 0;
  // invalid_state: it has ended; not_supported: it cannot be cancelled (any more).
  virtual MethodResult cancel_job(const Uuid& vm, const Uuid& job) = 0;
  virtual MethodResult request_power(const Uuid& vm, bool on) = 0;
};

}  // namespace understudy::providers
