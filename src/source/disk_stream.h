// Reads one disk of a backup job from some offset to its end: asks what there is, keeps many reads on their
// way and delivers in order. Used once, by one thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "source/extent_merger.h"
#include "source/nbd_connection.h"
#include "transfer/source.h"

namespace understudy::source {

class DiskStream {
 public:
  using Deliver = std::function<Status(transfer::ExtentData)>;

  // Everything outlives it. The first connection also answers what there is; reads go to all in turn.
  DiskStream(std::vector<std::unique_ptr<NbdConnection>> connections, uint32_t disk, std::string target,
             uint64_t from, uint32_t granule, uint64_t most_in_flight, const CancelToken& cancel);

  Status run(const Deliver& deliver);

 private:
  struct Slot {
    transfer::ExtentData data;
    Pending pending;
  };
  bool finished() const;
  Status ask();
  Status take_answer();
  Status begin_reads();
  Status deliver_first(const Deliver& deliver);

  const std::string target_;
  const uint64_t size_;
  const uint64_t most_in_flight_;
  const CancelToken& cancel_;
  std::deque<Extent> wanted_;  // not being read yet
  ExtentMerger merger_;
  uint64_t asked_;  // everything before has been asked for
  bool asking_ = false;
  StatusAnswer answer_;
  std::deque<std::unique_ptr<Slot>> slots_;  // being read or waiting, in order
  uint64_t in_flight_ = 0;
  size_t turn_ = 0;
  // Last: destroyed first, so that no command writes into a slot that is gone.
  std::vector<std::unique_ptr<NbdConnection>> connections_;
};

}  // namespace understudy::source
