// Holds: a VM whose UUID has a file in the hold directory cannot be started, created or restored on this
// host. A libvirt hook of ours refuses it in our words, with our daemon dead or alive. Plain files, any
// thread; durable when a call returns.
#pragma once

#include <mutex>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace understudy::hypervisor {

class Holds {
 public:
  // hook_directory: libvirt's, /etc/libvirt/hooks/qemu.d. hold_directory: ours, one file for each held UUID.
  Holds(std::string hook_directory, std::string hold_directory);

  // Writes the hook, if it is not there or another version is, and makes the hold directory. libvirtd finds a
  // first hook only when it starts.
  Status install_hook();
  Status hold(const Uuid& vm, const std::string& reason);
  Status lift(const Uuid& vm);
  Result<bool> held(const Uuid& vm);

 private:
  std::string path(const Uuid& vm) const;

  const std::string hook_directory_;
  const std::string hold_directory_;
  std::mutex mutex_;  // one writer of temporary files
};

// The hook as it is installed for a hold directory.
std::string hook_script(const std::string& hold_directory);

}  // namespace understudy::hypervisor
