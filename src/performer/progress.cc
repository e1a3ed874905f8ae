#include "performer/progress.h"

#include <algorithm>

namespace understudy::performer {

void Progress::report(const Uuid& job, uint64_t transfer, uint64_t done, uint64_t total) {
  if (job.nil()) return;
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[job];
  if (entry.transfer != transfer) {
    entry.transfer = transfer;
    entry.before = entry.done;
  }
  entry.done = std::max(entry.done, entry.before + done);
  entry.total = std::max(entry.total, entry.before + total);
}

void Progress::fill(Job& job) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(job.id);
  if (found == entries_.end()) return;
  job.bytes_done = found->second.done;
  job.bytes_total = found->second.total;
}

void Progress::forget(const Uuid& job) {
  const std::lock_guard lock(mutex_);
  entries_.erase(job);
}

}  // namespace understudy::performer
