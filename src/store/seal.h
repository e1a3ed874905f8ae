// The last line of the small files that a replica writes about itself: XXH3-128 of everything before it. It
// finds damage, not malice. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy::store {

// `text`, with the line.
std::string sealed(std::string text);
// Without it; corrupt when it is missing or wrong.
Result<std::string_view> unsealed(std::string_view text);

}  // namespace understudy::store
