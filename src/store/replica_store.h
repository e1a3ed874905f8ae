// The replica of one VM on disk: a chain of ordinary qcow2 files per disk, a manifest that says which of them
// are recovery points, and what is half received (docs/spec/store.md has layout, rules and crash table).
//
// Lives as long as the relationship is loaded. Staging calls (begin..finish, drop_staging) come from one
// thread at a time, merge() from another; all others from any thread. What a listed point consists of is
// never written.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "model/holdings.h"
#include "model/recovery_point.h"
#include "store/files.h"

namespace understudy::store {

struct ReplicaIdentity {
  Uuid vm;
  std::string name;
  Uuid set;
  uint64_t generation = 1;
  std::vector<DiskGeometry> disks;
};

struct PointRequest {
  TransferKey key;
  Uuid id;
  PointType type = PointType::standard;
  Wall cut;
  Wall received;
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

  virtual const ReplicaIdentity& identity() const = 0;
  virtual std::string directory() const = 0;
  virtual Lineage newest() const = 0;                     // sequence 0 = no point yet
  virtual std::vector<RecoveryPoint> points() const = 0;  // listed ones, oldest first
  virtual std::optional<Staging> staging() const = 0;

  // Opens the staging of this transfer and says from where to send. An equal key goes on at its durable
  // cursor; any other key drops what was staged. invalid_state when the key does not continue what is held
  // (generation, set, from), with both sides' numbers in the message. `granule` is the cluster size of a new
  // overlay: 4096..65536.
  virtual Result<Cursor> begin(const TransferKey& key, uint32_t granule) = 0;
  // Ranges come in the order of Cursor; aligned to the granule but for the end of a disk. Checksums were
  // verified.
  virtual Status write(uint32_t disk, uint64_t offset, ByteView data) = 0;
  virtual Status zero(uint32_t disk, uint64_t offset, uint64_t length) = 0;
  // Makes everything before `cursor` durable, with the cursor itself.
  virtual Status advance(Cursor cursor) = 0;
  // delta: syncs, publishes all disks by one rename of the manifest, and lists the new point; earlier points
  // are delisted (this version keeps only the latest). A repeated finish of the published key answers the
  // same point.
  virtual Result<RecoveryPoint> finish(const PointRequest& request) = 0;
  virtual Status drop_staging() = 0;

  // Files below the oldest listed point that can be merged into the one under them.
  virtual bool merge_due() const = 0;
  // Merges strictly oldest first, one file of each disk a step, until nothing is due or cancelled (then in
  // the state of a crash: repeated safely). Returns bytes merged. Stops within a second of cancel.
  virtual Result<uint64_t> merge(const CancelToken& cancel) = 0;

  // The chain of a point, per disk top first: what `qemu-img info --backing-chain` of the first shows.
  virtual Result<std::vector<std::vector<std::string>>> chains(const Uuid& point) const = 0;

  // The path the replica's domain names for a disk. It is missing until a failover makes it: nothing else
  // starts it.
  virtual std::string active_path(uint32_t disk) const = 0;
  // Raises the generation, durably, and makes a writable overlay on the point at every active_path. Repeating
  // it for the same generation finds what is there. From then on begin() and merge() refuse.
  virtual Status fail_over(const Uuid& point, uint64_t new_generation) = 0;
  virtual bool failed_over() const = 0;
  // Whose data may be newest: identity().generation until a failover raises it.
  virtual uint64_t generation() const = 0;

  // Removes all files of the replica.
  virtual Status destroy() = 0;
};

}  // namespace understudy::store
