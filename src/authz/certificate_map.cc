#include "authz/certificate_map.h"

#include "authz/map_file.h"
#include "authz/text_file.h"

namespace understudy::authz {
namespace {

constexpr const char* kHint =
    "write 'sha256:HEX name roles' or 'cn:NAME name roles'; the thumbprint is in: understudy certificate "
    "show "
    "FILE";

std::optional<CertificateMap::Entry> entry_of(const MapLine& line) {
  CertificateMap::Entry entry{{}, {}, line.name, line.roles};
  if (line.proof.substr(0, 7) == "sha256:") {
    const auto thumbprint = parse_thumbprint(line.proof.substr(7));
    if (!thumbprint) return std::nullopt;
    entry.thumbprint = *thumbprint;
  } else if (line.proof.substr(0, 3) == "cn:" && line.proof.size() > 3) {
    entry.common_name = line.proof.substr(3);
  } else {
    return std::nullopt;
  }
  return entry;
}

}  // namespace

Result<CertificateMap> CertificateMap::parse(std::string_view text, std::string_view file_name) {
  CertificateMap map;
  US_CHECK(read_map(text, file_name, kHint, [&map](const MapLine& line) {
    auto entry = entry_of(line);
    if (entry) map.entries_.push_back(std::move(*entry));
    return entry.has_value();
  }));
  return map;
}

Result<CertificateMap> CertificateMap::load(const std::string& path) {
  US_TRY(const std::string text, read_text_file(path, kMostMapFile));
  return parse(text, path);
}

std::optional<CertificateMap::Entry> CertificateMap::find(std::string_view thumbprint,
                                                          std::string_view common_name) const {
  const auto wanted = parse_thumbprint(thumbprint);
  for (const Entry& entry : entries_)
    if (wanted && entry.thumbprint == *wanted) return entry;
  for (const Entry& entry : entries_)
    if (!entry.common_name.empty() && entry.common_name == common_name) return entry;
  return std::nullopt;
}

}  // namespace understudy::authz
