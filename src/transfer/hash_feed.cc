#include "transfer/hash_feed.h"

#include "base/limits.h"
#include "model/extent_math.h"

namespace understudy::transfer {

HashFeed::HashFeed(std::vector<DiskGeometry> disks, uint32_t granule, Cursor from, AskHashes ask)
    : disks_(std::move(disks)),
      granule_(granule),
      ask_(std::move(ask)),
      thread_("link-hashes", [this, from] { ask_all(from); }) {}

HashFeed::~HashFeed() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

Result<HashFeed::Range> HashFeed::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty(); });
  Result<Range> range = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return range;
}

void HashFeed::ask_all(Cursor from) {
  for (Cursor at = from; at.disk < disks_.size(); at = {at.disk + 1, 0}) {
    const uint64_t size = disks_[at.disk].size;
    while (at.offset < size) {
      const uint64_t length = least(limits::kMostHashRange, size - at.offset);
      if (!ask_one(at, length)) return;
      at.offset += length;
    }
  }
}

bool HashFeed::ask_one(Cursor at, uint64_t length) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || ready_.size() < limits::kMostHashesAhead; });
    if (stopping_) return false;
  }
  auto runs = ask_(at.disk, at.offset, length);
  Status status = runs ? check_runs(*runs, blocks_in(length, granule_)) : fail(runs.error());
  const std::lock_guard lock(mutex_);
  if (status)
    ready_.emplace_back(Range{at, std::move(*runs)});
  else
    ready_.emplace_back(fail(status.error().context("comparing disk " + disks_[at.disk].target + " at " +
                                                    std::to_string(at.offset))));
  changed_.notify_all();
  return status.has_value();
}

}  // namespace understudy::transfer
