// Files that say which proof is which caller: lines "PROOF name roles"; '#' starts a comment. Private to this
// folder.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "authz/roles.h"

namespace understudy::authz {

inline constexpr size_t kMostMapFile = 1 << 20;
inline constexpr size_t kMostEntries = 1000;

struct MapLine {
  std::string_view proof;
  std::string name;
  Roles roles;
};

// Gives each line to `take`, which says whether it can be used. The error names file and line; `hint`: how
// they are written.
Status read_map(std::string_view text, std::string_view file_name, const char* hint,
                const std::function<bool(const MapLine&)>& take);

}  // namespace understudy::authz
