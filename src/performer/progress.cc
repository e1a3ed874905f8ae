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
  Job seen;
  filled(seen, entry);
  entry.percent = seen.percent();
}

void Progress::resume(const Job& job) {
  if (!job.progress) return;
  const std::lock_guard lock(mutex_);
  const uint64_t complete = job.progress->complete;
  entries_.try_emplace(job.id, Entry{0, 0, complete, complete, job.progress->least_percent});
}

void Progress::fill(Job& job) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(job.id);
  if (found == entries_.end()) return;
  filled(job, found->second);
}

std::optional<JobProgress> Progress::shown(const Uuid& job, bool complete) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(job);
  if (found == entries_.end()) return std::nullopt;
  return JobProgress{complete ? found->second.done : found->second.before, found->second.percent};
}

void Progress::filled(Job& job, const Entry& entry) {
  job.bytes_done = entry.done;
  job.bytes_total = entry.total;
  job.progress = JobProgress{entry.before, entry.percent};
}

}  // namespace understudy::performer
