// Dirty bitmaps of an image that nothing has open. Any thread; blocks for at most half a minute.
#pragma once

#include <string>

#include "base/result.h"

namespace understudy::hypervisor {

// Takes a bitmap out of a qcow2 image, by qemu-img(1), which refuses an image that is in use. No error when
// the image has none of that name.
Status remove_bitmap(const std::string& image, const std::string& name);

}  // namespace understudy::hypervisor
