#include "authz/kerberos.h"

#include "authz/map_file.h"
#include "authz/text_file.h"

namespace understudy::authz {
namespace {

// Who writes a star expects it to mean something.
bool is_principal(std::string_view text) {
  const size_t at = text.rfind('@');
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         text.find('*') == std::string::npos;
}

}  // namespace

Result<KerberosMap> KerberosMap::parse(std::string_view text, std::string_view file_name) {
  KerberosMap map;
  US_CHECK(read_map(
      text, file_name, "write 'user@REALM name roles', each principal once", [&](const MapLine& line) {
        return is_principal(line.proof) &&
               map.entries_.try_emplace(std::string(line.proof), Entry{line.name, line.roles}).second;
      }));
  return map;
}

Result<KerberosMap> KerberosMap::load(const std::string& path) {
  US_TRY(const std::string text, read_text_file(path, kMostMapFile));
  return parse(text, path);
}

std::optional<KerberosMap::Entry> KerberosMap::find(const std::string& principal) const {
  const auto found = entries_.find(principal);
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace understudy::authz
