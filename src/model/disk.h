// The disks of a relationship, as both sides name them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.h"

namespace understudy {

// Disks are identified by the target name of the guest definition ("vda") and ordered as in the definition;
// on the wire and in manifests a disk is its index in that order.
struct DiskGeometry {
  std::string target;  // [a-z]{1,4}, as libvirt writes it
  uint64_t size = 0;   // bytes, a multiple of 512, 1..kMostDiskSize
  bool operator==(const DiskGeometry&) const = default;
};

// A range of one disk. `zero` ranges read as zeroes and carry no data.
struct Extent {
  uint32_t disk = 0;
  uint64_t offset = 0;  // a multiple of the granule
  uint64_t length = 0;  // a multiple of the granule but for the end of the disk
  bool zero = false;
  bool operator==(const Extent&) const = default;
};

// Up to where a transfer is durable: everything before (disk, offset) in the order of disks and offsets.
struct Cursor {
  uint32_t disk = 0;
  uint64_t offset = 0;
  auto operator<=>(const Cursor&) const = default;
};

}  // namespace understudy
