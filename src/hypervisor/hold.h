// Holds: a VM whose UUID has a file in the hold directory cannot be started, created or restored on this
// host. A libvirt hook of ours (hook.h) refuses it in our words, with our daemon dead or alive. Plain files,
// any thread; durable when a call returns.
#pragma once

#include <mutex>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace understudy::hypervisor {

class Holds {
 public:
  // `directory` is ours, with one file for each held UUID.
  explicit Holds(std::string directory) : directory_(std::move(directory)) {}

  // Again with another reason: the reason changes.
  Status hold(const Uuid& vm, const std::string& reason);
  Status lift(const Uuid& vm);
  Result<bool> held(const Uuid& vm);

 private:
  const std::string directory_;
  std::mutex mutex_;  // one writer of temporary files
};

}  // namespace understudy::hypervisor
