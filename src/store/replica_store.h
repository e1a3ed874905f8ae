// The replica of one VM on disk: a chain of ordinary qcow2 files per disk, a manifest that says which of them
// are recovery points, and what is half received (docs/spec/store.md has layout, rules and crash table).
//
// Lives as long as the relationship is loaded. Staging calls (begin..finish, drop_staging) come from one
// thread at a time, merge() from another; all others from any thread. What a listed point, or an open view,
// consists of is never written.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "model/holdings.h"
#include "model/recovery_point.h"
#include "store/files.h"
#include "store/point_view.h"
#include "store/retention.h"

namespace understudy::store {

// Travels in the manifest, so that an owner that lost its database can be told everything.
struct ReplicaIdentity {
  Uuid vm;
  std::string name;
  Uuid set;
  uint64_t generation = 1;
  std::vector<DiskGeometry> disks;
  std::string primary{};   // certificate name of the only host that may send
  std::string settings{};  // opaque UTF-8 text of the owner, at most limits::kMostSettings
  bool operator==(const ReplicaIdentity&) const = default;
};

struct PointRequest {
  TransferKey key;
  Uuid id;
  PointType type = PointType::standard;
  Wall cut;
  Wall received;
  PointKeep keep = PointKeep::no;
  std::string definition{};  // opaque text of the VM as of this cut; empty: as of the point before
  Bytes nvram{};             // at most limits::kMostNvram; used only when definition is given
};

// A VM as of a point.
struct Machine {
  std::string definition;  // empty: none was ever given
  Bytes nvram;
  bool operator==(const Machine&) const = default;
};

// What a revert took out of use: the overlays that a guest wrote during that failover.
struct SetAside {
  uint64_t generation = 0;  // of the failover
  Wall since;               // when it was reverted
  std::vector<std::string> files;
  uint64_t bytes = 0;
  bool operator==(const SetAside&) const = default;
};

class ReplicaStore {
 public:
  // A new replica in `directory`, which is made (its parent exists) and must be empty.
  static Result<std::unique_ptr<ReplicaStore>> create(Files& files, const std::string& directory,
                                                      const ReplicaIdentity& identity);
  // Opens and recovers: finishes or undoes whatever a crash left, removes what nothing names, checks each
  // file of each chain (header, sizes, backing name); never guesses: what contradicts the manifest is
  // ErrorCode::corrupt.
  static Result<std::unique_ptr<ReplicaStore>> open(Files& files, const std::string& directory);
  virtual ~ReplicaStore() = default;

  virtual const ReplicaIdentity& identity() const = 0;  // as long as the store lives, and as it was opened
  virtual std::string directory() const = 0;
  // After a change that broke off, asks the disk what became of it: what is said below may be old until then.
  virtual Status make_sure() = 0;
  virtual Lineage newest() const = 0;                     // sequence 0 = no point yet
  virtual std::vector<RecoveryPoint> points() const = 0;  // listed ones, oldest first
  virtual std::optional<Staging> staging() const = 0;

  // Opens the staging of this transfer and says from where to send. An equal key goes on at its durable
  // cursor; any other key drops what was staged. invalid_state when the key does not continue what is held
  // (generation, set, from), with both sides' numbers in the message. `granule` is the cluster size of a new
  // overlay: 4096..65536. While points are listed, pass 0 begins a resync: an overlay on the newest one.
  // Another `sender` (certificate name; empty: the same) than before is the primary from then on, durably,
  // and nothing that was staged goes on.
  virtual Result<Cursor> begin(const TransferKey& key, uint32_t granule, const std::string& sender = {}) = 0;
  // Ranges come in the order of Cursor; aligned to the granule but for the end of a disk (and but for the
  // passes of a first copy, which have nothing below). Checksums were verified.
  virtual Status write(uint32_t disk, uint64_t offset, ByteView data) = 0;
  virtual Status zero(uint32_t disk, uint64_t offset, uint64_t length) = 0;
  // Makes everything before `cursor` durable, with the cursor itself.
  virtual Status advance(Cursor cursor) = 0;
  // delta: syncs, publishes all disks by one rename of the manifest that lists the new point and delists what
  // retention lets go (retention.h). A repeated finish of the published key answers the same point.
  virtual Result<RecoveryPoint> finish(const PointRequest& request, const Retention& retention) = 0;
  virtual Status drop_staging() = 0;

  // Files that no listed point ends in, and that can take in what the one above has.
  virtual bool merge_due() const = 0;
  // Merges strictly the oldest pair first, one file of each disk a step, until nothing is due or cancelled
  // (then in the state of a crash: repeated safely). Returns bytes merged. Stops within a second of cancel.
  virtual Result<uint64_t> merge(const CancelToken& cancel) = 0;

  // The chain of a point, per disk top first: what `qemu-img info --backing-chain` of the first shows.
  virtual Result<std::vector<std::vector<std::string>>> chains(const Uuid& point) const = 0;
  // All disks as of a point (nil: the newest), readable while merges and retention go on; as long as it
  // lives, the files of the point are kept. May outlive the store.
  virtual Result<std::unique_ptr<PointView>> view(const Uuid& point) = 0;
  virtual Result<Machine> machine(const Uuid& point) const = 0;
  virtual std::string settings() const = 0;                      // identity() has them as of the opening
  virtual Status set_settings(const std::string& settings) = 0;  // durable when it returns

  // The path the replica's domain names for a disk. It is missing until a failover makes it: nothing else
  // starts it.
  virtual std::string active_path(uint32_t disk) const = 0;
  // Raises the generation, durably, and makes a writable overlay on the point at every active_path. not_found
  // or corrupt, and nothing changed, when its chain is not whole. Repeating
  // it for the same generation finds what is there. From then on begin() and merge() refuse. A generation at
  // or below generation_spent() is refused.
  virtual Status fail_over(const Uuid& point, uint64_t new_generation) = 0;
  virtual bool failed_over() const = 0;
  virtual Uuid failover_point() const = 0;  // nil: it is not failed over
  // Whose data may be newest: identity().generation, or that of the failover.
  virtual uint64_t generation() const = 0;
  // The highest generation ever given to a failover here, at least identity().generation.
  virtual uint64_t generation_spent() const = 0;
  // Gives the failover up, durably: begin() takes the data generation again. Every point survives; the
  // overlays are set aside, never removed; the oldest ones go when there are limits::kMostSetAside already.
  // No error when there is no failover; repeated safely.
  virtual Status revert(Wall now) = 0;
  virtual std::vector<SetAside> set_aside() const = 0;
  virtual Status drop_set_aside(Wall older_than) = 0;  // those whose `since` is before it
  // Their space is needed: the oldest go until their files had `bytes`, or none are left. Returns what those
  // had.
  virtual Result<uint64_t> make_room(uint64_t bytes) = 0;

  // A replica that is failed over ends, durably, and its files stay, as ordinary images that its VM goes on
  // using: nothing of Understudy opens them again. Every change answers not_found afterwards. invalid_state
  // when it is not failed over.
  virtual Status retire() = 0;
  // Removes all files of the replica.
  virtual Status destroy() = 0;
};

}  // namespace understudy::store
