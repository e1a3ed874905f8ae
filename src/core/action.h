// What an engine wants done, in order. Persist is a barrier: nothing after it starts before it is durable.
// Each action with an id ends in exactly one event that carries it, and is safe to repeat: after a restart
// the engine asks again for what it does not know to be done.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/event.h"
#include "core/state.h"

namespace understudy::core {

struct Persist {
  std::string state;  // encoded; empty = forget this engine
};
// Answer of a method call: an error, or done, or (with `job`) 4096.
struct Reply {
  CallId call = 0;
  Result<std::optional<Uuid>> job;
};
struct PrepareReply {
  CallId call = 0;
  Result<std::vector<std::string>> warnings;
};
struct QueryReply {
  CallId call = 0;
  Result<Holdings> holdings;
};
struct BeginReply {
  CallId call = 0;
  Result<Cursor> cursor;
};
struct FinishReply {
  CallId call = 0;
  Result<RecoveryPoint> point;
};
struct Arm {  // TimerDue at this time; replaces the timer that was armed
  Monotonic due;
};
struct PreparePeer {
  ActionId id = 0;
};
struct TakeInventory {
  ActionId id = 0;
  bool ask_replica = true;
};
struct RequestSlot {};
struct ReleaseSlot {};
struct OpenJob {
  ActionId id = 0;
  OpenJobRequest request;
};
struct Send {
  ActionId id = 0;
  TransferKey key;
  Uuid point;
  Wall cut;
  Uuid job;  // whose progress it is; nil = none
  PointType type = PointType::standard;
  PointKeep keep = PointKeep::no;
  // A resync: only what differs from this point of the replica is sent.
  std::optional<Lineage> compare_with;
};
struct StopSending {};  // a request: Sent comes with ErrorCode::cancelled, or with success
struct Settle {
  ActionId id = 0;
  Obligations obligations;
};
struct PrepareReplica {
  ActionId id = 0;
  VmDefinition definition;
  std::string directory;
  Lineage lineage;
  std::vector<DiskGeometry> disks;
};
struct OpenStaging {
  ActionId id = 0;
  CallId call = 0;
  TransferKey key;
  uint32_t granule = 0;
  std::string sender;  // certificate name; another one than before takes the replica over
};
struct Publish {
  ActionId id = 0;
  TransferKey key;
  Uuid point;
  PointType type = PointType::standard;
  Wall cut;
  Wall received;
  PointKeep keep = PointKeep::no;
};
struct StopReceiving {
  ActionId id = 0;
};
struct Merge {
  ActionId id = 0;
};
struct StopMerging {};  // a request: Merged comes
struct FailOver {
  ActionId id = 0;
  Uuid point;
  uint64_t generation = 0;
};
struct Release {
  ActionId id = 0;
};
struct Revert {
  ActionId id = 0;
};
// The replica ends being one. What the store holds decides: with points its VM becomes an ordinary one, off,
// on the newest of them (or stays as it is, when it is failed over); without, everything of it is removed.
// Repeated safely.
struct Retire {
  ActionId id = 0;
  bool unprepared = false;  // a preparation failed: what has no point goes, what has one stays as it is
};
struct ChangePower {
  ActionId id = 0;
  bool on = false;
};

// To the guest of the running VM, by its agent: State::network. Ends with invalid_state when the VM is off,
// with not_available or timeout when no agent answers yet; any other error stands until somebody acts.
struct GiveNetwork {
  ActionId id = 0;
};

using Action = std::variant<Persist, Reply, PrepareReply, QueryReply, BeginReply, FinishReply, Arm,
                            PreparePeer, TakeInventory, RequestSlot, ReleaseSlot, OpenJob, Send, StopSending,
                            Settle, PrepareReplica, OpenStaging, Publish, StopReceiving, Merge, StopMerging,
                            FailOver, Release, Revert, Retire, ChangePower, GiveNetwork>;
using Actions = std::vector<Action>;

}  // namespace understudy::core
