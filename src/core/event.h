// What an engine can be told. A method call and a peer's request carry the facts they are judged by, gathered
// just before; everything else is the end of an action, a timer or news from the hypervisor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/obligations.h"
#include "core/ports/hypervisor.h"
#include "model/holdings.h"
#include "model/job.h"
#include "model/network.h"
#include "model/recovery_point.h"
#include "model/settings.h"
#include "model/vm_definition.h"

namespace understudy::core {

using CallId = uint64_t;    // who waits for a reply; injected
using ActionId = uint64_t;  // counts up within one run of the daemon

// --- from outside ---
struct Started {};  // the daemon has loaded this engine
struct TimerDue {};
struct HypervisorNews {
  VmEvent what;
};

// --- method calls ---
struct CallFacts {
  std::optional<Error> hypervisor;  // it could not be asked
  VmSummary vm;
};
struct CreateCall {
  CallId call = 0;
  CallFacts facts;
  ReplicationSettings settings;  // checked and completed by the provider
  VmDefinition definition;
  std::vector<DiskGeometry> disks;
};
struct StartCall {
  CallId call = 0;
  CallFacts facts;
};
struct FailoverCall {
  CallId call = 0;
  CallFacts facts;
  std::optional<Uuid> point;            // none: the latest
  std::vector<RecoveryPoint> points;    // listed now
  uint64_t generation_spent = 0;        // the highest ever given to a failover here
  std::optional<bool> primary_running;  // alive, and may run the VM; none: never heard in this run
  std::optional<Error> files = {};      // why the point's files, or the whole store, are of no use
};
struct RevertCall {
  CallId call = 0;
  CallFacts facts;
  std::optional<Error> files = {};  // why the store is of no use
};
struct RemoveCall {
  CallId call = 0;
  CallFacts facts;
};
struct StateCall {  // RequestReplicationStateChange; the number was checked
  CallId call = 0;
  CallFacts facts;
  uint16_t requested = 0;
};
struct ResyncCall {
  CallId call = 0;
  CallFacts facts;
  std::optional<Wall> start;  // none: now
};
struct PointCall {
  CallId call = 0;
  CallFacts facts;
  bool consistent = false;
};
struct ModifyCall {
  CallId call = 0;
  CallFacts facts;
  ReplicationSettings before;  // what the change was made of
  ReplicationSettings settings;
};
struct Checked {                  // a look at this host and at the VM on it
  std::vector<Finding> findings;  // that are not good
  Wall window;                    // counters of before this instant begin anew; never: none do
};
struct StatisticsCall {  // they begin anew
  CallId call = 0;
};
struct NetworkCall {  // settings of some of the VM's cards; an empty one takes back what was given before
  CallId call = 0;
  CallFacts facts;
  std::vector<NicSettings> cards;
  std::vector<std::string> known;  // MACs of all cards that the VM has now, in its order
};
struct CancelCall {
  CallId call = 0;
  Uuid job;
};
struct PowerCall {
  CallId call = 0;
  CallFacts facts;
  bool on = false;
};

// --- requests of the other host ---
// `trusted`: an entry of the same trust group as that of the replica's primary host admits the peer.
struct PrepareAsk {
  CallId call = 0;
  std::string peer;       // certificate name
  std::string directory;  // by the authorization entry
  VmDefinition definition;
  ReplicationSettings settings;
  Lineage lineage;
  std::vector<DiskGeometry> disks;
  bool trusted = false;
};
struct QueryAsk {
  CallId call = 0;
  std::string peer;
  Lineage newest;
  std::optional<Staging> staging;
  std::optional<ReplicationSettings> settings = std::nullopt;  // of the primary now; durable in the manifest
  std::optional<HostState> host = std::nullopt;
  std::string version{};  // of Understudy there; empty: not known
  bool trusted = false;
};
struct BeginAsk {
  CallId call = 0;
  std::string peer;
  TransferKey key;
  uint32_t granule = 0;
  bool trusted = false;
};
struct FinishAsk {
  CallId call = 0;
  std::string peer;
  TransferKey key;
  Uuid point;
  PointType type = PointType::standard;
  PointKeep keep = PointKeep::no;
  Wall cut;
  uint64_t bytes = 0;
};

// --- ends of actions; `id` is the action's ---
struct PreparedPeer {
  ActionId id = 0;
  Result<std::vector<std::string>> warnings;
  std::string recovery_host_system;
};
struct Inventoried {
  ActionId id = 0;
  Result<VmFacts> vm;
  Result<Holdings> replica;
  Duration ahead = {};    // the replica host's clock, by at least so much; negative: behind
  std::string version{};  // of Understudy there; empty: not known
};
struct SlotGranted {};
struct JobOpened {
  ActionId id = 0;
  Result<OpenedJob> job;
  uint64_t bytes_to_send = 0;
};
struct Sent {
  ActionId id = 0;
  Result<std::optional<RecoveryPoint>> point;  // none for a pass
  uint64_t bytes = 0;
  Duration took;
  std::optional<JobProgress> progress = {};  // of the job that it belongs to
};
struct Settled {
  ActionId id = 0;
  Status status;
  std::optional<Obligations> left = std::nullopt;  // after an error; none: all of them
};
struct PreparedReplica {
  ActionId id = 0;
  Result<std::vector<std::string>> warnings;
  // What is there was not made by this try: it was there before (perhaps made by one of an earlier run of the
  // daemon), or nothing was tried of a replica that nobody knew.
  bool found = false;
};
struct StagingOpened {
  ActionId id = 0;
  Result<Cursor> cursor;
};
struct Published {
  ActionId id = 0;
  Result<RecoveryPoint> point;
  bool merge_due = false;
};
struct Merged {
  ActionId id = 0;
  Result<uint64_t> bytes;
};
struct Stopped {  // receiving has ended: no thread touches the staging any more
  ActionId id = 0;
  std::vector<RecoveryPoint> points;  // listed now
};
struct FailedOver {
  ActionId id = 0;
  Status status;
  bool undone = true;  // after an error: the store is no failed-over one
};
struct Released {
  ActionId id = 0;
  Status status;
};
struct Reverted {
  ActionId id = 0;
  Status status;
  std::optional<bool> failed_over;  // what the store says after an error; none: it does not
  Lineage newest;
};
struct Retired {
  ActionId id = 0;
  Status status;
};
struct NetworkGiven {
  ActionId id = 0;
  Status status;
};
struct ReceiveFailed {  // the replica's disk refused what came
  Error error;
};
struct PowerChanged {
  ActionId id = 0;
  Status status;
};

using Event = std::variant<Started, TimerDue, HypervisorNews, CreateCall, StartCall, FailoverCall, PowerCall,
                           RevertCall, StateCall, ResyncCall, PointCall, StatisticsCall, PrepareAsk, QueryAsk,
                           BeginAsk, FinishAsk, PreparedPeer, Inventoried, SlotGranted, JobOpened, Sent,
                           Settled, PreparedReplica, StagingOpened, Published, Merged, Stopped, FailedOver,
                           Released, Reverted, ReceiveFailed, PowerChanged, RemoveCall, Retired, NetworkCall,
                           NetworkGiven, ModifyCall, Checked, CancelCall>;
template <class T>
struct Is {
  static constexpr size_t index = [] {
    size_t found = 0;
    []<class... All>(size_t& at, std::variant<All...>*) {
      size_t i = 0;
      ((std::is_same_v<T, All> ? at = i : 0, ++i), ...);
    }(found, static_cast<Event*>(nullptr));
    return found;
  }();
};
std::string_view event_name(size_t index);

}  // namespace understudy::core
