// Which disks of a VM were written while it was off: the hook (hook.h) records the disk files of a watched VM
// when it stops and compares them when it starts, with our daemon dead or alive. Plain files, any thread;
// durable when a call returns.
//
//   UUID          the VM is watched
//   UUID.disks    as the disk files were when it stopped; gone while it runs
//   UUID.changed  targets of the disks that were others when it started, until they are forgotten
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace understudy::hypervisor {

class DiskWatch {
 public:
  // `directory` is ours.
  explicit DiskWatch(std::string directory) : directory_(std::move(directory)) {}

  // Off: also forgets. What is not watched when it stops is not known when it starts.
  Status watch(const Uuid& vm, bool on);
  Result<std::vector<std::string>> changed(const Uuid& vm);  // sorted
  Status forget(const Uuid& vm);

 private:
  const std::string directory_;
  std::mutex mutex_;  // one writer of temporary files
};

}  // namespace understudy::hypervisor
