// Which client certificates are which callers: a text file of lines "sha256:HEX name role" (the certificate's
// thumbprint) or "cn:NAME name role" (any certificate of our authority with that common name); '#' starts a
// comment. Immutable once made; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authz/roles.h"

namespace understudy::authz {

class CertificateMap {
 public:
  struct Entry {
    std::string thumbprint;   // upper-case hex; empty: by common name
    std::string common_name;  // empty: by thumbprint
    std::string name;
    Roles roles;
  };
  CertificateMap() = default;  // knows nobody
  static Result<CertificateMap> parse(std::string_view text, std::string_view file_name);
  static Result<CertificateMap> load(const std::string& path);
  // A thumbprint goes before a common name.
  std::optional<Entry> find(std::string_view thumbprint, std::string_view common_name) const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace understudy::authz
