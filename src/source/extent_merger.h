// Makes extents of what NBD tells about a disk: whole granules, in order, adjacent ones of a kind in one. A
// plain value, used by one thread.
#pragma once

#include <cstdint>
#include <functional>

#include "model/disk.h"

namespace understudy::source {

// A stretch of the disk that is alike.
struct Fragment {
  uint64_t length = 0;
  bool changed = false;  // to be sent at all
  bool zero = false;     // reads as zeroes
};

class ExtentMerger {
 public:
  using Emit = std::function<void(const Extent&)>;

  // Fragments will come from `from` (a multiple of the granule) to `size` without a gap.
  ExtentMerger(uint32_t disk, uint64_t from, uint64_t size, uint32_t granule, Emit emit);

  // A granule is sent when any of it has changed, and as zero only when all of it reads as zeroes. Data comes
  // in pieces of at most limits::kMostExtentData; a zero extent may be of any length.
  void add(Fragment fragment);
  uint64_t position() const { return at_; }

 private:
  enum class Kind : uint8_t { clean, zero, data };
  void add_granules(uint64_t offset, uint64_t length, Kind kind);
  void emit_run();
  static Kind kind_of(bool changed, bool zero) {
    return !changed ? Kind::clean : zero ? Kind::zero : Kind::data;
  }

  const uint32_t disk_;
  const uint64_t size_;
  const uint32_t granule_;
  const Emit emit_;
  uint64_t at_;
  bool changed_ = false;  // of the granule that is not complete yet
  bool zero_ = true;
  Kind run_kind_ = Kind::clean;
  uint64_t run_offset_ = 0;
  uint64_t run_length_ = 0;
};

}  // namespace understudy::source
