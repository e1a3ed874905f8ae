// Small configuration files of this folder: read whole, split into lines, replaced atomically. Private to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace understudy::authz {

Result<std::string> read_text_file(const std::string& path, size_t most);
// Writes beside it, syncs and renames; mode 0600.
Status replace_text_file(const std::string& path, const std::string& content);
std::vector<std::string_view> lines_of(std::string_view text);
// Without white space around it and without a comment; empty when nothing is left.
std::string_view significant(std::string_view line);

}  // namespace understudy::authz
