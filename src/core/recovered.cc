#include "core/recovered.h"

#include "model/codec.h"

namespace understudy::core {

// What cannot be read may know of one.
bool knows_relationship(std::string_view stored) {
  const auto state = decode_state(stored);
  return !state || state->phase != Phase::none;
}

Result<State> recovered_state(const FoundReplica& found, Wall now) {
  State s;
  s.vm = found.vm;
  s.name = found.name;
  s.directory = found.directory;
  s.primary_name = found.primary;
  s.disks = found.disks;
  s.lineage = found.newest;
  s.statistics.since = now;
  if (!found.settings.empty()) {
    auto settings = decode<ReplicationSettings>(found.settings);
    if (!settings) return fail(settings.error().context("settings in the manifest of " + found.directory));
    s.settings = std::move(*settings);
  }
  s.phase = found.points.empty() ? Phase::waiting : Phase::standby;
  if (!found.points.empty()) {
    const RecoveryPoint& newest = found.points.back();
    s.times.last_replication = newest.received;
    s.times.last_apply = newest.received;
    s.times.last_cut = newest.cut;
    s.times.last_type = newest.type;
  }
  if (!found.failover) return s;
  for (const RecoveryPoint& point : found.points) {
    if (point.id != found.failover->point) continue;
    Failover failover;
    failover.point = point.id;
    failover.type = point.type;
    failover.cut = point.cut;
    failover.generation = found.failover->generation;
    s.failover = failover;
  }
  s.phase = found.failover->complete ? Phase::releasing : Phase::failing_over;
  if (found.failover->complete) s.lineage.generation = found.failover->generation;
  return s;
}

}  // namespace understudy::core
