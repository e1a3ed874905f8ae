// The disks of an open backup job as a transfer::Source: what QEMU exports over NBD, changed ranges only when
// the job is incremental, everything otherwise.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/disk.h"
#include "transfer/source.h"

namespace understudy::source {

struct ExportAddress {
  std::string socket;   // path
  std::string name;     // of the export
  std::string context;  // "qemu:dirty-bitmap:NAME" that says what to send; empty: everything
};
struct BackupDisk {
  DiskGeometry geometry;  // the export must be as large
  ExportAddress address;
};

// Connects to each disk once, to see that it is what it should be. The source connects anew in each call; one
// call at a time, from any thread. Its memory is bounded by `most_in_flight` and one answer of QEMU about 2
// GiB of disk. bytes_to_send() may say a little less than stream() delivers: what was zero can become data of
// zeroes when the guest writes there.
Result<std::unique_ptr<transfer::Source>> open_backup_source(std::vector<BackupDisk> disks, uint32_t granule);

}  // namespace understudy::source
