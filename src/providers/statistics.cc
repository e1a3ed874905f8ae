// What GetReplicationStatistics tells of a VM: the counters of the window, and why its health is not Ok.
#include "providers/instances.h"
#include "providers/paths.h"

namespace understudy::providers {

cim::Instance statistics_instance(Host& host, const VmView& view) {
  const core::Statistics& s = view.state.statistics;
  cim::Instance i = with_defaults("Msvm_ReplicationStatistics");
  i.set("StartStatisticTime", cim::DateTime::at(s.since));
  i.set("EndStatisticTime", cim::DateTime::at(host.now()));
  i.set("ReplicationSuccessCount", s.successes).set("ReplicationMissCount", s.misses);
  i.set("ReplicationFailureCount", s.failures).set("NetworkFailureCount", s.network_failures);
  i.set("ApplicationConsistentSnapshotFailureCount", s.freeze_failures);
  i.set("ReplicationSize", s.bytes).set("MaxReplicationSize", s.most_bytes);
  i.set("ReplicationLatency", s.latency_seconds).set("MaxReplicationLatency", s.most_latency_seconds);
  i.set("ReplicationHealth", static_cast<unsigned>(view.health.level));
  // Known only of a copy of everything: what the guest writes is counted by the cut.
  for (const Job& job : view.state.jobs)
    if (!job.finished() && job.bytes_total > job.bytes_done)
      i.set("PendingReplicationSize", job.bytes_total - job.bytes_done);
  return i;
}

std::optional<cim::Instance> health_issue(const VmView& view) {
  constexpr unsigned kMedium = 3;
  constexpr unsigned kHigh = 4;
  const core::Health& health = view.health;
  if (health.level != ReplicationHealth::warning && health.level != ReplicationHealth::critical)
    return std::nullopt;
  const std::optional<Error>& cause = view.state.cause;
  const bool known = cause && cause->message() == health.cause;
  cim::Instance i = error_instance(
      Error(known ? cause->code() : ErrorCode::failed, health.cause, health.next), vm_path(view.vm.id));
  i.set("PerceivedSeverity", health.level == ReplicationHealth::critical ? kHigh : kMedium);
  return i;
}

}  // namespace understudy::providers
