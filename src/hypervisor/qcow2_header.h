// What the header of a qcow2 image says, as far as it decides whether the image can be replicated. The file
// may be in use: the fields read here do not change while a VM runs, but for the size, which only grows.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace understudy::hypervisor {

struct ImageHeader {
  uint32_t version = 0;
  uint64_t size = 0;  // virtual
  uint32_t cluster_size = 0;
  bool encrypted = false;
  bool data_file = false;  // the data is in another file

  // Of the dirty bitmaps that libvirt makes on it: QEMU's default.
  uint32_t change_granularity() const;
};
Result<ImageHeader> parse_image_header(ByteView head);
Result<ImageHeader> read_image_header(const std::string& path);
// Can changes of this image be tracked? The error tells the way out.
Status check_tracking(const ImageHeader& header, const std::string& path);

}  // namespace understudy::hypervisor
