// Small files that are whole or not there: written beside, synced, renamed. Any thread, one a path.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "store/files.h"

namespace understudy::store {

// The first half of a replacement: PATH.tmp is complete and durable.
Status prepare_file(Files& files, const std::string& path, std::string_view content);
// The second: PATH is replaced, durably. After an error either content may be there.
Status commit_file(Files& files, const std::string& path);
Status replace_file(Files& files, const std::string& path, std::string_view content);

// not_found when there is none; corrupt when it is longer than `most`.
Result<std::string> read_small_file(Files& files, const std::string& path, size_t most);

}  // namespace understudy::store
