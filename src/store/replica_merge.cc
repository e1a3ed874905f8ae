// How a replica's chain stays short: files that no point ends in take in what the file above them has.
#include "base/fault_point.h"
#include "store/merge.h"
#include "store/replica.h"

namespace understudy::store {

std::shared_ptr<void> Pins::pin(uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  const auto place = sequences_.insert(sequence);
  return {nullptr, [pins = shared_from_this(), place](void*) {
            const std::lock_guard released(pins->mutex_);
            pins->sequences_.erase(place);
          }};
}

bool Pins::pinned(uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  return sequences_.contains(sequence);
}

// Of the chain: the lower one of the pair that is merged next. The newest file is left as it is, for the next
// one may be staged on it. A pair that is half renamed comes before all others.
std::optional<size_t> Replica::due() const {
  const Manifest& m = held_.manifest;
  if (held_.merge.any()) return m.index_of(held_.merge.lower);
  for (size_t i = 0; i + 2 < m.chain.size(); ++i) {
    const ChainLink& lower = m.chain[i];
    if (!m.keeps(lower.number) && !pins_->pinned(lower.number.sequence) &&
        can_merge(i == 0, lower.cluster_size, m.chain[i + 1].cluster_size))
      return i;
  }
  return std::nullopt;
}

bool Replica::merge_due() const {
  const Lock lock(mutex_);
  return !held_.manifest.failover && due();
}

Result<uint64_t> Replica::merge(const CancelToken& cancel) {
  {
    const Lock staging_lock(staging_mutex_);
    const Lock lock(mutex_);
    US_CHECK(settle());
  }
  Lock lock(mutex_);
  if (held_.manifest.failover)
    return fail(ErrorCode::invalid_state, identity_.name + " is failed over: its chain is in use");
  if (merging_ || pauses_ > 0)
    return fail(ErrorCode::in_use, "the chain of " + identity_.name + " is in use");
  merging_ = true;
  uint64_t merged = 0;
  Status status;
  for (auto index = due(); status && !unsure_ && index; index = due()) {
    auto step = merge_step(lock, *index, cancel);
    if (step)
      merged += *step;
    else
      status = fail(step.error());
  }
  merging_ = false;
  merge_ended_.notify_all();
  if (!status) return fail(status.error());
  return merged;
}

// One pair of files of each disk; the lock is open while bytes are copied, and the chain may grow meanwhile.
Result<uint64_t> Replica::merge_step(Lock& lock, size_t index, const CancelToken& cancel) {
  const ChainLink lower = held_.manifest.chain[index];
  const ChainLink upper = held_.manifest.chain[index + 1];
  const auto stop = [&]() -> Status {
    US_CHECK(cancel.check());
    const Lock look(mutex_);
    return pauses_ == 0 ? Status()
                        : fail(ErrorCode::cancelled, "the chain of " + identity_.name + " is needed");
  };
  uint64_t merged = 0;
  for (size_t disk = 0; disk < identity_.disks.size(); ++disk) {
    if (held_.merge.renamed[disk]) continue;
    lock.unlock();
    auto copied = merge_into(files_, image_path(disk, lower.number), image_path(disk, upper.number), stop);
    lock.lock();
    if (!copied) return fail(copied.error().context("merging a disk of " + identity_.name));
    US_CHECK(sure());
    merged += *copied;
    US_CHECK(take_name(disk, lower.number, upper.number));
  }
  US_CHECK(sure());
  Manifest next = held_.manifest;
  next.chain.erase(next.chain.begin() + static_cast<ptrdiff_t>(index));
  next.chain[index].cluster_size = lower.cluster_size;  // it stays the file that it was
  Status done = replace_manifest(next, "store.merge.before-manifest", "store.merge.after-manifest");
  if (held_.manifest == next) {
    held_.merge.lower = {};
    held_.merge.renamed.assign(identity_.disks.size(), false);
  }
  US_CHECK(done);
  return merged;
}

// The lower file has everything of the one above it, and takes over its name: what is above finds it there.
// Its checksums follow when that is durable. A start finds out how far this got (recovery.cc).
Status Replica::take_name(size_t disk, FileNumber lower, FileNumber upper) {
  const std::string from = image_path(disk, lower);
  const std::string to = image_path(disk, upper);
  US_TRY(const bool summed, files_.exists(sums_path(from)));
  if (!summed) {  // then what is there is of another image
    US_CHECK(files_.remove(sums_path(to)));
    US_CHECK(files_.sync_directory(layout_.directory()));
  }
  US_CHECK(fault_point("store.merge.before-rename"));
  unsure_ = true;
  US_CHECK(files_.rename(from, to));
  held_.merge.lower = lower;
  held_.merge.renamed[disk] = true;
  US_CHECK(fault_point("store.merge.after-rename"));
  US_CHECK(files_.sync_directory(layout_.directory()));
  if (summed) {
    US_CHECK(files_.rename(sums_path(from), sums_path(to)));
    US_CHECK(files_.sync_directory(layout_.directory()));
  }
  unsure_ = false;
  return {};
}

}  // namespace understudy::store
