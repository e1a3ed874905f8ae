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

std::vector<cim::Instance> health_issues(const VmView& view) {
  constexpr unsigned kMedium = 3;
  constexpr unsigned kHigh = 4;
  std::vector<cim::Instance> issues;
  for (const core::Health& issue : view.issues) {
    const std::optional<Error>& cause = view.state.cause;
    const bool known = cause && cause->message() == issue.cause;
    issues.push_back(error_instance(Error(known ? cause->code() : ErrorCode::failed, issue.cause, issue.next),
                                    vm_path(view.vm.id)));
    issues.back().set("PerceivedSeverity", issue.level == ReplicationHealth::critical ? kHigh : kMedium);
  }
  return issues;
}

cim::Instance finding_instance(const VmView& view, const HostFinding& found) {
  const Finding& f = found.finding;
  cim::Instance i = with_defaults("Understudy_Finding");
  i.set("InstanceID", "Microsoft:" + view.vm.id.upper() + "\\" + found.host + "\\" + f.check);
  i.set("ElementName", view.vm.name).set("VirtualSystemIdentifier", view.vm.id.upper());
  i.set("Host", found.host).set("Check", f.check).set("Health", static_cast<unsigned>(f.level));
  i.set("Cause", f.cause);
  if (!f.next.empty()) i.set("Next", f.next);
  if (!f.since.never()) i.set("Since", cim::DateTime::at(f.since));
  return i;
}

}  // namespace understudy::providers
