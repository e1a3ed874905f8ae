// What Msvm_ConcreteJob shows. Stored with the engine it belongs to; kept five minutes after its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "model/states.h"

namespace understudy {

// What a client saw of a job's progress, and must not see taken back.
struct JobProgress {
  uint64_t complete = 0;       // bytes of the transfers that have ended
  uint16_t least_percent = 0;  // 0..99
  bool operator==(const JobProgress&) const = default;
};

struct Job {
  Uuid id;
  JobType type = JobType::create_relationship;
  JobState state = JobState::running;
  std::string title;  // one line for people: "First copy of vm1 to hostb"
  Wall submitted;
  Wall ended;               // never while it runs
  uint64_t bytes_done = 0;  // progress is bytes done of bytes to do; 0 of 0 = not known
  uint64_t bytes_total = 0;
  std::optional<Error> error;                // of an ended job that is not completed
  std::optional<JobProgress> progress = {};  // as of the last transfer that ended
  bool finished() const {
    return state == JobState::completed || state == JobState::terminated || state == JobState::exception;
  }
  uint16_t percent() const;  // 0..100; 100 only when completed
};

}  // namespace understudy
