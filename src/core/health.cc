#include "core/health.h"

#include <algorithm>

namespace understudy::core {
namespace {

constexpr uint64_t kMostLatencySeconds = 300;  // spec/replication.md 3.6

// It does not pass by itself.
bool needs_somebody(const Error& cause) {
  return error_info(cause.code()).retry == Retry::operator_;
}

Health of_primary(const State& s, Wall now) {
  if (s.phase == Phase::ready)
    return {ReplicationHealth::warning, "the first copy has not been started", "understudy start " + s.name,
            s.statistics.since};
  if (s.suspended)
    return {ReplicationHealth::warning, "replication is paused", "understudy resume " + s.name,
            s.cause_since};
  if ((s.phase == Phase::halted || (s.resync && !s.resync->running)) && s.cause)
    return {ReplicationHealth::critical, s.cause->message(), s.cause->hint(), s.cause_since};
  const Duration since_success = now - s.times.last_replication;
  if (s.cause) {
    const bool late = s.first_copy_done() && since_success > Duration::seconds(3600);
    return {late || needs_somebody(*s.cause) ? ReplicationHealth::critical : ReplicationHealth::warning,
            s.cause->message(), s.cause->hint(), s.cause_since};
  }
  if (s.resync)
    return {ReplicationHealth::warning, "both sides are being compared, because " + s.resync->why,
            "understudy show " + s.name, s.cause_since};
  if (!s.first_copy_done())
    return {ReplicationHealth::warning, "the first copy is not complete: there is no recovery point yet", "",
            s.statistics.since};
  if (since_success > Duration::seconds(3600))
    return {ReplicationHealth::warning, "nothing was sent for " + age_text(since_success),
            "understudy show " + s.name, s.times.last_replication};
  if (s.freeze_failures >= 2)
    return {ReplicationHealth::warning,
            "the last " + std::to_string(s.freeze_failures) +
                " application-consistent points are standard ones: " + s.freeze_error,
            "look at the guest agent: virsh qemu-agent-command " + s.name + " '{\"execute\":\"guest-ping\"}'",
            s.times.last_freeze};
  const uint64_t tries = s.statistics.successes + s.statistics.misses;
  if (s.statistics.misses * 5 > tries)
    return {ReplicationHealth::warning, "more than 20 % of the cycles took longer than the interval",
            "raise the bandwidth limit or the replication interval", s.statistics.since};
  const uint64_t latency =
      s.statistics.successes == 0 ? 0 : s.statistics.latency_seconds / s.statistics.successes;
  if (latency > kMostLatencySeconds)
    return {ReplicationHealth::warning,
            "a cycle takes " + age_text(Duration::seconds(static_cast<int64_t>(latency))) + " on the average",
            "raise the bandwidth limit or the replication interval", s.statistics.since};
  return {ReplicationHealth::ok, "", "", s.times.last_replication};
}

Health of_replica(const State& s, Wall now) {
  if (s.phase == Phase::failed_over && s.failover && s.failover->network && s.failover->network->error) {
    const NetworkResult& network = *s.failover->network;
    return {ReplicationHealth::warning,
            "failed over, and the guest was not given its network settings: " + network.error->message(),
            network.error->hint(), network.since};
  }
  if (s.phase == Phase::failed_over)
    return {ReplicationHealth::warning, "failed over, and no other host keeps a copy of it now", "",
            s.cause_since};
  if (s.suspended)
    return {ReplicationHealth::warning, "replication is paused on this host", "understudy resume " + s.name,
            s.cause_since};
  if (s.cause)
    return {needs_somebody(*s.cause) ? ReplicationHealth::critical : ReplicationHealth::warning,
            s.cause->message(), s.cause->hint(), s.cause_since};
  if (s.phase == Phase::waiting)
    return {ReplicationHealth::warning, "the first copy is not complete: there is no recovery point yet", "",
            s.statistics.since};
  const Duration silent = now - s.times.last_replication;
  if (s.phase == Phase::standby && silent > Duration::seconds(3600))
    return {ReplicationHealth::warning,
            "nothing was received from " + s.primary_name + " for " + age_text(silent),
            "look at the primary: understudy show " + s.name, s.times.last_replication};
  return {ReplicationHealth::ok, "", "", s.times.last_replication};
}

Health of_relationship(const State& state, Wall now) {
  switch (mode_of(state)) {
    case ReplicationMode::none:
      return {};
    case ReplicationMode::primary:
      return of_primary(state, now);
    default:
      return of_replica(state, now);
  }
}

std::string neighbour_name(const State& s) {
  if (is_replica(s.phase)) return s.primary_name;
  return s.settings.recovery_host_system.empty() ? s.settings.recovery_connection_point
                                                 : s.settings.recovery_host_system;
}

Health of_clocks(const State& s) {
  const bool ahead = s.neighbour.ahead > Duration{};
  const Duration by = ahead ? s.neighbour.ahead : Duration{} - s.neighbour.ahead;
  return {ReplicationHealth::warning,
          "the clock of " + neighbour_name(s) + " is " + age_text(by) + (ahead ? " ahead of" : " behind") +
              " this host's: points are dated by the primary's clock",
          "on both hosts: timedatectl set-ntp true", s.neighbour.skewed_since};
}

Health of_versions(const State& s) {
  return {ReplicationHealth::warning,
          neighbour_name(s) + " runs version " + s.neighbour.version +
              " of Understudy, this host " UNDERSTUDY_VERSION,
          "bring both hosts to the same version", s.neighbour.other_version_since};
}

}  // namespace

std::vector<Health> health_issues(const State& state, Wall now) {
  std::vector<Health> issues;
  if (mode_of(state) == ReplicationMode::none) return issues;
  if (Health own = of_relationship(state, now); own.level != ReplicationHealth::ok)
    issues.push_back(std::move(own));
  for (const Finding& f : state.findings) issues.push_back({f.level, f.cause, f.next, f.since});
  for (const Finding& f : state.neighbour.findings)
    if (f.level != ReplicationHealth::ok)
      issues.push_back({f.level, "on " + neighbour_name(state) + ": " + f.cause,
                        f.next.empty() ? "" : "there: " + f.next, f.since});
  if (!state.neighbour.skewed_since.never()) issues.push_back(of_clocks(state));
  if (!state.neighbour.other_version_since.never()) issues.push_back(of_versions(state));
  std::ranges::stable_sort(issues, [](const Health& a, const Health& b) { return a.level > b.level; });
  return issues;
}

Health health_of(const State& state, Wall now) {
  std::vector<Health> issues = health_issues(state, now);
  return issues.empty() ? of_relationship(state, now) : std::move(issues.front());
}

}  // namespace understudy::core
