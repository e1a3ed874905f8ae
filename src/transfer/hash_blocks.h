// The replica's side of a comparison: the hashes of what it holds.
#pragma once

#include "model/disk.h"
#include "transfer/messages.h"

namespace understudy::transfer {

// The bytes of one recovery point, as a store or a test has them.
class BlockReader {
 public:
  struct Stretch {
    bool zero = false;    // reads as zeroes, all of it; what is not known to be is not
    uint64_t length = 0;  // 1..most
  };
  virtual ~BlockReader() = default;
  virtual Result<Stretch> map(uint32_t disk, uint64_t offset, uint64_t most) = 0;
  virtual Status read(uint32_t disk, uint64_t offset, MutableByteView into) = 0;
};

// Reads at most limits::kMostHashRange, a mebibyte at a time; what maps as zero is not read. The request is
// checked against the disks; invalid_parameter tells what does not fit.
Result<HashesAnswer> hash_blocks(BlockReader& reader, const std::vector<DiskGeometry>& disks,
                                 const HashesRequest& request);

}  // namespace understudy::transfer
