// The published numbers of Msvm_ReplicationRelationship, Msvm_ConcreteJob and friends (spec/replication.md
// 2).
#pragma once

#include <cstdint>

namespace understudy {

enum class ReplicationMode : uint8_t { none = 0, primary = 1, replica = 2, test_replica = 3, extended = 4 };

enum class ReplicationState : uint8_t {
  disabled = 0,
  ready = 1,
  waiting_to_complete = 2,
  replicating = 3,
  synced = 4,
  recovered = 5,
  committed = 6,
  suspended = 7,
  critical = 8,
  waiting_for_resync = 9,
  resynchronizing = 10,
  resync_suspended = 11,
  failover_in_progress = 12,
};

enum class ReplicationHealth : uint8_t { not_applicable = 0, ok = 1, warning = 2, critical = 3 };
enum class PointType : uint8_t { none = 0, standard = 1, application_consistent = 2, planned = 3 };

// Why a point stays listed when the next one comes (docs/spec/store.md, "Retention"); `no`: only while it is
// the newest.
enum class PointKeep : uint8_t { no = 0, hourly = 1, on_demand = 2 };

enum class JobState : uint16_t {
  new_ = 2,
  starting = 3,
  running = 4,
  completed = 7,
  terminated = 8,
  exception = 10
};
enum class JobType : uint16_t {
  modify_service_settings = 90,
  create_relationship = 91,
  remove_relationship = 93,
  start_replication = 94,
  change_state = 96,  // RequestReplicationStateChange 3 and 7
  initiate_failover = 97,
  revert_failover = 98,
  send_delta = 105,
  receive_delta = 106,
  resynchronize = 107,
  apply_log = 108,
  stop_resync = 110,  // RequestReplicationStateChange 9
  send_initial = 116,
  request_state_change = 4,  // Msvm_ComputerSystem.RequestStateChange; real hosts number it so
  create_point = 32769,      // ours: Understudy_ReplicationService.CreateRecoveryPoint
  give_network = 32770,      // ours: the network settings of a failed-over VM, to its guest (background)
};

}  // namespace understudy
