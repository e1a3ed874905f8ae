// Small files that are written all or nothing and are durable when a call returns; for this folder only. Any
// thread, but one writer of a file at a time.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace understudy::hypervisor {

struct FileOwner {
  uid_t user = 0;
  gid_t group = 0;
};

// With all folders above it, 0755.
Status make_directory(const std::string& directory);
// A new file in place of the one of that name, if there is one.
Status replace_file(const std::string& directory, const std::string& name, std::string_view content,
                    mode_t mode, std::optional<FileOwner> owner = {});
// No error when it is not there.
Status remove_file(const std::string& directory, const std::string& name);
// too_large when it has more than `most` bytes; not_found.
Result<std::string> read_file(const std::string& path, size_t most);

}  // namespace understudy::hypervisor
