// Bytes done and to do of running jobs, told by the threads that move them, read by whoever shows a job.
// None of the numbers ever goes back. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "base/ids.h"
#include "model/job.h"

namespace understudy::performer {

class Progress {
 public:
  // One transfer of the job: `done` of `total` bytes. A later transfer (another pass) adds to those before
  // it.
  void report(const Uuid& job, uint64_t transfer, uint64_t done, uint64_t total);
  // What is known of the job from before: over a restart of the daemon it goes on from there.
  void resume(const Job& job);
  void fill(Job& job) const;
  // What must be remembered of the job when its transfer has ended, well or not.
  std::optional<JobProgress> shown(const Uuid& job, bool complete) const;

 private:
  struct Entry {
    uint64_t transfer = 0;
    uint64_t before = 0;  // bytes of the transfers that are complete
    uint64_t done = 0;
    uint64_t total = 0;
    uint16_t percent = 0;
  };
  static void filled(Job& job, const Entry& entry);

  mutable std::mutex mutex_;
  std::map<Uuid, Entry> entries_;
};

}  // namespace understudy::performer
