// The replica's hashes, asked for ahead of who compares them: its thread asks range after range while at most
// limits::kMostHashesAhead wait. Lives for one stream; its destructor waits for the `ask` under way.
#pragma once

#include <deque>
#include <mutex>

#include "base/thread.h"
#include "base/waiting.h"
#include "transfer/compare_source.h"

namespace understudy::transfer {

class HashFeed {
 public:
  struct Range {
    Cursor start;
    std::vector<HashRun> runs;  // of exactly its blocks
  };
  // From `from`, a multiple of the granule, to the end of the last disk.
  HashFeed(std::vector<DiskGeometry> disks, uint32_t granule, Cursor from, AskHashes ask);
  ~HashFeed();
  // Waits for the next one. Not called after an error or the last.
  Result<Range> next();

 private:
  void ask_all(Cursor from);
  bool ask_one(Cursor at, uint64_t length);  // false: it is over

  const std::vector<DiskGeometry> disks_;
  const uint32_t granule_;
  const AskHashes ask_;
  std::mutex mutex_;  // for the next three
  Condition changed_;
  std::deque<Result<Range>> ready_;
  bool stopping_ = false;
  Thread thread_;
};

}  // namespace understudy::transfer
