// Small configuration files of this folder: read whole, split into lines, replaced atomically. Private to it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace understudy::authz {

Result<std::string> read_text_file(const std::string& path, size_t most);
// Writes beside it, syncs and renames; mode 0600.
Status replace_text_file(const std::string& path, const std::string& content);
// What tells one content of a file from the next without reading it.
struct FileStamp {
  bool there = false;
  ino_t inode = 0;
  off_t size = 0;
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
  static FileStamp of(const std::string& path);
};
// Of a certificate, SHA-256: 64 digits of hex in any case, with or without colons; as upper case without.
std::optional<std::string> parse_thumbprint(std::string_view text);
std::vector<std::string_view> lines_of(std::string_view text);
// Without white space around it and without a comment; empty when nothing is left.
std::string_view significant(std::string_view line);

}  // namespace understudy::authz
