// All that an engine remembers. Plain values: stored as intent in the state database (docs/spec/state.md),
// copied to whoever shows it. What the replica's disks hold is the store's manifest, never this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/obligations.h"
#include "core/phase.h"
#include "model/disk.h"
#include "model/holdings.h"
#include "model/job.h"
#include "model/lineage.h"
#include "model/network.h"
#include "model/recovery_point.h"
#include "model/settings.h"
#include "model/vm_definition.h"

namespace understudy::core {

// A cut that is intended, persisted before the hypervisor is asked for it. Its checkpoint is an obligation
// from then on: it becomes the base or it is deleted.
struct Cut {
  std::optional<TransferKind> kind;  // decided once the size of what changed is known
  uint64_t sequence = 0;
  uint32_t pass = 0;
  std::string checkpoint;
  bool made = false;  // the hypervisor has made the checkpoint
  Wall at;
  Uuid point;
  PointType type = PointType::standard;  // what came of the freeze that was asked for
  PointKeep keep = PointKeep::no;
  Monotonic opened;  // of the job, within this run of the daemon; not stored
};

// The record of what changed on a primary is lost or not to be trusted: both sides are compared, and what
// differs is sent in passes and a closing increment, as in a first copy.
struct Resync {
  std::string why;          // a sentence
  bool running = false;     // else it waits: for a call, for `due`, or for the window of the settings
  bool cancelled = false;   // by a call; only a call begins it again
  std::optional<Wall> due;  // asked for at this time
};

// What became of the network settings that the guest is given after a failover.
struct NetworkResult {
  bool given = false;
  std::optional<Error> error;  // of the last try
  Wall since;                  // of the error
};

struct Failover {
  Uuid point;
  PointType type = PointType::standard;
  Wall cut;                      // of the point
  uint64_t generation = 0;       // the new one
  bool primary_running = false;  // the primary was alive when this was asked, and may run its VM (alive.h)
  // How long the VM has run here since, as far as the daemon saw it start and stop.
  Wall running_since = {};  // never: it is off
  uint64_t ran_seconds = 0;
  std::optional<NetworkResult> network = std::nullopt;  // none: not tried with the settings of now
};

struct Times {
  Wall last_replication;  // primary: last success; replica: last receipt
  Wall last_cut;          // instant of the newest point
  Wall last_apply;
  PointType last_type = PointType::none;
  Wall last_consistent;  // instant of the newest application-consistent point
  // primary: instants of the cuts by which the next ones are due
  Wall last_hourly;
  Wall last_freeze;  // tried by the schedule, whatever came of it
};

// The other host of the relationship, as it was met last in this run of the daemon.
struct Neighbour {
  std::vector<Finding> findings;  // its own words
  Duration ahead;                 // its clock; negative: behind
  Wall skewed_since;              // never: the clocks agree
  std::string version;            // of Understudy; empty: not known
  Wall other_version_since;       // never: it is that of this host
};

struct Statistics {
  Wall since;
  uint64_t successes = 0, failures = 0, network_failures = 0, misses = 0;
  uint64_t bytes = 0, most_bytes = 0;
  uint64_t latency_seconds = 0, most_latency_seconds = 0;
  uint64_t freeze_failures = 0;
};

struct State {
  Uuid vm;
  std::string name;
  Phase phase = Phase::none;
  ReplicationSettings settings;
  std::vector<DiskGeometry> disks;
  Lineage lineage;  // primary: the sequence is the last one used for a cut. replica: of the newest point
  std::optional<Error> cause;  // why it is halted, or why the last try failed
  Wall cause_since;
  std::vector<std::string> warnings;  // from the replica host, when replication was enabled
  Times times;
  Statistics statistics;
  std::vector<Job> jobs;
  std::vector<Finding>
      findings;            // of this host, that are not good; looked for again after a start; not stored
  Neighbour neighbour;     // not stored
  bool suspended = false;  // by an operator; nothing is sent, or nothing is taken
  // Given to the guest once after a failover to this host; cards that are not named keep what the guest has.
  std::vector<NicSettings> network;

  // primary
  bool ends = false;            // to be removed as soon as what is under way has ended
  VmDefinition definition;      // as it was sent; until the replica is prepared
  std::string base_checkpoint;  // what the next cut continues
  uint64_t base_sequence = 0;   // of the last acknowledged point; 0 until the first copy is complete
  uint32_t passes = 0;          // complete passes of the first copy or of a resync
  std::optional<Cut> cut;
  std::optional<Resync> resync;
  bool point_consistent = false;  // what the running create_point job asks for
  uint32_t freeze_failures = 0;   // scheduled ones, in a row
  std::string freeze_error;       // of the last one, in the agent's words
  Obligations obligations;

  bool slot = false;  // granted by the host's scheduler; not stored

  // replica
  std::string directory;     // of the store
  std::string primary_name;  // certificate name of the only host that may send, or take it over: one of its trust group
  std::optional<Failover> failover;
  std::optional<Monotonic> heard;  // the primary asked something, in this run of the daemon; not stored

  bool first_copy_done() const { return base_sequence != 0; }
  // Everything goes over again in passes, and no delta continues the replica's newest point.
  bool copying() const { return !first_copy_done() || (resync && resync->running); }
};

// It is known to run, or to be off, now. Says whether that is news.
bool note_power(Failover& failover, bool runs, Wall now);
uint64_t ran_seconds(const Failover& failover, Wall now);  // with what goes on now
ReplicationMode mode_of(const State& state);
ReplicationState published_state(const State& state);
// A replica that receives: it takes the settings that its primary has.
bool takes_settings(const State& state);
// A job that makes other methods answer 32774; background jobs (105, 106, 108, 116, ours) do not count.
bool has_foreground_job(const State& state);
const Job* find_job(const State& state, const Uuid& id);
// What RequestStateChange(4) may still end. (A failover may refuse it all the same, in its last moment.)
bool cancellable(const State& state, const Job& job);

// Versioned text, for the state database. decode(encode(s)) == s but for what is marked "not stored".
std::string encode_state(const State& state);
Result<State> decode_state(std::string_view text);

}  // namespace understudy::core
