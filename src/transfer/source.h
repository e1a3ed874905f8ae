// A consistent view of a VM's disks that yields what has to be sent. Kinds: an open backup job; a
// comparison (compare_source.h); later a stopped image, the replica's own store. Extents and data never pass
// the engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "model/disk.h"

namespace understudy::transfer {

struct ExtentData {
  // At most limits::kMostExtentData long when not zero; a zero extent may be of any length. One of length 0
  // is a mark: nothing before it is still to come, and a transfer that is cut can go on there.
  Extent extent;
  Bytes data;  // empty for a zero extent
};

class Source {
 public:
  virtual ~Source() = default;
  // Granule of every extent: the coarsest change granularity of the disks, 4096..65536.
  virtual uint32_t granule() const = 0;
  // Bytes of data (not zero) extents from the cursor on; known before anything is read.
  virtual Result<uint64_t> bytes_to_send(Cursor from) = 0;
  // Delivers every extent at or after `from`, in the order of Cursor, from the calling thread, with at most
  // `most_in_flight` bytes being read or waiting. Ends at the first error of `deliver`, of a read, or on
  // cancel.
  virtual Status stream(Cursor from, uint64_t most_in_flight,
                        const std::function<Status(ExtentData)>& deliver, const CancelToken& cancel) = 0;
};

}  // namespace understudy::transfer
