// All disks of a replica as of one point, read-only. Holds the files that the chain consisted of when it was
// opened, and a pin: as long as it lives, nothing that it shows is written, whatever is merged, renamed or
// delisted meanwhile. May outlive its store; one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/disk.h"
#include "model/recovery_point.h"
#include "store/qcow2_image.h"

namespace understudy::store {

class PointView {
 public:
  // `chains`: per disk, bottom first. `pin` is released with the view.
  static Result<std::unique_ptr<PointView>> open(Files& files, RecoveryPoint point,
                                                 std::vector<DiskGeometry> disks,
                                                 const std::vector<std::vector<std::string>>& chains,
                                                 std::shared_ptr<void> pin);

  const RecoveryPoint& point() const { return point_; }
  const std::vector<DiskGeometry>& disks() const { return disks_; }

  // What is at `offset`: zero or data (never hole), and how far it goes, at most `most`. Any range of the
  // disk; at its end the length is 0.
  Result<qcow2::Mapping> map(uint32_t disk, uint64_t offset, uint64_t most);
  Status read(uint32_t disk, uint64_t offset, MutableByteView into);

 private:
  struct Layer {
    std::unique_ptr<qcow2::Image> image;
    uint64_t begin = 0;  // of the run found last: walks through a disk look each run up once
    qcow2::Mapping run;
  };
  using Chain = std::vector<Layer>;  // top first
  struct Found {
    qcow2::Mapping run;
    Layer* layer = nullptr;  // of data
  };

  PointView(RecoveryPoint point, std::vector<DiskGeometry> disks, std::shared_ptr<void> pin);
  Status check_range(uint32_t disk, uint64_t offset, uint64_t length) const;
  Result<Found> find(uint32_t disk, uint64_t offset, uint64_t most);

  const RecoveryPoint point_;
  const std::vector<DiskGeometry> disks_;
  const std::shared_ptr<void> pin_;
  std::vector<Chain> chains_;
};

}  // namespace understudy::store
