// The libvirt hook: one shell script that libvirtd runs when VMs start and stop. It carries out holds
// (hold.h) and watches disks (disk_watch.h), with our daemon dead or alive. Any thread.
#pragma once

#include <mutex>
#include <string>

#include "base/result.h"

namespace understudy::hypervisor {

class Hook {
 public:
  // hook_directory: libvirt's, /etc/libvirt/hooks/qemu.d. The others are ours.
  Hook(std::string hook_directory, std::string hold_directory, std::string watch_directory)
      : hook_directory_(std::move(hook_directory)),
        hold_directory_(std::move(hold_directory)),
        watch_directory_(std::move(watch_directory)) {}

  // Writes the hook, if it is not there or another version is, and makes our folders. libvirtd finds a first
  // hook only when it starts.
  Status install();
  std::string script() const;

 private:
  const std::string hook_directory_, hold_directory_, watch_directory_;
  std::mutex mutex_;  // one writer of temporary files
};

}  // namespace understudy::hypervisor
