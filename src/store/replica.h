// The implementation of ReplicaStore: the rules of docs/spec/store.md over recovery, staging and merge.
//
// Locks, taken in this order: staging_mutex_ is held through each call that stages, publishes, fails over or
// destroys; mutex_ guards what readers see and is held only over renames and the manifest. A merge copies
// under neither: it is announced by merging_, and whoever must be alone with the chain asks it to stop and
// waits. Open views pin the file that their point ends in: a merge treats it as that of a listed point.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>

#include "store/recovery.h"
#include "store/replica_store.h"
#include "store/staging_area.h"

namespace understudy::store {

// The files in which open views end, by sequence. Any thread.
class Pins : public std::enable_shared_from_this<Pins> {
 public:
  std::shared_ptr<void> pin(uint64_t sequence);  // until it is released
  bool pinned(uint64_t sequence) const;

 private:
  mutable std::mutex mutex_;
  std::multiset<uint64_t> sequences_;
};

class Replica final : public ReplicaStore {
 public:
  Replica(Files& files, Layout layout, Recovered found);

  const ReplicaIdentity& identity() const override { return identity_; }
  std::string directory() const override { return layout_.directory(); }
  Status make_sure() override;
  Lineage newest() const override;
  std::vector<RecoveryPoint> points() const override;
  std::optional<Staging> staging() const override;

  Result<Cursor> begin(const TransferKey& key, uint32_t granule, const std::string& sender) override;
  Status write(uint32_t disk, uint64_t offset, ByteView data) override;
  Status zero(uint32_t disk, uint64_t offset, uint64_t length) override;
  Status advance(Cursor cursor) override;
  Result<RecoveryPoint> finish(const PointRequest& request, const Retention& retention) override;
  Status drop_staging() override;

  bool merge_due() const override;
  Result<uint64_t> merge(const CancelToken& cancel) override;

  Result<std::vector<std::vector<std::string>>> chains(const Uuid& point) const override;
  Result<std::unique_ptr<PointView>> view(const Uuid& point) override;
  Result<Machine> machine(const Uuid& point) const override;
  std::string settings() const override;
  Status set_settings(const std::string& settings) override;
  std::string active_path(uint32_t disk) const override;
  Status fail_over(const Uuid& point, uint64_t new_generation) override;
  bool failed_over() const override;
  Uuid failover_point() const override;
  uint64_t generation() const override;
  uint64_t generation_spent() const override;
  Status revert(Wall now) override;
  std::vector<SetAside> set_aside() const override;
  Status drop_set_aside(Wall older_than) override;
  Result<uint64_t> make_room(uint64_t bytes) override;
  Status retire() override;
  Status destroy() override;

 private:
  using Lock = std::unique_lock<std::mutex>;
  class MergePause;

  void adopt(Recovered found);
  Status settle();  // both locks held
  Status usable() const;
  Status sure() const;
  // Does it continue what is held, and what is staged?
  Status check_key(const TransferKey& key, uint32_t granule, const StagingRecord& staged) const;
  Status check_pass(const TransferKey& key, uint32_t granule, const std::optional<StagedLayer>& base) const;
  Status check_delta(const TransferKey& key, const std::optional<StagedLayer>& base) const;
  bool is_whole(const StagedLayer& layer) const;
  Status room_for(size_t more) const;
  Status shorten_chain();                     // both locks held
  Status give_to(const std::string& sender);  // both locks held
  void show_staging();
  Status commit(Manifest next);
  // Written beside, `before`, committed, `after`: fault points.
  Status replace_manifest(Manifest next, std::string_view before, std::string_view after);
  Manifest with_point(const ListedPoint& point, const Retention& retention) const;
  Result<std::optional<FileNumber>> keep_machine(const PointRequest& request,
                                                 const std::optional<FileNumber>& before);
  Status publish(const Manifest& next, const std::vector<ChainLink>& links);
  void remove_machines(const Manifest& gone);
  std::optional<size_t> due() const;
  Result<uint64_t> merge_step(Lock& lock, size_t index, const CancelToken& cancel);
  Status take_name(size_t disk, FileNumber lower, FileNumber upper);
  Result<const ListedPoint*> find(const Uuid& point) const;
  Status check_files(FileNumber top) const;
  Status make_active(FileNumber top);
  Status drop_reverted(const std::function<bool(const Reverted&)>& goes);  // both locks held
  Status drop_oldest_reverted();                                           // both locks held
  SetAside described(const Reverted& reverted) const;
  std::vector<std::string> files_of_reverted(const Reverted& reverted) const;
  std::string image_path(size_t disk, FileNumber number) const;

  Files& files_;
  const Layout layout_;
  const ReplicaIdentity identity_;

  std::mutex staging_mutex_;
  StagingArea area_;

  mutable std::mutex mutex_;
  Loaded held_;
  std::optional<Staging> staged_;  // of area_, for readers
  bool unsure_ = false;            // a commit failed half-way: the disk is asked again before the next change
  bool destroyed_ = false;
  bool merging_ = false;
  size_t pauses_ = 0;  // who waits for merging_ to end, or keeps it from beginning
  std::condition_variable merge_ended_;

  const std::shared_ptr<Pins> pins_ = std::make_shared<Pins>();
};

}  // namespace understudy::store
