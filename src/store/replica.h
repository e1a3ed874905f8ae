// The implementation of ReplicaStore: the rules of docs/spec/store.md over recovery, staging and merge.
//
// Locks, taken in this order: staging_mutex_ is held through each call that stages, publishes, fails over or
// destroys; mutex_ guards what readers see and is held only over renames and the manifest. A merge copies
// under neither: it is announced by merging_, and whoever must be alone with the chain asks it to stop and
// waits.
#pragma once

#include <condition_variable>
#include <mutex>

#include "store/recovery.h"
#include "store/replica_store.h"
#include "store/staging_area.h"

namespace understudy::store {

class Replica final : public ReplicaStore {
 public:
  Replica(Files& files, Layout layout, Recovered found);

  const ReplicaIdentity& identity() const override { return identity_; }
  std::string directory() const override { return layout_.directory(); }
  Lineage newest() const override;
  std::vector<RecoveryPoint> points() const override;
  std::optional<Staging> staging() const override;

  Result<Cursor> begin(const TransferKey& key, uint32_t granule) override;
  Status write(uint32_t disk, uint64_t offset, ByteView data) override;
  Status zero(uint32_t disk, uint64_t offset, uint64_t length) override;
  Status advance(Cursor cursor) override;
  Result<RecoveryPoint> finish(const PointRequest& request) override;
  Status drop_staging() override;

  bool merge_due() const override;
  Result<uint64_t> merge(const CancelToken& cancel) override;

  Result<std::vector<std::vector<std::string>>> chains(const Uuid& point) const override;
  std::string active_path(uint32_t disk) const override;
  Status fail_over(const Uuid& point, uint64_t new_generation) override;
  bool failed_over() const override;
  uint64_t generation() const override;
  Status destroy() override;

 private:
  using Lock = std::unique_lock<std::mutex>;
  class MergePause;

  void adopt(Recovered found);
  Status settle();  // both locks held
  Status usable() const;
  Status sure() const;
  Status check_key(const TransferKey& key, uint32_t granule) const;
  Status check_pass(const TransferKey& key) const;
  Status check_delta(const TransferKey& key) const;
  void show_staging();
  Status commit(Manifest next);
  Status publish(const Manifest& next, const std::vector<ChainLink>& links);
  void remove_chain(const Manifest& gone, const Manifest& kept);
  bool due() const;
  Result<uint64_t> merge_step(Lock& lock, const CancelToken& cancel);
  Status take_name(size_t disk, const ChainLink& bottom, const ChainLink& upper);
  Result<FileNumber> file_of(const Uuid& point) const;
  Status make_active(FileNumber top);
  std::string image_path(size_t disk, FileNumber number) const;

  Files& files_;
  const Layout layout_;
  const ReplicaIdentity identity_;

  std::mutex staging_mutex_;
  StagingArea area_;

  mutable std::mutex mutex_;
  Manifest manifest_;
  std::vector<bool> merged_;       // see Recovered
  std::optional<Staging> staged_;  // of area_, for readers
  bool unsure_ = false;            // a commit failed half-way: the disk is asked again before the next change
  bool destroyed_ = false;
  bool merging_ = false;
  size_t pauses_ = 0;  // who waits for merging_ to end, or keeps it from beginning
  std::condition_variable merge_ended_;
};

}  // namespace understudy::store
